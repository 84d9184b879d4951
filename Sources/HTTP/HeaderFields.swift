// Finding a field by its name in a head that was read already: for those who need more of it than
// the path of a request does.

import Bytes

/// The fields of a checked head.
package enum HeaderFields {
    /// The values of a field, in order, without the blanks around them.
    ///
    /// - Parameters:
    ///   - name: in lower case.
    ///   - text: what the head is in.
    ///   - head: the head that `RequestParser` has read there.
    package static func values(
        of name: String,
        in text: Span<UInt8>,
        _ head: RequestHead
    ) -> [String] {
        var values: [String] = []
        var position = 0
        while position < head.length {
            var end = position
            while end < head.length, text[end] != 0x0d { end += 1 }
            var colon = position
            while colon < end, text[colon] != UInt8(ascii: ":") { colon += 1 }
            let field = Bytes.string(text, position..<colon)
            if colon < end, field.utf8.count == name.utf8.count, field.lowercased() == name {
                values.append(trimmed(text, colon + 1..<end))
            }
            position = end + 2
        }
        return values
    }

    private static func trimmed(_ text: Span<UInt8>, _ range: Range<Int>) -> String {
        var (start, end) = (range.lowerBound, range.upperBound)
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        while start < end, isBlank(text[start]) { start += 1 }
        while start < end, isBlank(text[end - 1]) { end -= 1 }
        return Bytes.string(text, start..<end)
    }
}
