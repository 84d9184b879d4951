// What this target does without the compiler's checks: it reads a few bytes at once, and it has the
// runtime write numbers. Everything else here is safe code, so this is the file to distrust.
//
// SAFETY: the loads check first that all their bytes lie inside the span, which stays borrowed
// while they read; they may be unaligned, and every pattern of bits is a value of their types.
// `words` regards a vector as another of the same size. `JSONNumber.append` checks that there is
// room for the longest number, and counts as written what the runtime says it wrote;
// `JSONNumber.write` leaves that to its caller, and says so by being unsafe itself.
//
// `JSONNumber.short` reads the bytes of its span, each at an index below their count.
//
// Why the runtime writes numbers: `Double.description` is right but makes a String, and a String of
// more than 15 bytes costs an allocation: too much for every number that a model answers with.
// Below it the standard library has a function that writes the shortest text that reads back as
// the same double into a buffer. It is not declared for others, so a toolchain other than the one
// that this repository names might not have it; then linking fails, and the fallback is
// `number.description.utf8`.

extension Span<UInt8> {
    /// The eight bytes from `position` on, the first in the lowest bits.
    @inline(__always)
    func word(at position: Int) -> UInt64 {
        precondition(position >= 0 && count &- position >= 8, "the word lies inside the text")
        return unsafe UInt64(
            littleEndian: bytes.unsafeLoadUnaligned(
                fromUncheckedByteOffset: position,
                as: UInt64.self
            )
        )
    }

    /// The sixteen bytes from `position` on.
    @inline(__always)
    func block(at position: Int) -> Block {
        precondition(position >= 0 && count &- position >= 16, "the block lies inside the text")
        return unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: Block.self)
    }

    /// The sixteen bytes from `position` on, and those that begin one, two and three before it.
    @inline(__always)
    func blocks(at position: Int) -> (Block, back1: Block, back2: Block, back3: Block) {
        precondition(position >= 3 && count &- position >= 16, "the blocks lie inside the text")
        let bytes = unsafe bytes
        return unsafe (
            bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: Block.self),
            bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &- 1, as: Block.self),
            bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &- 2, as: Block.self),
            bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &- 3, as: Block.self)
        )
    }
}

extension BlockMask {
    /// The mask in two halves, with eight equal bits for each byte, the first byte's the lowest.
    @inline(__always)
    var words: (low: UInt64, high: UInt64) {
        let words = unsafe unsafeBitCast(self, to: SIMD2<UInt64>.self)
        return (UInt64(littleEndian: words.x), UInt64(littleEndian: words.y))
    }
}

extension JSONNumber {
    @usableFromInline
    static let powersOfTen: [16 of Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ]

    /// The double that a short number stands for, which most are: at most 15 digits, no exponent.
    /// Nil for any other.
    ///
    /// Up to 15 digits and a power of ten up to 22 are exact doubles, so one division rounds once.
    @inlinable
    @inline(__always)
    public static func short(_ text: Span<UInt8>) -> Double? {
        var mantissa: UInt64 = 0
        var digits = 0
        var decimals = 0
        var sawPoint = false
        var isNegative = false
        let isShort = unsafe text.withUnsafeBytes { bytes in
            for index in 0..<bytes.count {
                let byte = unsafe bytes[index]
                switch byte {
                case 0x30...0x39:
                    mantissa = mantissa &* 10 &+ UInt64(byte - 0x30)
                    digits += 1
                    if sawPoint { decimals += 1 }
                case 0x2e: sawPoint = true
                case 0x2d where digits == 0: isNegative = true
                default: return false
                }
                if digits > 15 { return false }
            }
            return true
        }
        guard isShort else { return nil }
        let number = Double(mantissa) / powersOfTen[decimals]
        return isNegative ? -number : number
    }
}

@_silgen_name("swift_float64ToString")
private func runtimeText(
    _ buffer: UnsafeMutablePointer<UInt8>,
    _ capacity: UInt,
    _ number: Double,
    _ debug: Bool
) -> UInt64

/// Numbers as JSON text.
public enum JSONNumber {
    /// Bytes that a number's text may need.
    public static let bytesMaximum = 32

    /// Writes the shortest text that reads back as the same double; returns its length.
    ///
    /// - Parameters:
    ///   - number: a finite number.
    ///   - storage: at least `bytesMaximum` bytes.
    /// - Returns: how many bytes were written.
    @unsafe
    public static func write(_ number: Double, to storage: UnsafeMutablePointer<UInt8>) -> Int {
        // The function expects a buffer of zeros (the digit): it leaves a leading one unwritten.
        let zeros: UInt64 = 0x3030_3030_3030_3030
        for offset in stride(from: 0, to: bytesMaximum, by: 8) {
            unsafe UnsafeMutableRawPointer(storage).storeBytes(
                of: zeros,
                toByteOffset: offset,
                as: UInt64.self
            )
        }
        return unsafe Int(runtimeText(storage, UInt(bytesMaximum), number, false))
    }

    /// Appends the text of a finite number; there must be room for `bytesMaximum` bytes.
    public static func append(_ number: Double, to output: inout OutputSpan<UInt8>) {
        precondition(output.freeCapacity >= bytesMaximum, "there is room for a number")
        unsafe output.withUnsafeMutableBufferPointer { buffer, count in
            guard let start = buffer.baseAddress else { return }
            count += unsafe write(number, to: start + count)
        }
    }
}
