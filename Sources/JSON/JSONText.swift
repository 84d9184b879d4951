// Strings of JSON, both ways: taking escapes out, and writing text with the escapes it needs.

public import Bytes

/// Text as JSON strings.
public enum JSONText {
    /// The bytes that the inside of a checked JSON string stands for.
    public static func unescaped(_ contents: Span<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(contents.count)
        unescape(contents) { bytes.append($0) }
        return bytes
    }

    /// Hands out, one by one, the bytes that the inside of a checked JSON string stands for.
    ///
    /// They are never more than the bytes of the text.
    @inlinable
    public static func unescape(_ contents: Span<UInt8>, _ body: (UInt8) -> Void) {
        var position = 0
        while position < contents.count {
            let byte = contents[position]
            guard byte == UInt8(ascii: "\\"), position + 1 < contents.count else {
                body(byte)
                position += 1
                continue
            }
            switch contents[position + 1] {
            case UInt8(ascii: "b"): body(0x08)
            case UInt8(ascii: "f"): body(0x0c)
            case UInt8(ascii: "n"): body(0x0a)
            case UInt8(ascii: "r"): body(0x0d)
            case UInt8(ascii: "t"): body(0x09)
            case UInt8(ascii: "u"):
                position += unescapeUnit(contents, position, body)
                continue
            case let other: body(other)
            }
            position += 2
        }
    }

    /// Hands out the UTF-8 of one `\uXXXX` or of a pair of them; returns how much text it took.
    @inlinable
    static func unescapeUnit(
        _ contents: Span<UInt8>,
        _ position: Int,
        _ body: (UInt8) -> Void
    ) -> Int {
        var scalar = unit(contents, position)
        var taken = 6
        if scalar >= 0xd800, scalar < 0xdc00 {
            scalar = 0x10000 + (scalar - 0xd800) << 10 + (unit(contents, position + 6) - 0xdc00)
            taken = 12
        }
        switch scalar {
        case 0..<0x80:
            body(UInt8(truncatingIfNeeded: scalar))
        case 0x80..<0x800:
            body(UInt8(truncatingIfNeeded: 0xc0 | scalar >> 6))
            body(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
        case 0x800..<0x10000:
            body(UInt8(truncatingIfNeeded: 0xe0 | scalar >> 12))
            body(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3f))
            body(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
        default:
            body(UInt8(truncatingIfNeeded: 0xf0 | scalar >> 18))
            body(UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3f))
            body(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3f))
            body(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
        }
        return taken
    }

    @inlinable
    static func unit(_ contents: Span<UInt8>, _ position: Int) -> UInt32 {
        var number: UInt32 = 0
        for offset in 2..<6 where position + offset < contents.count {
            number = number << 4 | UInt32(Hex.value(contents[position + offset]) ?? 0)
        }
        return number
    }
}

extension Array where Element == UInt8 {
    /// Appends a JSON string, quotes included, of UTF-8 bytes.
    ///
    /// Escaped are quotes, backslashes, control characters (U+007F to U+009F are some too), what
    /// would break a line in a terminal or a script (U+2028, U+2029), and what is no character
    /// (U+FFFE, U+FFFF): so YAML takes the string too. Bytes that are not UTF-8 become U+FFFD.
    public mutating func append(jsonString bytes: Span<UInt8>) {
        append(UInt8(ascii: "\""))
        guard !Bytes.arePlain(bytes) else {
            append(bytes)
            return append(UInt8(ascii: "\""))
        }
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                append(UInt8(ascii: "\\"))
                append(byte)
                position += 1
            case 0..<0x20, 0x7f:
                append(jsonEscape: UInt32(byte))
                position += 1
            case 0x20..<0x7f:
                append(byte)
                position += 1
            default:
                position += append(jsonMultibyte: bytes, at: position)
            }
        }
        append(UInt8(ascii: "\""))
    }

    /// Appends a JSON string of a string's UTF-8.
    public mutating func append(jsonString text: String) {
        append(jsonString: Array(text.utf8).span)
    }

    private mutating func append(jsonEscape unit: UInt32) {
        switch unit {
        case 0x08: append("\\b")
        case 0x09: append("\\t")
        case 0x0a: append("\\n")
        case 0x0c: append("\\f")
        case 0x0d: append("\\r")
        default:
            append("\\u")
            for shift in [12, 8, 4, 0] as [UInt32] {
                append(Hex.digit(UInt8(truncatingIfNeeded: unit >> shift & 15)))
            }
        }
    }

    /// Appends the character at `position`; returns how many bytes of the input it took.
    private mutating func append(jsonMultibyte bytes: Span<UInt8>, at position: Int) -> Int {
        var text: [UInt8] = []
        let end = Swift.min(position + 4, bytes.count)
        text.append(bytes.extracting(position..<end))
        var decoder = UTF8()
        var iterator = text.makeIterator()
        guard case .scalarValue(let scalar) = decoder.decode(&iterator) else {
            append("\u{fffd}")
            return 1
        }
        let count = UTF8.width(scalar)
        switch scalar.value {
        case 0x80..<0xa0, 0x2028...0x2029, 0xfffe...0xffff: append(jsonEscape: scalar.value)
        default: append(bytes.extracting(position..<position + count))
        }
        return count
    }
}
