import Testing
import YAML

struct YAMLParserTests {
    private func parse(_ text: String) throws(YAMLError) -> YAMLNode {
        try YAMLParser.parse(Array(text.utf8))
    }

    @Test func `nodes know where they stand`() throws {
        let root = try parse("a: 1\nb:\n  - x\n  - 'y'\n")
        #expect(root["a"]?.mark == Mark(line: 1, column: 4))
        guard case .sequence(let nodes) = root["b"]?.content else {
            Issue.record("b is no list")
            return
        }
        #expect(nodes[1].mark == Mark(line: 4, column: 5))
        #expect(nodes[0].content == .scalar("x", isPlain: true))
        #expect(nodes[1].content == .scalar("y", isPlain: false))
    }

    @Test(arguments: [
        ("a: &x 1\n", "anchors and tags are not read here"),
        ("a: *x\n", "aliases are not read here"),
        ("a: !!int 1\n", "anchors and tags are not read here"),
        ("<<: {a: 1}\n", "merge keys are not read here"),
        ("a: 1\n---\nb: 2\n", "a second document in one file"),
        ("a: 1\na: 2\n", "the key 'a' stands twice; first in line 1"),
        ("[1]: 2\n", "a key must be plain text"),
        ("", "the file is empty"),
    ])
    func `what is not plain is refused with its place`(text: String, problem: String) {
        let error = #expect(throws: YAMLError.self) { try parse(text) }
        #expect(error?.problem.contains(problem) == true, "\(String(describing: error))")
    }

    @Test func `text that is not YAML is refused with libyaml's reason`() {
        let error = #expect(throws: YAMLError.self) { try parse("a: [1, 2\nb: 3\n") }
        #expect(error?.problem.hasPrefix("not YAML: ") == true)
    }

    @Test func `size and depth are bounded`() {
        let flat = String(repeating: "#", count: 256 * 1024 + 1)
        #expect(throws: YAMLError.self) { try parse(flat) }
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try parse(deep) }
        #expect(throws: YAMLError.self) { try parse("[\(deep)]") }
        // 200,000 brackets would take libyaml minutes; the depth limit ends it at once.
        #expect(throws: YAMLError.self) { try parse(String(repeating: "[", count: 200_000)) }
    }

    @Test func `bytes that are not UTF-8 are refused`() {
        #expect(throws: YAMLError.self) { try YAMLParser.parse([0x61, 0xff, 0x0a]) }
        #expect(throws: YAMLError.self) { try YAMLParser.parse([0xff, 0xfe, 0x61, 0x00]) }
    }

    @Test(arguments: [
        ("", Scalar.null), ("~", .null), ("true", .boolean(true)), ("no", .text("no")),
        ("12", .number("12")), ("+3", .number("3")), ("007", .number("7")), (".5", .number("0.5")),
        ("1.", .number("1")), ("1e3", .number("1e3")), ("-1.50E+2", .number("-1.50e2")),
        ("0x1F", .otherNumber("0x1F")), (".inf", .otherNumber(".inf")), ("1_000", .text("1_000")),
        ("12:30:45", .text("12:30:45")), ("on", .text("on")),
        ("12\u{301}3", .text("12\u{301}3")), ("0o1\u{301}", .text("0o1\u{301}")),
        ("0x\u{ff11}", .text("0x\u{ff11}")),
    ])
    func `plain scalars follow the core schema of YAML 1.2`(text: String, scalar: Scalar) {
        #expect(Scalar(text) == scalar)
    }

    @Test func `an error is printed like a compiler's`() {
        let text = Array("a: 1\n  wieght: 1\n".utf8)
        let error = YAMLError(Mark(line: 2, column: 3), "unknown key", hint: "did you mean 'x'?")
        #expect(
            error.rendered(file: "e/p.yaml", text: text) == """
                e/p.yaml:2:3: error: unknown key
                      wieght: 1
                      ^
                    did you mean 'x'?
                """
        )
    }
}
