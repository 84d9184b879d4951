// Strings: from quote to quote, their escapes, and whether their bytes are UTF-8.
//
// A string is read in two steps. The first looks only for what ends it: a quote, a fault, the end
// of the text. The second, for strings that are not plain ASCII, checks that the bytes up to there
// are UTF-8. A fault of the second step stands further to the front, so it is the one reported.

import Bytes

extension Span<UInt8> {
    /// The end of the string that begins at `start`, behind its closing quote, and whether there
    /// are escapes in it.
    @inline(__always)
    func endOfString(_ start: Int) throws(JSONError) -> (end: Int, isEscaped: Bool) {
        // Most strings are ASCII without an escape.
        let position = firstIndex(from: start &+ 1) { block in
            block.equals(UInt8(ascii: "\"")) .| block.equals(UInt8(ascii: "\\"))
                .| (block &- 0x20).isAtLeast(0x60)
        }
        if byte(at: position) == UInt8(ascii: "\"") { return (position &+ 1, false) }
        return try endOfLongString(position)
    }

    /// The same for a string with escapes or beyond ASCII, of which the bytes up to `position` are
    /// neither.
    @inline(never)
    private func endOfLongString(
        _ position: Int
    ) throws(JSONError) -> (end: Int, isEscaped: Bool) {
        var isEscaped = false
        var end = position
        var seen = Block()
        do throws(JSONError) {
            while true {
                end = firstIndex(from: end) { block in
                    seen |= block
                    return block.equals(UInt8(ascii: "\"")) .| block.equals(UInt8(ascii: "\\"))
                        .| block.isBelow(0x20)
                }
                let byte = byte(at: end)
                if byte == UInt8(ascii: "\"") { break }
                guard byte == UInt8(ascii: "\\") else {
                    let problem =
                        end < count
                        ? "a control character in a string" : "the text ends inside a string"
                    throw JSONError(problem: problem, offset: end)
                }
                isEscaped = true
                end = try endOfEscape(end)
            }
        } catch {
            try requireUTF8(position, error.offset)
            throw error
        }
        if seen.isAtLeast(0x80).isAny, !isUTF8(position, end) {
            try requireUTF8(position, end)
        }
        return (end + 1, isEscaped)
    }

    @inline(__always)
    private func endOfEscape(_ position: Int) throws(JSONError) -> Int {
        switch byte(at: position &+ 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return position &+ 2
        case UInt8(ascii: "u"):
            return try endOfUnit(position)
        default:
            let isEnd = position + 1 >= count
            throw JSONError(
                problem: isEnd ? "the text ends inside a string" : "an unknown escape in a string",
                offset: position
            )
        }
    }

    /// The end of the `\uXXXX` at `position`, or of the pair of them.
    private func endOfUnit(_ position: Int) throws(JSONError) -> Int {
        switch try hexUnit(position) {
        case 0xd800..<0xdc00:
            let low = try? hexUnit(position + 6)
            guard let low, low >= 0xdc00, low < 0xe000 else {
                throw JSONError(problem: "half of a surrogate pair", offset: position)
            }
            return position + 12
        case 0xdc00..<0xe000:
            throw JSONError(problem: "half of a surrogate pair", offset: position)
        default:
            return position + 6
        }
    }

    /// The number of the `\uXXXX` at `position`.
    private func hexUnit(_ position: Int) throws(JSONError) -> UInt32 {
        guard count &- position >= 8 else { return try hexUnitWithFault(position) }
        var text = word(at: position)
        guard text & 0xffff == 0x755c else { return try hexUnitWithFault(position) }
        var unit: UInt32 = 0
        var worst: UInt8 = 0
        for _ in 0..<4 {
            // Without branches, since nobody can foresee whether it is a digit or a letter.
            let byte = UInt8(truncatingIfNeeded: text &>> 16)
            let digit = byte &- UInt8(ascii: "0")
            let letter = (byte | 0x20) &- UInt8(ascii: "a")
            unit = unit &<< 4 | UInt32(digit < 10 ? digit : letter &+ 10)
            worst = Swift.max(worst, digit < 10 ? 0 : letter)
            text &>>= 8
        }
        return worst < 6 ? unit : try hexUnitWithFault(position)
    }

    /// The same at the end of the text, or where something is wrong with it.
    @inline(never)
    private func hexUnitWithFault(_ position: Int) throws(JSONError) -> UInt32 {
        let problem = "expected four hexadecimal digits behind \\u"
        guard position + 6 <= count, self[position] == UInt8(ascii: "\\"),
            self[position + 1] == UInt8(ascii: "u")
        else {
            throw JSONError(problem: problem, offset: position)
        }
        var unit: UInt32 = 0
        for index in position + 2..<position + 6 {
            guard let digit = Hex.value(self[index]) else {
                throw JSONError(problem: problem, offset: index)
            }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }
}

extension Span<UInt8> {
    /// Whether the bytes up to `end`, where an ASCII byte stands, are UTF-8.
    ///
    /// Every byte is checked by itself against the three before it, sixteen at a time. What stands
    /// before `start` is UTF-8 already, so a block may begin there, and the last one ends at `end`.
    private func isUTF8(_ start: Int, _ end: Int) -> Bool {
        guard end >= 18 else { return false }
        var position = start
        while position < 3 {
            guard let count = countOfCharacter(at: position) else { return false }
            position += count
        }
        var faults = BlockMask()
        while position < end - 15 {
            faults .|= faultsInUTF8(position)
            position += 16
        }
        faults .|= faultsInUTF8(end - 15)
        return !faults.isAny
    }

    /// The bytes of a block that may not stand behind the three before them.
    @inline(__always)
    private func faultsInUTF8(_ position: Int) -> BlockMask {
        let (byte, before, back2, back3) = blocks(at: position)
        // A lead byte says how many bytes behind it continue it: exactly those have to.
        let continues = (byte &- 0x80).isBelow(0x40)
        let isDue =
            before.isAtLeast(0xc0) .| back2.isAtLeast(0xe0) .| back3.isAtLeast(0xf0)
        // Never used are 0xc0, 0xc1 and all from 0xf5 on. Overlong forms, surrogates and what is
        // above U+10FFFF show in the first two bytes.
        let isNever = byte.isAtLeast(0xf5) .| (byte & 0xfe).equals(0xc0)
        let isLow =
            before.equals(0xe0) .& byte.isBelow(0xa0) .| before.equals(0xf0) .& byte.isBelow(0x90)
        let isHigh =
            before.equals(0xed) .& byte.isAtLeast(0xa0)
            .| before.equals(0xf4) .& byte.isAtLeast(0x90)
        return (continues .^ isDue) .| isNever .| isLow .| isHigh
    }

    /// Checks one character after the other, and so finds the first that is not UTF-8.
    @inline(never)
    private func requireUTF8(_ start: Int, _ end: Int) throws(JSONError) {
        var position = start
        while position < end {
            guard let count = countOfCharacter(at: position) else {
                throw JSONError(problem: "bytes that are not UTF-8", offset: position)
            }
            position += count
        }
    }

    /// How many bytes the character at `position` has; nil for an overlong form, a surrogate, what
    /// is above U+10FFFF, and what is no character at all.
    private func countOfCharacter(at position: Int) -> Int? {
        let (count, low, high): (Int, UInt8, UInt8)
        switch self[position] {
        case 0x00..<0x80: return 1
        case 0xc2...0xdf: (count, low, high) = (2, 0x80, 0xbf)
        case 0xe0: (count, low, high) = (3, 0xa0, 0xbf)
        case 0xed: (count, low, high) = (3, 0x80, 0x9f)
        case 0xe1...0xef: (count, low, high) = (3, 0x80, 0xbf)
        case 0xf0: (count, low, high) = (4, 0x90, 0xbf)
        case 0xf1...0xf3: (count, low, high) = (4, 0x80, 0xbf)
        case 0xf4: (count, low, high) = (4, 0x80, 0x8f)
        default: return nil
        }
        let second = byte(at: position + 1)
        guard second >= low, second <= high else { return nil }
        for offset in 2..<max(count, 2) where byte(at: position + offset) & 0xc0 != 0x80 {
            return nil
        }
        return count
    }
}
