// One pass over a text: space, words, numbers, and the brackets that hold values together.
//
// There is no stack: while an array or object is open, its entry's `next` names the one around it.
// The list of entries does not grow under the pass. When it is full the pass ends early and says
// so, and whoever called makes a longer list and begins again; a list keeps its storage, so this
// happens to the first large texts only.

import Bytes

enum JSONScanner {
    /// Lays the text's values out. Nil when it is done, or how much of the text fitted in the list.
    ///
    /// - Parameters:
    ///   - text: the text.
    ///   - depthMaximum: arrays and objects deeper than this are refused.
    ///   - list: where the values go; it is empty.
    ///   - names: storage for the names of large objects.
    static func scan(
        _ text: Span<UInt8>,
        _ depthMaximum: Int,
        _ list: inout OutputSpan<JSONEntry>,
        _ names: inout [Int32]
    ) throws(JSONError) -> Int? {
        var position = 0
        // The innermost open array or object, and the bracket that it is waiting for.
        var container = -1
        var closing = Self.endOfText
        var depth = 0
        var isNameDue = false
        while true {
            // Here a value is due, or the name before it.
            position = text.skipSpace(position)
            guard list.count < list.capacity else { return position }
            let start = position
            let byte = text.byte(at: start)
            if byte == UInt8(ascii: "\"") {
                let isEscaped: Bool
                (position, isEscaped) = try text.endOfString(start)
                list.append(.string, start, position, flag: isEscaped)
                if isNameDue {
                    position = try text.endOfColon(position)
                    isNameDue = false
                    continue
                }
            } else if byte == closing, container == list.count &- 1, container >= 0 {
                // It is empty, and closed below.
            } else if isNameDue {
                throw JSONError(problem: "expected a member's name in quotes", offset: start)
            } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                depth += 1
                if depth > depthMaximum { throw faultInDepth(depthMaximum, start) }
                isNameDue = byte == UInt8(ascii: "{")
                closing = isNameDue ? UInt8(ascii: "}") : UInt8(ascii: "]")
                list.append(isNameDue ? .object : .array, start, start)
                let around = container
                container = list.count &- 1
                list[container].next = Int32(truncatingIfNeeded: around)
                position = start &+ 1
                continue
            } else if byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: "-") {
                position = try text.endOfNumber(start)
                list.append(.number, start, position)
            } else {
                position = try text.endOfWord(start)
                let kind: JSONKind = byte == UInt8(ascii: "n") ? .null : .boolean
                list.append(kind, start, position, flag: byte == UInt8(ascii: "t"))
            }
            // Here a value is complete: go on with what contains it.
            while true {
                position = text.skipSpace(position)
                let byte = text.byte(at: position)
                if byte == UInt8(ascii: ","), container >= 0 {
                    position &+= 1
                    isNameDue = closing == UInt8(ascii: "}")
                    break
                }
                guard byte == closing else { throw faultBehindValue(text, position, closing) }
                if container < 0 {
                    if position == text.count { return nil }
                    throw faultBehindValue(text, position, closing)
                }
                position &+= 1
                depth &-= 1
                container = try close(container, text, position, &list, &names)
                closing = bracket(container, list.span)
            }
        }
    }

    /// What stands behind the value that contains all others: `byte(at:)` reads it there.
    private static let endOfText: UInt8 = 0

    /// The bracket that an open array or object is waiting for.
    @inline(__always)
    private static func bracket(_ container: Int, _ list: Span<JSONEntry>) -> UInt8 {
        guard container >= 0 else { return endOfText }
        return list[container].kind == .object ? UInt8(ascii: "}") : UInt8(ascii: "]")
    }

    /// Closes an array or object that ends at `end`; returns the one around it.
    @inline(__always)
    private static func close(
        _ container: Int,
        _ text: Span<UInt8>,
        _ end: Int,
        _ list: inout OutputSpan<JSONEntry>,
        _ names: inout [Int32]
    ) throws(JSONError) -> Int {
        let around = Int(list[container].next)
        list[container].end = Int32(truncatingIfNeeded: end)
        list[container].next = Int32(truncatingIfNeeded: list.count)
        if list[container].kind == .object {
            try JSONNames.refuseDuplicates(container, text, list.span, &names)
        }
        return around
    }

    @inline(never)
    private static func faultInDepth(_ depthMaximum: Int, _ position: Int) -> JSONError {
        JSONError(
            problem: "more than \(depthMaximum) arrays and objects inside each other",
            offset: position
        )
    }

    /// What is wrong with the text behind a complete value.
    @inline(never)
    private static func faultBehindValue(
        _ text: Span<UInt8>,
        _ position: Int,
        _ closing: UInt8
    ) -> JSONError {
        if closing == endOfText {
            return JSONError(problem: "unexpected text behind the value", offset: position)
        }
        guard position < text.count else {
            return JSONError(problem: "the text ends inside a value", offset: position)
        }
        let wanted = closing == UInt8(ascii: "}") ? "',' or '}'" : "',' or ']'"
        return JSONError(problem: "expected \(wanted)", offset: position)
    }
}

extension OutputSpan<JSONEntry> {
    @inline(__always)
    fileprivate mutating func append(_ kind: JSONKind, _ start: Int, _ end: Int, flag: Bool = false)
    {
        append(
            JSONEntry(
                kind: kind,
                flag: flag,
                start: Int32(truncatingIfNeeded: start),
                end: Int32(truncatingIfNeeded: end),
                next: Int32(truncatingIfNeeded: count &+ 1)
            )
        )
    }
}

extension Span<UInt8> {
    /// The byte at a place, or zero at the end of the text: no value has a zero in it.
    @inline(__always)
    func byte(at position: Int) -> UInt8 {
        UInt(bitPattern: position) < UInt(bitPattern: count) ? self[position] : 0
    }

    /// The first place from `position` on that is no space.
    @inline(__always)
    func skipSpace(_ position: Int) -> Int {
        // Mostly there is none, or a single one. Branches, since they are foreseen: with the place
        // computed, whatever comes next would wait for it.
        if byte(at: position) > 0x20 { return position }
        if byte(at: position &+ 1) > 0x20, byte(at: position) == 0x20 { return position &+ 1 }
        return firstIndex(from: position) { block in
            .!(block.equals(0x20) .| block.equals(0x0a) .| block.equals(0x0d) .| block.equals(0x09))
        }
    }

    /// The place behind the colon that has to stand behind a name.
    @inline(__always)
    func endOfColon(_ position: Int) throws(JSONError) -> Int {
        if byte(at: position) == UInt8(ascii: ":") { return position &+ 1 }
        return try endOfDistantColon(position)
    }

    @inline(never)
    private func endOfDistantColon(_ start: Int) throws(JSONError) -> Int {
        let position = skipSpace(start)
        guard byte(at: position) == UInt8(ascii: ":") else {
            throw JSONError(problem: "expected ':' behind a member's name", offset: position)
        }
        return position + 1
    }

    /// The end of `true`, `false` or `null`, one of which has to stand at `start`.
    @inline(never)
    func endOfWord(_ start: Int) throws(JSONError) -> Int {
        switch byte(at: start) {
        case UInt8(ascii: "t"): return try endOfLetters(start, [0x74, 0x72, 0x75, 0x65], "true")
        case UInt8(ascii: "n"): return try endOfLetters(start, [0x6e, 0x75, 0x6c, 0x6c], "null")
        case UInt8(ascii: "f"):
            return try endOfLetters(start, [0x66, 0x61, 0x6c, 0x73, 0x65], "false")
        default:
            let isEnd = start == count
            throw JSONError(
                problem: isEnd ? "the text ends where a value should be" : "expected a value",
                offset: start
            )
        }
    }

    @inline(__always)
    private func endOfLetters<let count: Int>(
        _ start: Int,
        _ letters: InlineArray<count, UInt8>,
        _ word: StaticString
    ) throws(JSONError) -> Int {
        for index in letters.indices where byte(at: start + index) != letters[index] {
            throw JSONError(problem: "expected '\(word)'", offset: start + index)
        }
        return start + count
    }

    /// The end of the number that has to stand at `start`.
    @inline(never)
    func endOfNumber(_ start: Int) throws(JSONError) -> Int {
        var position = start
        if byte(at: position) == UInt8(ascii: "-") { position &+= 1 }
        if byte(at: position) == UInt8(ascii: "0") {
            position &+= 1
            if isDigit(at: position) {
                throw JSONError(problem: "a number may not begin with 0", offset: position - 1)
            }
        } else {
            position = try endOfDigits(position, "expected a digit behind '-'")
        }
        if byte(at: position) == UInt8(ascii: ".") {
            position = try endOfDigits(position &+ 1, "expected a digit behind '.'")
        }
        if byte(at: position) | 0x20 == UInt8(ascii: "e") {
            position &+= 1
            let sign = byte(at: position)
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position &+= 1 }
            position = try endOfDigits(position, "expected a digit in the exponent")
        }
        return position
    }

    /// The end of the digits, of which one at least has to stand at `start`.
    @inline(__always)
    private func endOfDigits(_ start: Int, _ problem: StaticString) throws(JSONError) -> Int {
        let end = skipDigits(start)
        if end == start { throw JSONError(problem: problem.description, offset: start) }
        return end
    }

    @inline(__always)
    private func isDigit(at position: Int) -> Bool { byte(at: position) &- 48 < 10 }

    /// The first place from `position` on that is no digit, eight bytes at a time.
    @inline(__always)
    private func skipDigits(_ position: Int) -> Int {
        var position = position
        while count &- position >= 8 {
            // Digits are 0 to 9 now; 0x76 more takes all else to 0x80 or above, or it is there
            // already. A carry from one byte to the next can only follow such a byte.
            let word = word(at: position) ^ 0x3030_3030_3030_3030
            let others = (word &+ 0x7676_7676_7676_7676 | word) & 0x8080_8080_8080_8080
            if others != 0 { return position &+ others.trailingZeroBitCount &>> 3 }
            position &+= 8
        }
        while isDigit(at: position) { position &+= 1 }
        return position
    }
}
