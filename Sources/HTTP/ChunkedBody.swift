// Bodies in chunks (RFC 9112 7.1): where they end, and what they hold.

import Bytes

/// Reads a chunked body as it arrives. Trailer fields are checked for their form and dropped.
///
/// What was read stays read: a body that comes in many pieces is looked at once.
package struct ChunkedBody: Sendable {
    /// Chunk extensions longer than this are refused: nobody needs them, and they cost memory.
    static let extensionBytesMaximum = 256
    static let trailerBytesMaximum = 4096
    static let trailersMaximum = 100

    /// What the complete chunks hold.
    package private(set) var contents: [UInt8] = []
    private let start: Int
    private var position: Int

    /// Reads from `start` on: the length of the request's head.
    package init(from start: Int) {
        self.start = start
        position = start
    }

    /// Goes on reading; `text` begins where it began before, and holds more.
    ///
    /// Returns where the body ends, framing included, or nil while it is incomplete. `limit` is of
    /// the bytes on the wire.
    package mutating func read(_ text: Span<UInt8>, limit: Int) throws(HTTPFault) -> Int? {
        while true {
            var next = position
            guard let size = try Self.readSize(text, &next, limit) else { return nil }
            if size == 0 { return try Self.readTrailers(text, next) }
            guard next - self.start + size <= limit else {
                throw HTTPFault(.contentTooLarge, "the body is larger than \(limit) bytes")
            }
            guard next + size + 2 <= text.count else { return nil }
            guard text[next + size] == 0x0d, text[next + size + 1] == 0x0a else {
                throw HTTPFault(.badRequest, "a chunk does not end where its size says")
            }
            contents.append(text.extracting(next..<next + size))
            position = next + size + 2
        }
    }

    /// Reads a chunk's size line; nil while it is incomplete.
    private static func readSize(
        _ text: Span<UInt8>,
        _ position: inout Int,
        _ limit: Int
    ) throws(HTTPFault) -> Int? {
        let start = position
        var size = 0
        while position < text.count, let digit = Hex.value(text[position]) {
            size = size << 4 | Int(digit)
            position += 1
            guard position - start <= 16 else {
                throw HTTPFault(.badRequest, "a chunk's size has more than 16 digits")
            }
            guard size <= limit else {
                throw HTTPFault(.contentTooLarge, "the body is larger than \(limit) bytes")
            }
        }
        guard position < text.count else { return nil }
        guard position > start else {
            throw HTTPFault(.badRequest, "a chunk does not begin with its size in hexadecimal")
        }
        let extensionStart = position
        while position < text.count, text[position] != 0x0d {
            guard position - extensionStart < extensionBytesMaximum else { throw badExtension }
            position += 1
        }
        guard position + 1 < text.count else { return nil }
        try checkExtensions(text, extensionStart..<position)
        guard text[position + 1] == 0x0a else {
            throw HTTPFault(.badRequest, "a chunk's size line has CR without LF")
        }
        position += 2
        return size
    }

    private static let badExtension = HTTPFault(
        .badRequest,
        "a chunk's size is followed by something else than ';', a name and an optional value"
    )

    /// Checks what may stand behind a size: `;name`, `;name=value` or `;name="a value"`, with
    /// blanks around the signs (RFC 9112 7.1.1).
    private static func checkExtensions(
        _ text: Span<UInt8>,
        _ place: Range<Int>
    ) throws(HTTPFault) {
        var position = place.lowerBound
        func isAt(_ sign: Unicode.Scalar) -> Bool {
            position < place.upperBound && text[position] == UInt8(ascii: sign)
        }
        func skipBlanks() { while isAt(" ") || isAt("\t") { position += 1 } }
        func skipToken() -> Bool {
            let start = position
            while position < place.upperBound, Field.isTokenByte(text[position]) { position += 1 }
            return position > start
        }
        func skipQuoted() -> Bool {
            position += 1
            while position < place.upperBound, !isAt("\"") {
                if isAt("\\") { position += 1 }
                guard position < place.upperBound, Field.isValueByte(text[position]) else {
                    return false
                }
                position += 1
            }
            position += 1
            return position <= place.upperBound
        }
        while position < place.upperBound {
            skipBlanks()
            guard isAt(";") else { throw badExtension }
            position += 1
            skipBlanks()
            guard skipToken() else { throw badExtension }
            let nameEnd = position
            skipBlanks()
            guard isAt("=") else {
                position = nameEnd
                continue
            }
            position += 1
            skipBlanks()
            guard isAt("\"") ? skipQuoted() : skipToken() else { throw badExtension }
        }
    }

    /// Reads the trailer fields and the empty line that ends the body.
    private static func readTrailers(
        _ text: Span<UInt8>,
        _ start: Int
    ) throws(HTTPFault) -> Int? {
        var position = start
        var lineStart = start
        var count = 0
        while position < text.count {
            guard position - start < trailerBytesMaximum else {
                throw HTTPFault(.headerFieldsTooLarge, "the trailer fields are too long")
            }
            if text[position] == 0x0a {
                guard position > lineStart, text[position - 1] == 0x0d else {
                    throw HTTPFault(.badRequest, "a line behind the chunks ends with LF without CR")
                }
                if position - 1 == lineStart { return position + 1 }
                count += 1
                guard count <= trailersMaximum else {
                    throw HTTPFault(
                        .headerFieldsTooLarge,
                        "there are more than \(trailersMaximum) trailer fields"
                    )
                }
                try checkTrailer(text, lineStart..<position - 1)
                lineStart = position + 1
            }
            position += 1
        }
        return nil
    }

    /// Refuses a trailer line that is no field: a name, a colon, a value.
    private static func checkTrailer(_ text: Span<UInt8>, _ line: Range<Int>) throws(HTTPFault) {
        var position = line.lowerBound
        while position < line.upperBound, Field.isTokenByte(text[position]) { position += 1 }
        guard position > line.lowerBound, position < line.upperBound,
            text[position] == UInt8(ascii: ":")
        else {
            throw HTTPFault(
                .badRequest,
                "a line behind the chunks has no name, a bad name, or a space before its colon"
            )
        }
        for index in position..<line.upperBound where !Field.isValueByte(text[index]) {
            throw HTTPFault(.badRequest, "a trailer field has a control character in its value")
        }
    }
}
