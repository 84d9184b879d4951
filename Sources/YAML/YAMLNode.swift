/// A place in a text; line and column count from 1.
package struct Mark: Equatable, Sendable, Comparable {
    package let line: Int
    package let column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package static func < (a: Mark, b: Mark) -> Bool {
        (a.line, a.column) < (b.line, b.column)
    }
}

/// A value of a YAML text that knows where it stands.
package struct YAMLNode: Equatable, Sendable {
    /// What a value holds.
    package indirect enum Content: Equatable, Sendable {
        /// Text; `isPlain` when it stands without quotes, so that it may be a number or null.
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        /// In the order of the text; no key stands twice.
        case mapping([Pair])
    }

    /// A key of a mapping and its value.
    package struct Pair: Equatable, Sendable {
        package let key: String
        package let keyMark: Mark
        package let value: YAMLNode
    }

    package let content: Content
    package let mark: Mark

    /// The pairs, if it is a mapping.
    package var pairs: [Pair]? {
        if case .mapping(let pairs) = content { pairs } else { nil }
    }

    /// The value under a key, if it is a mapping that has it.
    package subscript(key: String) -> YAMLNode? {
        pairs?.first { $0.key == key }?.value
    }

    /// The text, if it is a scalar.
    package var scalar: String? {
        if case .scalar(let text, _) = content { text } else { nil }
    }

    /// What it is, in words.
    package var kindInWords: String {
        switch content {
        case .scalar(let text, let isPlain):
            let shown = text.count > 40 ? "\(text.prefix(40))…" : text
            return isPlain
                ? (Scalar(text) == .null ? "nothing" : "'\(shown)'") : "the text '\(shown)'"
        case .sequence: return "a list"
        case .mapping: return "a mapping"
        }
    }
}

/// What a plain scalar means by the core schema of YAML 1.2. Numbers keep their text.
package enum Scalar: Equatable, Sendable {
    case null
    case boolean(Bool)
    /// A decimal integer or floating-point number, in the form that JSON has too.
    case number(String)
    /// A number that JSON cannot write: hexadecimal, octal, infinite, not a number.
    case otherNumber(String)
    case text(String)

    package init(_ text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "true", "True", "TRUE": self = .boolean(true)
        case "false", "False", "FALSE": self = .boolean(false)
        default:
            if let number = Scalar.jsonNumber(text) {
                self = .number(number)
            } else if Scalar.isOtherNumber(text) {
                self = .otherNumber(text)
            } else {
                self = .text(text)
            }
        }
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, brought into JSON's form.
    private static func jsonNumber(_ text: String) -> String? {
        var rest = Substring(text)
        var sign = ""
        if let first = rest.first, first == "-" || first == "+" {
            sign = first == "-" ? "-" : ""
            rest.removeFirst()
        }
        let whole = rest.prefix { isDigit($0) }
        rest = rest.dropFirst(whole.count)
        var fraction: Substring = ""
        if rest.first == "." {
            fraction = rest.dropFirst().prefix { isDigit($0) }
            rest = rest.dropFirst(fraction.count + 1)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        var exponent = ""
        if let mark = rest.first, mark == "e" || mark == "E" {
            var digits = rest.dropFirst()
            if let first = digits.first, first == "-" || first == "+" {
                exponent = first == "-" ? "-" : ""
                digits.removeFirst()
            }
            guard !digits.isEmpty, digits.allSatisfy({ isDigit($0) }) else { return nil }
            exponent = "e\(exponent)\(digits)"
            rest = ""
        }
        guard rest.isEmpty else { return nil }
        let significant = whole.drop { $0 == "0" }
        let integer = significant.isEmpty ? "0" : String(significant)
        return "\(sign)\(integer)\(fraction.isEmpty ? "" : ".\(fraction)")\(exponent)"
    }

    private static func isOtherNumber(_ text: String) -> Bool {
        let bare = text.hasPrefix("-") || text.hasPrefix("+") ? String(text.dropFirst()) : text
        if [".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"].contains(bare) { return true }
        if text.hasPrefix("0x"), text.count > 2 {
            return text.dropFirst(2).allSatisfy { $0.isASCII && $0.isHexDigit }
        }
        if text.hasPrefix("0o"), text.count > 2 {
            return text.dropFirst(2).allSatisfy { isDigit($0) && $0 <= "7" }
        }
        return false
    }

    /// An accent on a digit makes a character that is ordered between two digits, and is none.
    private static func isDigit(_ character: Character) -> Bool {
        character.isASCII && character.isNumber
    }
}
