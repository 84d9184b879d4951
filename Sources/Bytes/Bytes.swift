// Bytes: the leaf that every text-writing target shares.
//
// Requests and answers are bytes, and the answer to a request is built by several targets in turn.
// They all append to a `ByteBuffer`, which keeps its memory from request to request, so that a
// steady host allocates nothing; what is written once (configuration, prepared texts) appends to a
// plain array. Everything is small and `@inlinable`: a call per byte across targets was measured to
// run ten times slower than inside one. Only `ByteBuffer` and `ByteSearch` are unsafe inside.

extension Array where Element == UInt8 {
    /// Appends the bytes of a span.
    @inlinable
    public mutating func append(_ bytes: Span<UInt8>) {
        // Nothing onto nothing would write to the empty array that all threads share.
        guard !bytes.isEmpty else { return }
        append(addingCapacity: bytes.count) { output in
            for index in bytes.indices {
                output.append(bytes[index])
            }
        }
    }

    /// Appends the UTF-8 of a string.
    @inlinable
    public mutating func append(_ text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends an unsigned number in decimal.
    @inlinable
    public mutating func append(decimal number: UInt64) {
        var divisor: UInt64 = 1
        while number / divisor >= 10 {
            divisor *= 10
        }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: 48 + number / divisor % 10))
            divisor /= 10
        }
    }

    /// Appends an unsigned number in decimal, with leading zeros up to `width` digits.
    @inlinable
    public mutating func append(decimal number: UInt64, width: Int) {
        var digits = 1
        var rest = number / 10
        while rest > 0 {
            digits += 1
            rest /= 10
        }
        while digits < width {
            append(48)
            digits += 1
        }
        append(decimal: number)
    }

    /// Appends lower-case hexadecimal digits, two a byte.
    @inlinable
    public mutating func append(hex bytes: Span<UInt8>) {
        for index in bytes.indices {
            append(Hex.digit(bytes[index] >> 4))
            append(Hex.digit(bytes[index] & 15))
        }
    }
}

extension Array {
    /// Forgets the elements and keeps the memory. A few are taken off one by one: the general way
    /// costs a call that is dearer than a small request's worth of them.
    @inlinable
    public mutating func clear() {
        guard count <= 4 else { return removeAll(keepingCapacity: true) }
        while !isEmpty { removeLast() }
    }
}

/// Hexadecimal digits.
public enum Hex {
    /// The lower-case digit of a number below 16.
    @inlinable
    public static func digit(_ nibble: UInt8) -> UInt8 {
        nibble < 10 ? 48 + nibble : 87 + nibble
    }

    /// The number that a hexadecimal digit stands for, in either case.
    @inlinable
    public static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 48...57: digit - 48
        case 65...70: digit - 55
        case 97...102: digit - 87
        default: nil
        }
    }

    /// The lower-case hexadecimal text of some bytes.
    public static func text(_ bytes: [UInt8]) -> String {
        var digits: [UInt8] = []
        digits.append(hex: bytes.span)
        return String(decoding: digits, as: UTF8.self)
    }
}

/// Questions that are asked of spans of bytes.
public enum Bytes {
    /// The string of a part of a span; invalid UTF-8 is repaired.
    public static func string(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        var copy: [UInt8] = []
        copy.append(bytes.extracting(range))
        return String(decoding: copy, as: UTF8.self)
    }

    /// The text of an unsigned decimal number without sign or leading zeros, or nil.
    @inlinable
    public static func decimal(_ text: Span<UInt8>) -> UInt64? {
        guard !text.isEmpty, text.count < 20 else { return nil }
        var number: UInt64 = 0
        for index in text.indices {
            guard text[index] &- 48 < 10, index == 0 || number > 0 else { return nil }
            number = number &* 10 &+ UInt64(text[index] &- 48)
        }
        return number
    }

    /// The text of an unsigned decimal number without sign or leading zeros, or nil.
    @inlinable
    public static func decimal(_ text: some Sequence<UInt8>) -> UInt64? {
        var number: UInt64 = 0
        var count = 0
        for byte in text {
            guard byte >= 48, byte <= 57, count == 0 || number > 0 else { return nil }
            let (product, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - 48))
            guard !overflow, !carry else { return nil }
            number = sum
            count += 1
        }
        return count == 0 ? nil : number
    }
}
