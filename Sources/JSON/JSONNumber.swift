// From the text of a checked number to a double.

import Bytes

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
    public static func short(_ text: Span<UInt8>) -> Double? {
        var mantissa: UInt64 = 0
        var digits = 0
        var decimals = 0
        var sawPoint = false
        var isNegative = false
        for index in text.indices {
            let byte = text[index]
            switch byte {
            case 0x30...0x39:
                mantissa = mantissa &* 10 &+ UInt64(byte - 0x30)
                digits += 1
                if sawPoint { decimals += 1 }
            case 0x2e: sawPoint = true
            case 0x2d where digits == 0: isNegative = true
            default: return nil
            }
            if digits > 15 { return nil }
        }
        let number = Double(mantissa) / powersOfTen[decimals]
        return isNegative ? -number : number
    }

    /// The double nearest to a checked number; infinite for one that is beyond all of them.
    public static func double(_ text: Span<UInt8>) -> Double {
        if let short = short(text) { return short }
        var copy: [UInt8] = []
        copy.append(text)
        return Double(String(decoding: copy, as: UTF8.self)) ?? .infinity
    }
}

extension Array where Element == UInt8 {
    /// Appends the text of a finite number.
    public mutating func append(jsonNumber number: Double) {
        append(addingCapacity: JSONNumber.bytesMaximum) { JSONNumber.append(number, to: &$0) }
    }
}
