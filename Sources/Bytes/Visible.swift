// Text from files, names and command lines on its way to a terminal.

/// Text that does nothing to a terminal.
public enum Visible {
    /// The text with every control and direction character replaced; on one line.
    public static func line(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { visible($0) }))
    }

    /// The text with its lines kept, each of them visible.
    public static func lines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line(String($0)) }
            .joined(separator: "\n")
    }

    private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0x09: " "
        case 0..<0x20, 0x7f..<0xa0, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: "\u{fffd}"
        default: scalar
        }
    }
}
