// "Did you mean": the nearest of some allowed words, by edit distance.

/// Finds the allowed word that a mistyped one was probably meant to be.
public enum Suggestion {
    /// The nearest of `words` to `typed`, if it is near enough to be worth saying.
    ///
    /// Near enough is at most two edits, and fewer edits than half of the word.
    public static func nearest(to typed: String, in words: [String]) -> String? {
        var best: (distance: Int, word: String)?
        for word in words {
            let distance = editDistance(Array(typed.utf8), Array(word.utf8))
            if distance < best?.distance ?? Int.max {
                best = (distance, word)
            }
        }
        guard let best, best.distance <= 2, best.distance * 2 < max(best.word.utf8.count, 2) else {
            return nil
        }
        return best.word
    }

    /// The least number of insertions, deletions, replacements and swaps of neighbours.
    static func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        guard a.count <= 100, b.count <= 100 else { return Int.max / 4 }
        var rows: [[Int]] = [Array(0...b.count)]
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var least = min(rows[i][j + 1] + 1, row[j] + 1)
                least = min(least, rows[i][j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    least = min(least, rows[i - 1][j - 1] + 1)
                }
                row.append(least)
            }
            rows.append(row)
        }
        return rows[a.count][b.count]
    }
}
