import Bytes

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
        var lines = [Visible.line("\(file):\(mark.line):\(mark.column): error: \(problem)")]
        let source = text.split(separator: 0x0a, omittingEmptySubsequences: false)
        if mark.line >= 1, mark.line <= source.count {
            let bytes = source[mark.line - 1].prefix(200).filter { $0 != 0x0d }
            let line = String(decoding: bytes, as: UTF8.self)
            lines.append("    \(Visible.line(line))")
            lines.append("    \(String(repeating: " ", count: min(mark.column - 1, 200)))^")
        }
        if let hint { lines.append("    \(Visible.line(hint))") }
        return lines.joined(separator: "\n")
    }
}
