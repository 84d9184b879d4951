// What a request came to, the same on every surface: the rows' results, and which split gave each.

package import Bytes
package import Endpoints

/// The results of one request. It keeps its memory from one request to the next.
package struct PredictionOutcome: ~Copyable {
    /// A split that answered rows, in one way of choosing it.
    package struct UsedSplit: Sendable {
        package let text: SplitText
        /// Nil for a deployment that was called by its own name.
        package let assignment: AssignmentKind?
        /// The name of the split that was chosen and could not answer, where this one is the
        /// fallback for it.
        package let intended: [UInt8]?
        /// How many rows it got.
        package fileprivate(set) var rows: Int
        /// Nanoseconds that they waited for a thread of the model's pool.
        package var queueNanoseconds: UInt64 = 0
        /// Rows that were asked together: its own, and those of others that a pool took with them.
        package var batchRows = 0
    }

    /// One row.
    package struct Row: Sendable, BitwiseCopyable {
        /// Where its split stands in `splits`.
        package fileprivate(set) var split: Int
        fileprivate let subjectStart: Int
        fileprivate let subjectEnd: Int
        fileprivate var outputStart: Int
        fileprivate var outputEnd: Int
        /// Whether the row names a usable subject.
        package let hasSubject: Bool
        /// Where its subject stands in `subjects`.
        package var subject: Range<Int> { subjectStart..<subjectEnd }
        /// Where its result stands in `outputs`; empty while there is none.
        package var output: Range<Int> { outputStart..<outputEnd }
    }

    /// In the order of their first use.
    package private(set) var splits: [UsedSplit] = []
    /// In the order of the request; those that were assigned so far.
    package private(set) var rows: [Row] = []
    /// The canonical subjects of all rows.
    package private(set) var subjects = ByteBuffer(capacity: Subject.bytesMaximum)
    /// The results of all rows: JSON.
    package private(set) var outputs = ByteBuffer(capacity: 4096)
    /// Whether the row at hand has its split; a failure then carries it.
    package private(set) var isAssigned = false
    /// The row at hand: the last that was assigned, or one that a pool has come back with.
    package private(set) var rowAtHand = 0

    package init() {
        splits.reserveCapacity(8)
        rows.reserveCapacity(16)
    }

    /// Forgets everything and keeps the memory, unless it is for more than `bytes`.
    package mutating func clear(keeping bytes: Int = .max) {
        splits.clear()
        if rows.capacity > bytes / 64 { rows = [] }
        rows.clear()
        subjects.clear(keeping: bytes)
        outputs.clear(keeping: bytes)
        isAssigned = false
    }

    /// Bytes that grow with the rows and their results.
    package var capacityBytes: Int {
        rows.capacity * MemoryLayout<Row>.stride + subjects.capacity + outputs.capacity
    }

    /// Begins the next row.
    package mutating func beginRow() {
        isAssigned = false
    }

    /// Notes who answers the row at hand, and whose it is.
    package mutating func assign(
        _ text: SplitText,
        _ assignment: AssignmentKind?,
        intended: [UInt8]? = nil,
        subject: [UInt8]?
    ) {
        let index = use(text, assignment, intended: intended)
        splits[index].rows += 1
        splits[index].batchRows += 1
        let start = subjects.count
        if let subject { subjects.append(contentsOf: subject) }
        rows.append(
            Row(
                split: index,
                subjectStart: start,
                subjectEnd: subjects.count,
                outputStart: outputs.count,
                outputEnd: outputs.count,
                hasSubject: subject != nil
            )
        )
        rowAtHand = rows.count - 1
        isAssigned = true
    }

    @inline(__always)
    private mutating func use(
        _ text: SplitText,
        _ assignment: AssignmentKind?,
        intended: [UInt8]? = nil
    ) -> Int {
        for index in splits.indices
        where splits[index].text === text && splits[index].assignment == assignment
            && splits[index].intended == intended
        {
            return index
        }
        splits.append(
            UsedSplit(text: text, assignment: assignment, intended: intended, rows: 0)
        )
        return splits.count - 1
    }

    /// Gives a row to the fallback of its endpoint: the split named `intended` could not answer.
    package mutating func reassign(row: Int, to text: SplitText, intended: [UInt8]) {
        let before = rows[row].split
        splits[before].rows -= 1
        splits[before].batchRows = max(0, splits[before].batchRows - 1)
        let index = use(text, .fallback, intended: intended)
        splits[index].rows += 1
        splits[index].batchRows += 1
        rows[row].split = index
    }

    /// Forgets splits whose rows all went to a fallback; returns where those that are left stood.
    package mutating func dropUnused() -> [Int] {
        let kept = splits.indices.filter { splits[$0].rows > 0 }
        guard kept.count < splits.count else { return kept }
        for index in rows.indices {
            rows[index].split = kept.firstIndex(of: rows[index].split) ?? 0
        }
        splits = kept.map { splits[$0] }
        return kept
    }

    /// Goes back to a row.
    package mutating func resume(row: Int) {
        rowAtHand = row
    }

    /// Takes the result of a row.
    package mutating func finish(row: Int, _ output: Span<UInt8>) {
        let start = outputs.count
        outputs.append(output)
        rows[row].outputStart = start
        rows[row].outputEnd = outputs.count
    }

    /// Notes how the rows of a split were asked.
    package mutating func noteBatch(split: Int, rows: Int, queueNanoseconds: UInt64) {
        splits[split].batchRows = max(rows, splits[split].batchRows)
        splits[split].queueNanoseconds = queueNanoseconds
    }
}
