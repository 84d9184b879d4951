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

    /// JSON text that means the same, with every character escaped that could steer a terminal.
    public static func json(_ text: String) -> String {
        var shown = ""
        for scalar in text.unicodeScalars {
            if visible(scalar) == scalar || scalar == "\n" {
                shown.unicodeScalars.append(scalar)
            } else if scalar != "\t" {
                let digits = String(scalar.value, radix: 16)
                shown += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            } else {
                shown += " "
            }
        }
        return shown
    }

    /// The text as one word of a shell's command line.
    public static func word(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "-")...UInt8(ascii: ":"), UInt8(ascii: "_"), UInt8(ascii: "="):
                true
            default: false
            }
        }
        guard !isPlain || text.isEmpty else { return text }
        let parts = line(text).split(separator: "'", omittingEmptySubsequences: false)
        return "'\(parts.joined(separator: "'\\''"))'"
    }

    private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0x09: " "
        case 0..<0x20, 0x7f..<0xa0, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: "\u{fffd}"
        default: scalar
        }
    }
}
