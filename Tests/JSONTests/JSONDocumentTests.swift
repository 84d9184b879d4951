import Bytes
import JSON
import Testing

struct JSONDocumentTests {
    private func parse(_ text: [UInt8], depth: Int = 64) throws(JSONError) {
        var document = JSONDocument()
        document.depthMaximum = depth
        try document.parse(text.span)
    }

    @Test(arguments: [
        "0", "-0", "1.5e+10", "123456789012345678901234567890", "\"\"", "\"\\u00e9\\ud83d\\ude00\"",
        "[]", "{}", "[1,[2,[3]]]", "{\"a\":{\"b\":[true,false,null]}}", " \t\r\n 1 \n", "\"é😀\"",
        "{\"a\":1,\"b\":2,\"c\":3}", "1E400", "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
    ])
    func `a valid text is accepted`(text: String) throws {
        try parse(Array(text.utf8))
    }

    @Test(arguments: [
        "", " ", "01", "-", "1.", ".5", "1e", "+1", "1 2", "[1,]", "[,1]", "{\"a\":1,}", "{a:1}",
        "{\"a\"}", "{\"a\":}", "[", "{", "]", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"",
        "\"\\udc00\"", "\"\\ud800\\u0041\"", "tru", "nul", "True", "NaN", "Infinity", "'a'",
        "\"\t\"",
        "\"\u{0}\"", "\u{feff}1", "[1 2]", "{\"a\":1 \"b\":2}", "//c\n1", "1 /*c*/", "[1]]",
        "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}",
    ])
    func `an invalid text is refused`(text: String) {
        #expect(throws: JSONError.self) { try parse(Array(text.utf8)) }
    }

    @Test(arguments: [
        [0xc0, 0x80], [0xc1, 0xbf], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80],
        [0xf0, 0x80, 0x80, 0x80],
        [0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x80], [0xff], [0xe2, 0x82], [0xc3],
    ])
    func `bytes that are not UTF-8 are refused`(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try parse([0x22] + bytes + [0x22]) }
        #expect(throws: JSONError.self) { try parse([0x22] + bytes) }
    }

    @Test func `a name that stands twice is found among few and many members`() {
        for count in [2, 16, 17, 300] {
            var members = (0..<count).map { "\"k\($0)\":\($0)" }
            #expect(throws: Never.self) {
                try parse(Array("{\(members.joined(separator: ","))}".utf8))
            }
            members.append("\"k1\":0")
            #expect(throws: JSONError.self) {
                try parse(Array("{\(members.joined(separator: ","))}".utf8))
            }
        }
    }

    @Test func `the error names the problem and the place`() {
        #expect(throws: JSONError(problem: "expected ',' or '}'", offset: 8)) {
            try parse(Array("{\"a\": 1 \"b\": 2}".utf8))
        }
        #expect(
            JSONError(problem: "expected a value", offset: 3).description
                == "expected a value at byte 3"
        )
    }

    @Test func `depth is bounded on both sides of the limit`() throws {
        let deep = { (n: Int) in
            Array((String(repeating: "[", count: n) + String(repeating: "]", count: n)).utf8)
        }
        try parse(deep(64))
        #expect(throws: JSONError.self) { try parse(deep(65)) }
        #expect(throws: JSONError.self) { try parse(deep(1_000_000)) }
    }

    @Test func `every prefix of a valid text is refused without a trap`() throws {
        let text = Array(#"{"a": [1, -2.5e3, "é\u00e9\ud83d\ude00", true, null, {"b": {}}]}"#.utf8)
        try parse(text)
        for end in 0..<text.count {
            #expect(throws: JSONError.self, "prefix of \(end)") { try parse(Array(text[..<end])) }
        }
    }

    @Test func `members and elements are found, also by an escaped name`() throws {
        let text = Array(#"{"x": [10, [20, 21], 30], "d\u0061ta": {"k": "v"}}"#.utf8)
        var document = JSONDocument()
        try document.parse(text.span)
        let member = { (name: String) in
            document.member(Array(name.utf8), of: 0, in: text.span)
        }
        let data = try #require(member("data"))
        #expect(document.entries[data].kind == .object)
        let list = try #require(member("x"))
        let third = try #require(document.element(2, of: list))
        #expect(Array(text[document.entries[third].range]) == Array("30".utf8))
        #expect(document.element(3, of: list) == nil)
        #expect(member("y") == nil)
    }

    @Test func `a tree keeps the exact text of numbers and the order of members`() throws {
        let text = #"{"b":1.10,"a":[1e2,-0],"s":"\n\"é"}"#
        let value = try JSONValue(parsing: Array(text.utf8))
        #expect(value.text == #"{"b":1.10,"a":[1e2,-0],"s":"\n\"é"}"#)
    }

    @Test func `written strings never carry control characters or line breaks`() throws {
        var bytes: [UInt8] = []
        bytes.append(jsonString: [0x00, 0x1b, 0x7f, 0x0a, 0xff, 0x41, 0xe2, 0x80, 0xa8].span)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == "\"\\u0000\\u001b\\u007f\\n\u{fffd}A\\u2028\""
        )
        #expect(
            JSONValue.string("\u{80}\u{85}\u{9f}\u{a0}\u{fffe}\u{ffff}").text
                == "\"\\u0080\\u0085\\u009f\u{a0}\\ufffe\\uffff\""
        )
    }

    @Test(arguments: [
        42.5, 0.1, 1e22, Double.leastNonzeroMagnitude, -0.0, 1e16, 0.7443754331247424,
        123_456_789.123, 1.7976931348623157e308,
    ])
    func `a number's text reads back as the same number`(number: Double) {
        var bytes: [UInt8] = []
        bytes.append(addingCapacity: 32) { JSONNumber.append(number, to: &$0) }
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text == number.description)
        #expect(Double(text) == number)
    }

    @Test func `two hundred thousand random numbers are written as the standard library does`() {
        let seed = UInt64.random(in: .min ... .max)
        var state = seed
        var differences = 0
        for round in 0..<200_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let bits = Double(bitPattern: state ^ state >> 29)
            let number = round % 2 == 0 ? bits : Double(Int64(bitPattern: state) >> 24) / 1e6
            guard number.isFinite else { continue }
            var bytes: [UInt8] = []
            bytes.append(addingCapacity: 32) { JSONNumber.append(number, to: &$0) }
            if bytes != Array(number.description.utf8) { differences += 1 }
        }
        #expect(differences == 0, "seed \(seed)")
    }
}
