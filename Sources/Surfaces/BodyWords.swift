// What somebody has probably sent whose body is not JSON: named, with what to send.

import Bytes
package import JSON

/// Recognises other forms of data.
package enum BodyWords {
    /// The sentence about a body that is not JSON.
    package static func sentence(_ body: Span<UInt8>, _ error: JSONError) -> String {
        if let mistake = encoding(body) ?? form(body) { return mistake }
        if let mistake = word(body, at: error.offset) {
            return "\(mistake) at byte "
                + "\(error.offset)"
        }
        return "the body is not JSON: \(error)"
    }

    private static func encoding(_ body: Span<UInt8>) -> String? {
        guard body.count >= 2 else {
            return body.isEmpty
                ? "the body is empty; wanted JSON, such as {\"data\": {…}}" : nil
        }
        switch (body[0], body[1]) {
        case (0xef, 0xbb):
            return "the body begins with a byte order mark, which JSON has not: save or send it as "
                + "UTF-8 without one (Python: encoding='utf-8', not 'utf-8-sig')"
        case (0xff, 0xfe), (0xfe, 0xff), (0, 0x20...0x7e), (0x20...0x7e, 0):
            return "the body is UTF-16; JSON is UTF-8: send it as UTF-8"
        case (0x1f, 0x8b):
            return "the body is compressed with gzip, and has no Content-Encoding that says so; "
                + "neither is taken: send it plain"
        case (0x28, 0xb5) where body.count > 3 && body[2] == 0x2f && body[3] == 0xfd:
            return "the body is compressed with zstd: send it plain"
        case (0x50, 0x4b): return "the body is a ZIP file; wanted JSON"
        default: return nil
        }
    }

    private static func form(_ body: Span<UInt8>) -> String? {
        if body.count > 4, body[0] == UInt8(ascii: "-"), body[1] == UInt8(ascii: "-") {
            return "the body is multipart/form-data; wanted JSON: with curl use -d '{…}' instead "
                + "of -F, with requests json= instead of files="
        }
        // `a=1&b=2`: a name, and a sign that cannot stand behind one in JSON.
        var index = 0
        while index < body.count, isNameByte(body[index]) { index += 1 }
        if index > 0, index < body.count, body[index] == UInt8(ascii: "=") {
            return "the body is a form (name=value); wanted JSON: with requests use json= instead "
                + "of data=, with curl -d '{\"data\": {…}}'"
        }
        return nil
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte | 0x20 &- 97 < 26 || byte &- 48 < 10
            || [0x5f, 0x25, 0x2d, 0x2e, 0x5b, 0x5d].contains(byte)
    }

    /// What stands where JSON ends to be JSON.
    private static func word(_ body: Span<UInt8>, at offset: Int) -> String? {
        func isAt(_ word: StaticString, _ place: Int) -> Bool {
            place >= 0 && place + word.utf8CodeUnitCount <= body.count
                && Bytes.equal(body, place..<place + word.utf8CodeUnitCount, word)
        }
        for place in [offset - 1, offset] {
            for word in ["NaN", "-Infinity", "Infinity", "nan", "-inf", "inf"] as [StaticString]
            where isAt(word, place) {
                return "\(word) is not JSON, which has no such numbers; wanted null: with pandas "
                    + "df.astype(object).where(df.notna(), None), or df.to_json(), which writes "
                    + "null, instead of json.dumps(df.to_dict())"
            }
            for (word, right) in [("None", "null"), ("True", "true"), ("False", "false")]
                as [(StaticString, StaticString)]
            where isAt(word, place) {
                return "\(word) is Python's, JSON has \(right): use json.dumps(…) instead of str(…)"
            }
            if isAt("'", place) {
                return "' is no quote in JSON, which has \" only: use json.dumps(…) instead of "
                    + "str(…), and in a shell put the whole body into '…'"
            }
            if isAt("undefined", place) {
                return "undefined is JavaScript's, JSON has null: use JSON.stringify(…)"
            }
        }
        return nil
    }
}
