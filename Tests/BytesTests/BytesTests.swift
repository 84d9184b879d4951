import Bytes
import Testing

struct BytesTests {
    @Test(arguments: [0, 7, 10, 99, 100, 12345, UInt64.max])
    func `decimal numbers are written and read back`(number: UInt64) {
        var bytes: [UInt8] = []
        bytes.append(decimal: number)
        #expect(String(decoding: bytes, as: UTF8.self) == String(number))
        #expect(Bytes.decimal(bytes) == number)
    }

    @Test(arguments: ["", "01", "1a", "-1", "18446744073709551616", " 1"])
    func `what is no plain decimal number is refused`(text: String) {
        #expect(Bytes.decimal(text.utf8) == nil)
    }

    @Test func `numbers are padded with zeros`() {
        var bytes: [UInt8] = []
        bytes.append(decimal: 42, width: 6)
        bytes.append(decimal: 1_234_567, width: 6)
        #expect(String(decoding: bytes, as: UTF8.self) == "0000421234567")
    }

    @Test(arguments: [
        ("wieght", "weight"), ("weigth", "weight"), ("depolyment", "deployment"),
        ("valeu", "value"),
    ])
    func `a mistyped word finds the one that was meant`(typed: String, meant: String) {
        #expect(Suggestion.nearest(to: typed, in: ["deployment", "value", "weight"]) == meant)
    }

    @Test func `a word that is far from all others has no suggestion`() {
        #expect(Suggestion.nearest(to: "banana", in: ["deployment", "value", "weight"]) == nil)
        #expect(Suggestion.nearest(to: "x", in: ["a", "b"]) == nil)
    }

    @Test(arguments: [
        ("switchyard", "switchyard"), ("/a/b-c:d=1", "/a/b-c:d=1"), ("", "''"), ("a b", "'a b'"),
        ("it's", "'it'\\''s'"), ("$(x)", "'$(x)'"),
    ])
    func `a word of a command line is quoted where a shell would read it otherwise`(
        text: String,
        word: String
    ) {
        #expect(Visible.word(text) == word)
    }

    @Test func `among thousands of words a near one is found by looking at a few`() {
        let index = SuggestionIndex(
            (0..<5000).map { "endpoint_\($0 * 7919)" } + ["pricing", "fraud"]
        )
        for (typed, meant) in [
            ("pricnig", "pricing"), ("rpicing", "pricing"), ("prcing", "pricing"),
            ("xfraud", "fraud"),
            ("frauds", "fraud"), ("pricing", "pricing"),
        ] {
            #expect(index.nearest(to: typed) == meant, "\(typed)")
        }
        for typed in ["banana", "", String(repeating: "endpoint_", count: 100)] {
            #expect(index.nearest(to: typed) == nil, "\(typed)")
        }
        #expect(SuggestionIndex([]).nearest(to: "a") == nil)
    }
}
