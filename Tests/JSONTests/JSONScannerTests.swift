import JSON
import TestSupport
import Testing

/// The scanner reads sixteen bytes at a time; a reader of one byte at a time says what is right.
struct JSONScannerTests {
    /// What a parse came to.
    private enum Outcome: Equatable {
        case accepted([Entry])
        case refused(JSONError)
    }

    private struct Entry: Equatable {
        let kind: JSONKind
        let flag: Bool
        let range: Range<Int>
    }

    /// Parses a text that ends where its memory ends: AddressSanitizer sees a read behind it.
    private func parse(_ text: [UInt8], with document: inout JSONDocument) -> Outcome {
        let storage = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.count)
        defer { unsafe storage.deallocate() }
        _ = unsafe storage.initialize(from: text)
        do throws(JSONError) {
            try unsafe document.parse(UnsafeBufferPointer(storage).span)
        } catch {
            if !document.entries.isEmpty { Issue.record("values after a fault") }
            return .refused(error)
        }
        return .accepted(
            document.entries.map { Entry(kind: $0.kind, flag: $0.flag, range: $0.range) }
        )
    }

    /// What a text of spaces and one string has to come to.
    private func expected(_ text: [UInt8], _ start: Int) -> Outcome {
        var position = start + 1
        var isEscaped = false
        let refuse = { Outcome.refused(JSONError(problem: $0, offset: $1)) }
        while position < text.count {
            switch text[position] {
            case 0x22:
                guard position + 1 == text.count else {
                    return refuse("unexpected text behind the value", position + 1)
                }
                let range = start..<position + 1
                return .accepted([Entry(kind: .string, flag: isEscaped, range: range)])
            case 0x5c:
                isEscaped = true
                switch escape(text, position) {
                case .success(let count): position += count
                case .failure(let error): return .refused(error)
                }
            case 0..<0x20:
                return refuse("a control character in a string", position)
            case let byte:
                let count = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
                let character = text[position..<min(position + count, text.count)]
                guard let string = String(validating: character, as: UTF8.self),
                    string.unicodeScalars.count == 1
                else { return refuse("bytes that are not UTF-8", position) }
                position += count
            }
        }
        return refuse("the text ends inside a string", position)
    }

    /// How many bytes the escape at `position` has.
    private func escape(_ text: [UInt8], _ position: Int) -> Result<Int, JSONError> {
        let refuse = { Result<Int, JSONError>.failure(JSONError(problem: $0, offset: $1)) }
        guard position + 1 < text.count else {
            return refuse("the text ends inside a string", position)
        }
        guard text[position + 1] == UInt8(ascii: "u") else {
            let isKnown = Array("\"\\/bfnrt".utf8).contains(text[position + 1])
            return isKnown ? .success(2) : refuse("an unknown escape in a string", position)
        }
        func unit(_ position: Int) -> Result<Int, JSONError> {
            let problem = "expected four hexadecimal digits behind \\u"
            guard position + 6 <= text.count, text[position] == 0x5c,
                text[position + 1] == UInt8(ascii: "u")
            else { return refuse(problem, position) }
            var unit = 0
            for index in position + 2..<position + 6 {
                let digit = Character(Unicode.Scalar(text[index]))
                guard digit.isASCII, let value = digit.hexDigitValue else {
                    return refuse(problem, index)
                }
                unit = unit * 16 + value
            }
            return .success(unit)
        }
        switch unit(position) {
        case .failure(let error): return .failure(error)
        case .success(0xdc00..<0xe000): return refuse("half of a surrogate pair", position)
        case .success(0xd800..<0xdc00):
            guard case .success(0xdc00..<0xe000) = unit(position + 6) else {
                return refuse("half of a surrogate pair", position)
            }
            return .success(12)
        case .success: return .success(6)
        }
    }

    /// What is put into strings: what ends one, what is refused in one, what is only just right.
    static let specials: [[UInt8]] =
        [
            [0x22], [0x5c], [0x00], [0x1f], [0x0a], [0x20], [0x7f], [0x21], [0x23], [0x5b], [0x5d],
            [0xc2, 0x80], [0xdf, 0xbf], [0xe0, 0xa0, 0x80], [0xed, 0x9f, 0xbf], [0xee, 0x80, 0x80],
            [0xef, 0xbf, 0xbf], [0xf0, 0x90, 0x80, 0x80], [0xf3, 0xbf, 0xbf, 0xbf],
            [0xf4, 0x8f, 0xbf, 0xbf], [0x80], [0xbf], [0xc0, 0x80], [0xc1, 0xbf], [0xc3],
            [0xc3, 0xc3, 0xa9], [0xe0, 0x80, 0x80], [0xe0, 0x9f, 0xbf], [0xe2, 0x82], [0xe2],
            [0xed, 0xa0, 0x80], [0xed, 0xbf, 0xbf], [0xf0, 0x80, 0x80, 0x80],
            [0xf0, 0x8f, 0xbf, 0xbf], [0xf0, 0x9f, 0x98], [0xf0, 0x9f], [0xf4, 0x90, 0x80, 0x80],
            [0xf5, 0x80, 0x80, 0x80], [0xf8, 0x88, 0x80, 0x80, 0x80], [0xfe], [0xff],
        ]
        + [
            "\\n", "\\\"", "\\\\", "\\/", "\\a", "\\u0041", "\\u00e9", "\\uD83d\\udE00",
            "\\ud83d", "\\ud83d\\u0041", "\\udc00", "\\u12g4", "\\u@000", "\\u`000", "\\u:000",
        ].map { Array($0.utf8) }

    @Test(arguments: specials)
    func `a string with something special in it is judged as byte by byte`(special: [UInt8]) {
        var document = JSONDocument()
        var count = 0
        let check = { (filler: [UInt8], before: Int, after: Int, spaces: Int) in
            var text = [UInt8](repeating: 0x20, count: spaces)
            text.append(0x22)
            for _ in 0..<before { text += filler }
            text += special
            for _ in 0..<after { text += filler }
            text.append(0x22)
            if parse(text, with: &document) != expected(text, spaces) {
                Issue.record("\(text)")
            }
            count += 1
        }
        // Every length and place, each at one alignment; then every alignment of the short ones.
        for length in 0...100 {
            for before in 0...length {
                check([0x61], before, length - before, (length + 7 * before) % 16)
            }
        }
        for filler in [[0x61], [0xc3, 0xa9], [0xe6, 0xbc, 0xa2]] as [[UInt8]] {
            for length in [0, 1, 7, 15, 16, 17, 33] {
                for spaces in 0..<16 {
                    check(filler, length / 2, length - length / 2, spaces)
                    check(filler, length, 0, spaces)
                    check(filler, 0, length, spaces)
                }
            }
        }
        #expect(count > 6000)
    }

    @Test func `a string may end at any byte of its text, and the text at any of its bytes`() {
        var document = JSONDocument()
        let body = Array("aé漢😀\\n\\u00e9\\ud83d\\ude00 and some more plain text é".utf8)
        for spaces in 0..<20 {
            let text = [UInt8](repeating: 0x20, count: spaces) + [0x22] + body + [0x22]
            for end in spaces + 1...text.count {
                let prefix = Array(text[..<end])
                #expect(parse(prefix, with: &document) == expected(prefix, spaces))
            }
        }
    }

    @Test func `numbers of every form end where they end`() {
        var document = JSONDocument()
        let digits = ["1", "12", "1234567", "12345678", "123456789", "12345678901234567890123"]
        let exponents = ["", "e1", "E+12", "e-123456789", "e12345678"]
        for sign in ["", "-"] {
            for whole in ["0"] + digits {
                for fraction in [""] + (["0"] + digits).map({ ".\($0)" }) {
                    for exponent in exponents {
                        let number = Array("\(sign)\(whole)\(fraction)\(exponent)".utf8)
                        let entry = Entry(kind: .number, flag: false, range: 0..<number.count)
                        #expect(parse(number, with: &document) == .accepted([entry]))
                        let (start, end) = (3, 3 + number.count)
                        let text = Array("[0,".utf8) + number + Array(",\"behind\"]".utf8)
                        guard case .accepted(let entries) = parse(text, with: &document) else {
                            Issue.record("\(String(decoding: text, as: UTF8.self))")
                            continue
                        }
                        #expect(entries[2].range == start..<end)
                    }
                }
            }
        }
    }

    @Test(arguments: [
        ("-", "expected a digit behind '-'", 1), ("-a", "expected a digit behind '-'", 1),
        ("00", "a number may not begin with 0", 0), ("-01", "a number may not begin with 0", 1),
        ("1.", "expected a digit behind '.'", 2), ("1.e1", "expected a digit behind '.'", 2),
        ("1e", "expected a digit in the exponent", 2),
        ("1E+", "expected a digit in the exponent", 3),
        ("0.12345678901234567e-x", "expected a digit in the exponent", 21),
        ("12345678/", "unexpected text behind the value", 8),
        ("123456789012345:", "unexpected text behind the value", 15), (".5", "expected a value", 0),
        ("+1", "expected a value", 0), ("tru", "expected 'true'", 3),
        ("trve", "expected 'true'", 2), ("fals ", "expected 'false'", 4),
        ("nulL", "expected 'null'", 3), ("", "the text ends where a value should be", 0),
        ("[1,", "the text ends where a value should be", 3), ("[,", "expected a value", 1),
        ("[1,]", "expected a value", 3), ("{\"a\":}", "expected a value", 5),
        ("{,", "expected a member's name in quotes", 1),
        ("{", "expected a member's name in quotes", 1),
        ("{\"a\":1,}", "expected a member's name in quotes", 7),
        ("[}", "expected a value", 1), ("{]", "expected a member's name in quotes", 1),
        ("{\"a\" 1", "expected ':' behind a member's name", 5),
        ("[1", "the text ends inside a value", 2),
        ("[1}", "expected ',' or ']'", 2), ("{\"a\":1]", "expected ',' or '}'", 6),
        ("1,", "unexpected text behind the value", 1),
        ("1\0", "unexpected text behind the value", 1),
        ("[1\0", "expected ',' or ']'", 2), ("\0", "expected a value", 0),
    ])
    func `a fault is named with its place`(text: String, problem: String, offset: Int) {
        var document = JSONDocument()
        let error = JSONError(problem: problem, offset: offset)
        #expect(parse(Array(text.utf8), with: &document) == .refused(error))
    }

    @Test func `space of every length and kind is skipped`() {
        var document = JSONDocument()
        let kinds = Array(" \n\r\t".utf8)
        for count in 0..<70 {
            let space = (0..<count).map { kinds[($0 / 3) % 4] }
            for (text, values) in [("[", "]"), ("{", "}")].map({ ($0, 1) })
                + [
                    (("[1,", "2]"), 3), (("{\"a\":", "1}"), 3), (("{\"a\"", ":1}"), 3),
                    (("[1", "]"), 2),
                ]
            {
                let bytes = space + Array(text.0.utf8) + space + Array(text.1.utf8) + space
                guard case .accepted(let entries) = parse(bytes, with: &document) else {
                    Issue.record("\(text), \(count)")
                    continue
                }
                #expect(entries.count == values)
                #expect(entries[0].range.lowerBound == count)
                #expect(entries[0].range.upperBound == bytes.count - count)
            }
            let fault = space + [0x0b]
            let error = JSONError(problem: "expected a value", offset: count)
            #expect(parse(fault, with: &document) == .refused(error))
        }
    }

    @Test func `names that differ in one byte are different, and equal ones are found`() {
        var document = JSONDocument()
        for length in 0...40 {
            let name = [UInt8](repeating: 0x61, count: length)
            for place in 0..<length {
                var other = name
                other[place] = 0x62
                let text = object([name, other])
                guard case .accepted = parse(text, with: &document) else {
                    Issue.record("\(String(decoding: text, as: UTF8.self))")
                    continue
                }
            }
            for between in [0, 1, 14, 15, 300] {
                let others = (0..<between).map { Array("other\($0)".utf8) }
                let text = object([name] + others + [name])
                let string = String(decoding: name, as: UTF8.self)
                let error = JSONError(
                    problem: "the member \"\(string)\" stands twice in one object",
                    offset: text.count - length - 5
                )
                #expect(parse(text, with: &document) == .refused(error))
            }
        }
    }

    private func object(_ names: [[UInt8]]) -> [UInt8] {
        var text = Array("{".utf8)
        for name in names {
            if text.count > 1 { text.append(0x2c) }
            text += [0x22] + name + Array("\":1".utf8)
        }
        return text + Array("}".utf8)
    }

    @Test func `a list that is too short for a text grows, whatever stands where`() {
        let dense = String(repeating: "[],", count: 3000)
        let long = "\"\(String(repeating: "text ", count: 3000))\""
        for text in ["[\(dense)\(long)]", "[\(long),\(dense)0]", "[\(dense)\(long),\(dense)0]"] {
            var document = JSONDocument()
            for _ in 0..<2 {
                guard case .accepted(let entries) = parse(Array(text.utf8), with: &document) else {
                    Issue.record("refused")
                    return
                }
                let dense = text.split(separator: "[]").count - 1
                #expect(entries.count == dense + 2 + (text.hasSuffix(",0]") ? 1 : 0))
                document.shrink(to: 0)
            }
        }
    }

    @Test func `a document that has grown allocates nothing more`() throws {
        for name in ["member", "m\\u0065mber"] {
            for count in [0, 1, 4, 16, 17, 40, 300] {
                let members = (0..<count).map { "\"\(name)\($0)\": [\($0), \"é\\n\"]" }
                let object = "{\(members.joined(separator: ", "))}"
                let text = Array("[\(object), {\"a\": 1.5, \"b\": null}]".utf8)
                var document = JSONDocument()
                let allocations = try AllocationCount.during(calls: 100) {
                    try document.parse(text.span)
                }
                #expect(allocations ?? 0 == 0, "\(count) times \(name)")
            }
        }
    }
}
