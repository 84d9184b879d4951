// Strict JSON (RFC 8259), checked once and laid out as a flat list of values.
//
// Why a list and not a tree: a tree allocates for every value. The list keeps its storage from one
// document to the next, values refer to the text by range, and so what passes through keeps its
// exact text, numbers too. A value knows how many entries it covers, so it is skipped in one step.
//
// Strict means: one value; UTF-8 without overlong forms and surrogates; no byte-order mark; no
// trailing comma; paired surrogate escapes; no control characters; a depth limit; and no member
// twice in one object, since two readers of such a text disagree about what it says.

import Bytes

/// What a value of a document is.
@frozen
public enum JSONKind: UInt8, Sendable {
    case null, boolean, number, string, array, object
}

/// One value: what it is and where its text stands.
@frozen
public struct JSONEntry: Sendable, BitwiseCopyable {
    /// What it is.
    public let kind: JSONKind
    /// Whether a string contains an escape; whether a boolean is true.
    public internal(set) var flag: Bool
    /// Where the text begins, quotes and brackets included.
    public let start: Int32
    /// Where the text ends.
    public internal(set) var end: Int32
    /// The index of the entry behind this value and all that it contains.
    public internal(set) var next: Int32

    /// Where the whole text stands.
    @inlinable
    public var range: Range<Int> { Int(start)..<Int(end) }

    /// Where the text between a string's quotes stands.
    @inlinable
    public var contents: Range<Int> { Int(start) + 1..<Int(end) - 1 }
}

/// A fault in a JSON text.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, without the place.
    public let problem: String
    /// The offset of the offending byte.
    public let offset: Int

    /// A fault at a place.
    public init(problem: String, offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    /// The fault and its place, in one line.
    public var description: String { "\(problem) at byte \(offset)" }
}

/// A checked JSON text as a list of values in the order of the text; entry 0 is the whole value.
///
/// In an object every member is two entries: its name (a string), then its value.
public struct JSONDocument: Sendable {
    /// The values.
    public internal(set) var entries: [JSONEntry] = []
    /// Objects and arrays deeper than this are refused.
    public var depthMaximum = 64
    var open: [Int32] = []

    /// A document that holds nothing until `parse`.
    public init() {
        entries.reserveCapacity(64)
        open.reserveCapacity(64)
    }

    /// Forgets everything, and gives the storage back if it is for more than `count` values.
    public mutating func shrink(to count: Int) {
        guard entries.capacity > count else { return }
        entries = []
        open = []
    }

    /// Checks a text and lays out its values; the text before is forgotten.
    public mutating func parse(_ text: Span<UInt8>) throws(JSONError) {
        entries.removeAll(keepingCapacity: true)
        open.removeAll(keepingCapacity: true)
        guard text.count < Int(Int32.max) else {
            throw JSONError(problem: "the text is larger than 2 GiB", offset: 0)
        }
        var position = JSONScanner.skipSpace(text, 0)
        try scan(text, &position)
        position = JSONScanner.skipSpace(text, position)
        guard position == text.count else {
            throw JSONError(problem: "unexpected text behind the value", offset: position)
        }
    }

    /// The index of the value of a member of the object at `object`, or nil.
    public func member(_ name: [UInt8], of object: Int, in text: Span<UInt8>) -> Int? {
        guard entries[object].kind == .object else { return nil }
        let end = Int(entries[object].next)
        var index = object + 1
        while index < end {
            let key = entries[index]
            if key.flag {
                if JSONText.unescaped(text.extracting(key.contents)) == name { return index + 1 }
            } else if Bytes.equal(text, key.contents, name) {
                return index + 1
            }
            index = Int(entries[index + 1].next)
        }
        return nil
    }

    /// The index of an element of the array at `array`, or nil.
    public func element(_ number: Int, of array: Int) -> Int? {
        guard entries[array].kind == .array, number >= 0 else { return nil }
        let end = Int(entries[array].next)
        var index = array + 1
        var left = number
        while index < end {
            if left == 0 { return index }
            left -= 1
            index = Int(entries[index].next)
        }
        return nil
    }

    /// The indices of the elements of an array, or of the names of an object's members.
    public func children(of container: Int) -> [Int] {
        var indices: [Int] = []
        let end = Int(entries[container].next)
        var index = container + 1
        while index < end {
            indices.append(index)
            let last = entries[container].kind == .object ? index + 1 : index
            index = Int(entries[last].next)
        }
        return indices
    }
}

extension JSONDocument {
    /// Reads one value with everything in it, without recursion.
    private mutating func scan(
        _ text: Span<UInt8>,
        _ position: inout Int
    ) throws(JSONError) {
        while true {
            // Here a value is due.
            if try beginValue(text, &position) { continue }
            // Here a value is complete: go on with what contains it.
            while true {
                guard let container = open.last else { return }
                position = JSONScanner.skipSpace(text, position)
                guard position < text.count else {
                    throw JSONError(problem: "the text ends inside a value", offset: position)
                }
                let byte = text[position]
                let isObject = entries[Int(container)].kind == .object
                if byte == UInt8(ascii: ",") {
                    position = JSONScanner.skipSpace(text, position + 1)
                    if isObject { try scanName(text, &position) }
                    break
                }
                guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
                    let wanted = isObject ? "',' or '}'" : "',' or ']'"
                    throw JSONError(problem: "expected \(wanted)", offset: position)
                }
                position += 1
                try close(Int(container), text, position)
            }
        }
    }

    /// Begins the value at `position`. True when it is a container that has something in it.
    private mutating func beginValue(
        _ text: Span<UInt8>,
        _ position: inout Int
    ) throws(JSONError) -> Bool {
        guard position < text.count else {
            throw JSONError(problem: "the text ends where a value should be", offset: position)
        }
        let start = position
        switch text[position] {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            let isObject = text[position] == UInt8(ascii: "{")
            guard open.count < depthMaximum else {
                throw JSONError(
                    problem: "more than \(depthMaximum) arrays and objects inside each other",
                    offset: start
                )
            }
            open.append(Int32(entries.count))
            append(isObject ? .object : .array, start, start)
            position = JSONScanner.skipSpace(text, position + 1)
            let closing = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
            if position < text.count, text[position] == closing {
                position += 1
                try close(entries.count - 1, text, position)
                return false
            }
            if isObject { try scanName(text, &position) }
            return true
        case UInt8(ascii: "\""):
            let escaped = try JSONScanner.scanString(text, &position)
            append(.string, start, position, flag: escaped)
        case UInt8(ascii: "t"):
            try JSONScanner.scanWord(text, &position, "true")
            append(.boolean, start, position, flag: true)
        case UInt8(ascii: "f"):
            try JSONScanner.scanWord(text, &position, "false")
            append(.boolean, start, position)
        case UInt8(ascii: "n"):
            try JSONScanner.scanWord(text, &position, "null")
            append(.null, start, position)
        default:
            try JSONScanner.scanNumber(text, &position)
            append(.number, start, position)
        }
        return false
    }

    private mutating func scanName(
        _ text: Span<UInt8>,
        _ position: inout Int
    ) throws(JSONError) {
        guard position < text.count, text[position] == UInt8(ascii: "\"") else {
            throw JSONError(problem: "expected a member's name in quotes", offset: position)
        }
        let start = position
        let escaped = try JSONScanner.scanString(text, &position)
        append(.string, start, position, flag: escaped)
        position = JSONScanner.skipSpace(text, position)
        guard position < text.count, text[position] == UInt8(ascii: ":") else {
            throw JSONError(problem: "expected ':' behind a member's name", offset: position)
        }
        position = JSONScanner.skipSpace(text, position + 1)
    }

    private mutating func append(_ kind: JSONKind, _ start: Int, _ end: Int, flag: Bool = false) {
        entries.append(
            JSONEntry(
                kind: kind,
                flag: flag,
                start: Int32(truncatingIfNeeded: start),
                end: Int32(truncatingIfNeeded: end),
                next: Int32(truncatingIfNeeded: entries.count + 1)
            )
        )
    }

    private mutating func close(
        _ container: Int,
        _ text: Span<UInt8>,
        _ end: Int
    ) throws(JSONError) {
        open.removeLast()
        entries[container].end = Int32(truncatingIfNeeded: end)
        entries[container].next = Int32(truncatingIfNeeded: entries.count)
        if entries[container].kind == .object {
            try refuseDuplicates(container, text)
        }
    }

    /// Refuses an object with the same name twice: pairwise for a few members, hashed for many.
    private func refuseDuplicates(_ object: Int, _ text: Span<UInt8>) throws(JSONError) {
        let end = Int(entries[object].next)
        guard Int(entries[object].next) > object + 3 else { return }
        var count = 0
        var anyEscape = false
        var index = object + 1
        while index < end {
            count += 1
            anyEscape = anyEscape || entries[index].flag
            index = Int(entries[index + 1].next)
        }
        if count > 16 || anyEscape {
            return try refuseDuplicatesHashed(object, count, text)
        }
        var one = object + 1
        while one < end {
            var other = Int(entries[one + 1].next)
            while other < end {
                if Bytes.equal(text, entries[one].contents, entries[other].contents) {
                    throw duplicate(other, text)
                }
                other = Int(entries[other + 1].next)
            }
            one = Int(entries[one + 1].next)
        }
    }

    /// Puts the places of the names into a table by their hash, which each process seeds anew.
    private func refuseDuplicatesHashed(
        _ object: Int,
        _ count: Int,
        _ text: Span<UInt8>
    ) throws(JSONError) {
        var size = 64
        while size < 2 * count { size *= 2 }
        var table = [Int32](repeating: -1, count: size)
        let end = Int(entries[object].next)
        var index = object + 1
        while index < end {
            var place = hash(entries[index], text) & (size - 1)
            while table[place] >= 0 {
                if haveSameName(entries[Int(table[place])], entries[index], text) {
                    throw duplicate(index, text)
                }
                place = (place + 1) & (size - 1)
            }
            table[place] = Int32(truncatingIfNeeded: index)
            index = Int(entries[index + 1].next)
        }
    }

    private func hash(_ name: JSONEntry, _ text: Span<UInt8>) -> Int {
        var hasher = Hasher()
        var word: UInt64 = 0
        var bytes = 0
        func add(_ byte: UInt8) {
            word = word << 8 | UInt64(byte)
            bytes += 1
            if bytes & 7 == 0 { hasher.combine(word) }
        }
        let contents = text.extracting(name.contents)
        if name.flag {
            JSONText.unescape(contents, add)
        } else {
            for index in contents.indices { add(contents[index]) }
        }
        hasher.combine(word)
        hasher.combine(bytes)
        return hasher.finalize()
    }

    private func haveSameName(_ one: JSONEntry, _ other: JSONEntry, _ text: Span<UInt8>) -> Bool {
        guard one.flag || other.flag else {
            return Bytes.equal(text, one.contents, other.contents)
        }
        return JSONText.unescaped(text.extracting(one.contents))
            == JSONText.unescaped(text.extracting(other.contents))
    }

    private func duplicate(_ index: Int, _ text: Span<UInt8>) -> JSONError {
        let name = Bytes.string(text, entries[index].contents)
        return JSONError(
            problem: "the member \"\(name.prefix(64))\" stands twice in one object",
            offset: Int(entries[index].start)
        )
    }
}
