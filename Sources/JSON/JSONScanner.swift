// The scanner's small steps: space, words, numbers, strings with their escapes and UTF-8.

import Bytes

enum JSONScanner {
    @inline(__always)
    static func skipSpace(_ text: Span<UInt8>, _ from: Int) -> Int {
        var position = from
        while position < text.count {
            switch text[position] {
            case 0x20, 0x0a, 0x0d, 0x09: position += 1
            default: return position
            }
        }
        return position
    }

    static func scanWord(
        _ text: Span<UInt8>,
        _ position: inout Int,
        _ word: StaticString
    ) throws(JSONError) {
        for byte in word.description.utf8 {
            guard position < text.count, text[position] == byte else {
                throw JSONError(problem: "expected '\(word)'", offset: position)
            }
            position += 1
        }
    }

    static func scanNumber(_ text: Span<UInt8>, _ position: inout Int) throws(JSONError) {
        let start = position
        if text[position] == UInt8(ascii: "-") { position += 1 }
        guard position < text.count, isDigit(text[position]) else {
            let problem = position == start ? "expected a value" : "expected a digit behind '-'"
            throw JSONError(problem: problem, offset: position)
        }
        if text[position] == UInt8(ascii: "0") {
            position += 1
            if position < text.count, isDigit(text[position]) {
                throw JSONError(problem: "a number may not begin with 0", offset: position - 1)
            }
        } else {
            skipDigits(text, &position)
        }
        if position < text.count, text[position] == UInt8(ascii: ".") {
            position += 1
            try requireDigits(text, &position, "expected a digit behind '.'")
        }
        if position < text.count, text[position] | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < text.count,
                text[position] == UInt8(ascii: "+") || text[position] == UInt8(ascii: "-")
            {
                position += 1
            }
            try requireDigits(text, &position, "expected a digit in the exponent")
        }
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }

    private static func skipDigits(_ text: Span<UInt8>, _ position: inout Int) {
        while position < text.count, isDigit(text[position]) { position += 1 }
    }

    private static func requireDigits(
        _ text: Span<UInt8>,
        _ position: inout Int,
        _ problem: StaticString
    ) throws(JSONError) {
        guard position < text.count, isDigit(text[position]) else {
            throw JSONError(problem: problem.description, offset: position)
        }
        skipDigits(text, &position)
    }

    /// Reads a string from its opening quote on; returns whether it holds an escape.
    static func scanString(
        _ text: Span<UInt8>,
        _ position: inout Int
    ) throws(JSONError) -> Bool {
        var escaped = false
        position += 1
        while position < text.count {
            let byte = text[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return escaped
            case UInt8(ascii: "\\"):
                escaped = true
                try scanEscape(text, &position)
            case 0..<0x20:
                throw JSONError(problem: "a control character in a string", offset: position)
            case 0x20..<0x80:
                position += 1
            default:
                try scanMultibyte(text, &position)
            }
        }
        throw JSONError(problem: "the text ends inside a string", offset: position)
    }

    private static func scanEscape(
        _ text: Span<UInt8>,
        _ position: inout Int
    ) throws(JSONError) {
        guard position + 1 < text.count else {
            throw JSONError(problem: "the text ends inside a string", offset: position)
        }
        switch text[position + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position += 2
        case UInt8(ascii: "u"):
            let unit = try hexUnit(text, position)
            switch unit {
            case 0xd800..<0xdc00:
                let low = try? hexUnit(text, position + 6)
                guard let low, low >= 0xdc00, low < 0xe000 else {
                    throw JSONError(problem: "half of a surrogate pair", offset: position)
                }
                position += 12
            case 0xdc00..<0xe000:
                throw JSONError(problem: "half of a surrogate pair", offset: position)
            default:
                position += 6
            }
        default:
            throw JSONError(problem: "an unknown escape in a string", offset: position)
        }
    }

    /// The number of the `\uXXXX` at `position`.
    static func hexUnit(_ text: Span<UInt8>, _ position: Int) throws(JSONError) -> UInt32 {
        guard position + 6 <= text.count, text[position] == UInt8(ascii: "\\"),
            text[position + 1] == UInt8(ascii: "u")
        else {
            throw JSONError(
                problem: "expected four hexadecimal digits behind \\u",
                offset: position
            )
        }
        var unit: UInt32 = 0
        for offset in 2..<6 {
            guard let digit = Hex.value(text[position + offset]) else {
                throw JSONError(
                    problem: "expected four hexadecimal digits behind \\u",
                    offset: position + offset
                )
            }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    /// Checks one multi-byte character: no overlong form, no surrogate, nothing above U+10FFFF.
    private static func scanMultibyte(
        _ text: Span<UInt8>,
        _ position: inout Int
    ) throws(JSONError) {
        let lead = text[position]
        let (count, low, high): (Int, UInt8, UInt8)
        switch lead {
        case 0xc2...0xdf: (count, low, high) = (2, 0x80, 0xbf)
        case 0xe0: (count, low, high) = (3, 0xa0, 0xbf)
        case 0xed: (count, low, high) = (3, 0x80, 0x9f)
        case 0xe1...0xef: (count, low, high) = (3, 0x80, 0xbf)
        case 0xf0: (count, low, high) = (4, 0x90, 0xbf)
        case 0xf1...0xf3: (count, low, high) = (4, 0x80, 0xbf)
        case 0xf4: (count, low, high) = (4, 0x80, 0x8f)
        default: throw JSONError(problem: "bytes that are not UTF-8", offset: position)
        }
        guard position + count <= text.count, text[position + 1] >= low, text[position + 1] <= high
        else {
            throw JSONError(problem: "bytes that are not UTF-8", offset: position)
        }
        for offset in 2..<max(count, 2) where text[position + offset] & 0xc0 != 0x80 {
            throw JSONError(problem: "bytes that are not UTF-8", offset: position)
        }
        position += count
    }
}
