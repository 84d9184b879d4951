// No name twice in one object, since two readers of such a text disagree about what it says.

import Bytes

enum JSONNames {
    /// Refuses a complete object with the same name twice: pairwise for a few members, hashed for
    /// many.
    @inline(__always)
    static func refuseDuplicates(
        _ object: Int,
        _ text: Span<UInt8>,
        _ list: Span<JSONEntry>,
        _ table: inout [Int32]
    ) throws(JSONError) {
        // With fewer than two members there is nothing to compare.
        if list.count > object &+ 3, Int(list[object &+ 2].next) < list.count,
            !areSketchesDistinct(object, text, list)
        {
            try compareNames(object, text, list, &table)
        }
    }

    /// Whether the names are few and differ already in what is quickly compared.
    private static func areSketchesDistinct(
        _ object: Int,
        _ text: Span<UInt8>,
        _ list: Span<JSONEntry>
    ) -> Bool {
        var sketches = InlineArray<16, UInt64>(repeating: 0)
        var count = 0
        var index = object &+ 1
        while index < list.count {
            let name = list[index]
            guard count < 16, !name.flag else { return false }
            let sketch = text.sketch(Int(name.start) &+ 1, Int(name.end) &- 1)
            for other in 0..<count where sketches[other] == sketch { return false }
            sketches[count] = sketch
            count &+= 1
            index = Int(list[index &+ 1].next)
        }
        return true
    }

    @inline(never)
    private static func compareNames(
        _ object: Int,
        _ text: Span<UInt8>,
        _ list: Span<JSONEntry>,
        _ table: inout [Int32]
    ) throws(JSONError) {
        var count = 0
        var anyEscape = false
        var index = object + 1
        while index < list.count {
            count += 1
            anyEscape = anyEscape || list[index].flag
            index = Int(list[index + 1].next)
        }
        if count > 16 || anyEscape {
            return try compareNamesHashed(object, count, text, list, &table)
        }
        var one = object + 1
        while one < list.count {
            var other = Int(list[one + 1].next)
            while other < list.count {
                if Bytes.equal(text, list[one].contents, list[other].contents) {
                    throw duplicate(list[other], text)
                }
                other = Int(list[other + 1].next)
            }
            one = Int(list[one + 1].next)
        }
    }

    /// Puts the places of the names into a table by their hash, which each process seeds anew.
    private static func compareNamesHashed(
        _ object: Int,
        _ count: Int,
        _ text: Span<UInt8>,
        _ list: Span<JSONEntry>,
        _ table: inout [Int32]
    ) throws(JSONError) {
        var size = 64
        while size < 2 * count { size *= 2 }
        table.removeAll(keepingCapacity: true)
        for _ in 0..<size { table.append(-1) }
        var index = object + 1
        while index < list.count {
            var place = hash(list[index], text) & (size - 1)
            while table[place] >= 0 {
                if haveSameName(list[Int(table[place])], list[index], text) {
                    throw duplicate(list[index], text)
                }
                place = (place + 1) & (size - 1)
            }
            table[place] = Int32(truncatingIfNeeded: index)
            index = Int(list[index + 1].next)
        }
    }

    private static func hash(_ name: JSONEntry, _ text: Span<UInt8>) -> Int {
        var hash = NameHash()
        if name.flag {
            JSONText.unescape(text.extracting(name.contents)) { hash.add($0) }
        } else {
            var position = name.contents.lowerBound
            let end = name.contents.upperBound
            while end - position >= 8 {
                hash.add(text.word(at: position))
                position += 8
            }
            for index in position..<end { hash.add(text[index]) }
        }
        return hash.finish()
    }

    private static func haveSameName(
        _ one: JSONEntry,
        _ other: JSONEntry,
        _ text: Span<UInt8>
    ) -> Bool {
        guard one.flag || other.flag else {
            return Bytes.equal(text, one.contents, other.contents)
        }
        // The hashes spare the memory that escapes are taken out into.
        return hash(one, text) == hash(other, text)
            && JSONText.unescaped(text.extracting(one.contents))
                == JSONText.unescaped(text.extracting(other.contents))
    }

    private static func duplicate(_ name: JSONEntry, _ text: Span<UInt8>) -> JSONError {
        let string = Bytes.string(text, name.contents)
        return JSONError(
            problem: "the member \"\(string.prefix(64))\" stands twice in one object",
            offset: Int(name.start)
        )
    }
}

/// The hash of a name that comes in bytes, or eight at a time as long as no byte has come.
private struct NameHash {
    private var hasher = Hasher()
    private var word: UInt64 = 0
    private var count = 0

    mutating func add(_ byte: UInt8) {
        word |= UInt64(byte) << UInt64(8 * (count & 7))
        count += 1
        if count & 7 == 0 {
            hasher.combine(word)
            word = 0
        }
    }

    mutating func add(_ bytes: UInt64) {
        hasher.combine(bytes)
        count += 8
    }

    consuming func finish() -> Int {
        hasher.combine(word)
        hasher.combine(count)
        return hasher.finalize()
    }
}

extension Span<UInt8> {
    /// A number for some bytes: where it differs they differ, and it rarely agrees by chance.
    ///
    /// It is made of their count and of their first and last eight.
    @inline(__always)
    fileprivate func sketch(_ start: Int, _ end: Int) -> UInt64 {
        let length = end &- start
        let tag = UInt64(truncatingIfNeeded: length) &<< 56
        if length >= 8 {
            return word(at: start) &* 0x9e37_79b9_7f4a_7c15 ^ word(at: end &- 8) ^ tag
        }
        // Fewer than eight: the word around them, without the others.
        let around = Swift.min(start, count &- 8)
        let behind = word(at: around) &>> UInt64(truncatingIfNeeded: 8 &* (start &- around))
        return behind & ~(~0 &<< UInt64(truncatingIfNeeded: 8 &* length)) | tag
    }
}
