// Doubles as text without a heap allocation.
//
// `Double.description` is right but makes a String, and a String of more than 15 bytes costs an
// allocation: too much for every number that a model answers with. Below it the standard library
// has a function that writes the shortest text that reads back as the same double into a buffer. It
// is not declared for others, so a toolchain other than the one that this repository names might
// not have it; then linking fails, and the fallback is `number.description.utf8`.

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
