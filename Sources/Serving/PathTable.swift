// What paths mean: one look-up, whatever there is.

import Bytes

/// Meanings by their paths.
struct PathTable<Meaning: Sendable>: Sendable {
    /// Every path, one behind the other, and where each ends; and what it means.
    private let paths: [UInt8]
    private let pathEnds: [UInt32]
    private let meanings: [Meaning]
    /// Indices into `meanings` by the hash of the path; -1 is empty; a power of two long.
    private let table: [Int32]

    init(_ list: PathList<Meaning>) {
        meanings = list.meanings
        paths = list.paths.flatMap { $0 }
        var end: UInt32 = 0
        pathEnds = list.paths.map {
            end += UInt32($0.count)
            return end
        }
        var size = 8
        while size < list.paths.count * 2 { size *= 2 }
        var table = [Int32](repeating: -1, count: size)
        for (index, path) in list.paths.enumerated() {
            var place = Self.hash(path.span) & (size - 1)
            while table[place] >= 0 { place = (place + 1) & (size - 1) }
            table[place] = Int32(index)
        }
        self.table = table
    }

    /// What a path means; nil: nothing.
    func meaning(_ path: Span<UInt8>) -> Meaning? {
        let paths = paths
        let mask = table.count - 1
        var place = Self.hash(path) & mask
        while table[place] >= 0 {
            let candidate = Int(table[place])
            let start = candidate == 0 ? 0 : Int(pathEnds[candidate - 1])
            let known = paths.span.extracting(start..<Int(pathEnds[candidate]))
            if Bytes.equal(path, known) { return meanings[candidate] }
            place = (place + 1) & mask
        }
        return nil
    }

    /// FNV-1a; names are few, short, and the host's own.
    private static func hash(_ name: Span<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in name.indices {
            hash = (hash ^ UInt64(name[index])) &* 0x100_0000_01b3
        }
        return Int(truncatingIfNeeded: hash >> 16 ^ hash)
    }
}

/// Collects paths; the first meaning of a path is the one that counts.
struct PathList<Meaning: Sendable> {
    private(set) var paths: [[UInt8]] = []
    private(set) var meanings: [Meaning] = []
    private var known: Set<String> = []

    mutating func add(_ path: String, _ meaning: Meaning) {
        guard known.insert(path).inserted else { return }
        paths.append(Array(path.utf8))
        meanings.append(meaning)
    }
}
