// Strings of JSON, written into the buffers that answers and records are built in.

public import Bytes

extension ByteBuffer {
    /// Appends a JSON string, quotes included, of UTF-8 bytes; see `Array.append(jsonString:)` for
    /// what is escaped.
    public mutating func append(jsonString bytes: Span<UInt8>) {
        guard Bytes.arePlain(bytes) else {
            var text: [UInt8] = []
            text.append(jsonString: bytes)
            return append(text.span)
        }
        append(UInt8(ascii: "\""))
        append(bytes)
        append(UInt8(ascii: "\""))
    }

    /// Appends a JSON string of a string's UTF-8.
    public mutating func append(jsonString text: String) {
        append(jsonString: Array(text.utf8).span)
    }
}
