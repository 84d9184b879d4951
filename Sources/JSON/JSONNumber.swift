// From the text of a checked number to a double.

import Bytes

extension JSONNumber {
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
