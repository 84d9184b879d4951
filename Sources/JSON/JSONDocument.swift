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
    /// Storage of the scanner's, kept from one text to the next.
    private var names: [Int32] = []

    /// A document that holds nothing until `parse`.
    public init() {
        entries.reserveCapacity(64)
    }

    /// Bytes of its storage.
    public var capacityBytes: Int {
        entries.capacity * MemoryLayout<JSONEntry>.stride
            + names.capacity * MemoryLayout<Int32>.stride
    }

    /// Forgets everything, and gives the storage back if it is for more than `count` values.
    public mutating func shrink(to count: Int) {
        if entries.capacity > count {
            entries = []
            entries.reserveCapacity(64)
        }
        if names.capacity > count { names = [] }
    }

    /// Checks a text and lays out its values; the text before is forgotten.
    ///
    /// After a fault there are no values.
    public mutating func parse(_ text: Span<UInt8>) throws(JSONError) {
        guard text.count < Int(Int32.max) else {
            entries.removeAll(keepingCapacity: true)
            throw JSONError(problem: "the text is larger than 2 GiB", offset: 0)
        }
        var hasGuessed = false
        while let end = try Self.lay(text, &entries, &names, depthMaximum) {
            // The list is too short. The rest of the text may go on as it did so far; if that is
            // not so either, it may be as dense as can be: a value takes two bytes, its comma
            // counted. So a text is begun again twice at most.
            let left = text.count - end
            let rest = hasGuessed ? left / 2 : entries.count * left / max(end, 1) * 9 / 8
            let count = max(entries.count + rest, 2 * entries.capacity, 64)
            entries = []
            entries.reserveCapacity(count)
            hasGuessed = true
        }
    }

    /// Lays the values out in the storage at hand. Nil when it was large enough for them, or how
    /// much of the text fitted.
    private static func lay(
        _ text: Span<UInt8>,
        _ entries: inout [JSONEntry],
        _ names: inout [Int32],
        _ depthMaximum: Int
    ) throws(JSONError) -> Int? {
        var end: Int?
        entries.removeAll(keepingCapacity: true)
        do throws(JSONError) {
            try entries.append(addingCapacity: entries.capacity) { list throws(JSONError) in
                end = try JSONScanner.scan(text, depthMaximum, &list, &names)
            }
        } catch {
            // What stands in the list is not complete.
            entries.removeAll(keepingCapacity: true)
            throw error
        }
        return end
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
