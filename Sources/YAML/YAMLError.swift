/// Something wrong at a place of a text, with what to do about it.
package struct YAMLError: Error, Equatable, Sendable {
    /// Where.
    package let mark: Mark
    /// What was found and what was wanted.
    package let problem: String
    /// What to do, or nil when the problem says it all.
    package let hint: String?

    package init(_ mark: Mark, _ problem: String, hint: String? = nil) {
        self.mark = mark
        self.problem = problem
        self.hint = hint
    }

    /// The error as a compiler would print it: place, problem, the line, a caret, the hint.
    package func rendered(file: String, text: [UInt8]) -> String {
        var lines = [YAMLError.visible("\(file):\(mark.line):\(mark.column): error: \(problem)")]
        let source = text.split(separator: 0x0a, omittingEmptySubsequences: false)
        if mark.line >= 1, mark.line <= source.count {
            let bytes = source[mark.line - 1].prefix(200).filter { $0 != 0x0d }
            let line = String(decoding: bytes, as: UTF8.self)
            lines.append("    \(YAMLError.visible(line))")
            lines.append("    \(String(repeating: " ", count: min(mark.column - 1, 200)))^")
        }
        if let hint { lines.append("    \(YAMLError.visible(hint))") }
        return lines.joined(separator: "\n")
    }

    /// A text that does nothing to a terminal and stays on its line.
    package static func visible(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { visible($0) }))
    }

    /// A character that does nothing to a terminal.
    private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0x09: " "
        case 0..<0x20, 0x7f..<0xa0, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: "\u{fffd}"
        default: scalar
        }
    }
}
