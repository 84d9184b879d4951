// What the C library knows of numbers, without a heap allocation.

import CLinux

/// The text of numbers, and the C library's mathematics.
package enum NumberText {
    /// Reads a number in the C locale; nil when the bytes are not wholly a number.
    @unsafe
    package static func parse(_ text: UnsafeRawPointer, count: Int) -> Double? {
        var number = 0.0
        let whole = unsafe clinux_parse_double(
            text.assumingMemoryBound(to: CChar.self),
            count,
            &number
        )
        return whole ? number : nil
    }
}
