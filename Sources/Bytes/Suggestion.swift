// "Did you mean": the nearest of some allowed words, by edit distance.

/// Finds the allowed word that a mistyped one was probably meant to be.
public enum Suggestion {
    /// The nearest of `words` to `typed`, if it is near enough to be worth saying.
    ///
    /// Near enough is at most two edits, and fewer edits than half of the word.
    public static func nearest(to typed: String, in words: [String]) -> String? {
        let typed = Array(typed.utf8)
        return nearest(words.lazy.map { (Array($0.utf8), $0) }, to: typed)
    }

    /// The first of the nearest words, each with its bytes.
    static func nearest(_ words: some Sequence<([UInt8], String)>, to typed: [UInt8]) -> String? {
        var best: (distance: Int, word: String)?
        for (bytes, word) in words where abs(bytes.count - typed.count) <= editsMaximum {
            let distance = editDistance(typed, bytes)
            guard distance <= editsMaximum, distance * 2 < max(bytes.count, 2) else { continue }
            if distance < best?.distance ?? Int.max { best = (distance, word) }
        }
        return best?.word
    }

    static let editsMaximum = 2

    /// The least number of insertions, deletions, replacements and swaps of neighbours.
    static func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count <= 100, b.count <= 100 else { return Int.max / 4 }
        // The row at hand and the two before it.
        var (older, old, row) = ([Int](), [Int](), Array(0...b.count))
        for i in 0..<a.count {
            (older, old, row) = (old, row, older)
            row.removeAll(keepingCapacity: true)
            row.append(i + 1)
            for j in 0..<b.count {
                var least = min(old[j + 1] + 1, row[j] + 1)
                least = min(least, old[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    least = min(least, older[j - 1] + 1)
                }
                row.append(least)
            }
        }
        return row[b.count]
    }
}

/// Many allowed words, laid out so that a suggestion looks at a few of them only: those that stand
/// beside the mistyped one in the order of the alphabet, read from the front and from the back.
public struct SuggestionIndex: Sendable {
    private let words: [String]
    /// Bytes of each word, and of each reversed, with the word's number; sorted.
    private let forward: [(bytes: [UInt8], word: Int)]
    private let backward: [(bytes: [UInt8], word: Int)]
    /// Words that are looked at on each side of where the mistyped one would stand.
    private static let neighbours = 4

    /// An index of these words.
    public init(_ words: [String]) {
        self.words = words
        func sorted(_ bytes: (String) -> [UInt8]) -> [(bytes: [UInt8], word: Int)] {
            words.enumerated().map { (bytes($0.element), $0.offset) }
                .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        }
        forward = sorted { Array($0.utf8) }
        backward = sorted { Array($0.utf8.reversed()) }
    }

    /// A near word, if there is one; of many words it need not be the nearest.
    public func nearest(to typed: String) -> String? {
        let typed = Array(typed.utf8)
        guard typed.count <= 100 else { return nil }
        let near =
            Self.around(typed, forward) + Self.around(Array(typed.reversed()), backward)
        return Suggestion.nearest(
            near.lazy.map { (Array(words[$0].utf8), words[$0]) },
            to: typed
        )
    }

    private static func around(
        _ typed: [UInt8],
        _ list: [(bytes: [UInt8], word: Int)]
    ) -> [Int] {
        var (low, high) = (0, list.count)
        while low < high {
            let middle = (low + high) / 2
            if list[middle].bytes.lexicographicallyPrecedes(typed) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return list[max(0, low - neighbours)..<min(list.count, low + neighbours)].map(\.word)
    }
}
