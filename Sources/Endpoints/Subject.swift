// Whose request it is: from the JSON value at the subject key to canonical bytes.
//
// Clients differ in how they write one number: 123, 123.0, 1.23e2 and "123" are one subject. Text
// is taken as it was sent: no trimming, no case folding, no normalisation. What cannot name anybody
// (null, a boolean, a fraction, an array, an object, the empty string) is no subject, and the
// request is then a coin flip that says so.

import Bytes
package import JSON

/// Canonical subjects.
package enum Subject {
    /// Bytes that a subject may have.
    package static let bytesMaximum = 1024
    /// Digits of an integer that is written with a fraction or an exponent.
    static let expandedDigitsMaximum = 21

    /// Appends the canonical subject of a value; false when the value is no subject.
    package static func append(
        _ entry: JSONEntry,
        in text: Span<UInt8>,
        to subject: inout [UInt8]
    ) -> Bool {
        switch entry.kind {
        case .string:
            guard !entry.contents.isEmpty else { return false }
            let contents = text.extracting(entry.contents)
            if entry.flag {
                JSONText.unescape(contents) { subject.append($0) }
            } else {
                subject.append(contents)
            }
            return true
        case .number:
            return appendNumber(text.extracting(entry.range), &subject)
        case .null, .boolean, .array, .object:
            return false
        }
    }

    /// Appends the decimal digits of a number's text if it is an integer.
    private static func appendNumber(_ text: Span<UInt8>, _ subject: inout [UInt8]) -> Bool {
        var isPlain = true
        for index in text.indices where !isDigit(text[index]) {
            if index > 0 || text[index] != UInt8(ascii: "-") { isPlain = false }
        }
        if isPlain {
            if text.count == 2, text[0] == UInt8(ascii: "-"), text[1] == UInt8(ascii: "0") {
                subject.append(UInt8(ascii: "0"))
            } else {
                subject.append(text)
            }
            return true
        }
        return appendExpanded(text, &subject)
    }

    /// Appends `1.23e2` as `123`; false when a fraction remains or the integer is too long.
    private static func appendExpanded(_ text: Span<UInt8>, _ subject: inout [UInt8]) -> Bool {
        var position = 0
        let isNegative = text[0] == UInt8(ascii: "-")
        if isNegative { position = 1 }
        // The digits without the point, and where the point stands in them.
        var digits: [UInt8] = []
        var point: Int?
        while position < text.count, text[position] | 0x20 != UInt8(ascii: "e") {
            if text[position] == UInt8(ascii: ".") {
                point = digits.count
            } else {
                digits.append(text[position])
            }
            position += 1
        }
        var place = point ?? digits.count
        if position < text.count {
            guard let exponent = exponent(text, position + 1) else {
                return appendZero(if: digits, &subject)
            }
            place += exponent
        }
        guard let first = digits.firstIndex(where: { $0 != UInt8(ascii: "0") }) else {
            subject.append(UInt8(ascii: "0"))
            return true
        }
        // Behind the point there may only be zeros.
        let fraction = digits[max(0, min(place, digits.count))...]
        guard place > first, fraction.allSatisfy({ $0 == UInt8(ascii: "0") }),
            place - first <= expandedDigitsMaximum
        else { return false }
        if isNegative { subject.append(UInt8(ascii: "-")) }
        for index in first..<place {
            subject.append(index < digits.count ? digits[index] : UInt8(ascii: "0"))
        }
        return true
    }

    private static func appendZero(if digits: [UInt8], _ subject: inout [UInt8]) -> Bool {
        guard digits.allSatisfy({ $0 == UInt8(ascii: "0") }) else { return false }
        subject.append(UInt8(ascii: "0"))
        return true
    }

    /// The exponent from `start` on, or nil when it is beyond any integer that counts.
    private static func exponent(_ text: Span<UInt8>, _ start: Int) -> Int? {
        var position = start
        var isNegative = false
        if text[position] == UInt8(ascii: "-") || text[position] == UInt8(ascii: "+") {
            isNegative = text[position] == UInt8(ascii: "-")
            position += 1
        }
        var number = 0
        while position < text.count {
            number = number * 10 + Int(text[position] - 48)
            guard number < 100_000 else { return nil }
            position += 1
        }
        return isNegative ? -number : number
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }
}
