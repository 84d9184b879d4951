// What a client asks for, the same on every surface: rows of arguments, as places in the request.

import Bytes
package import JSON

/// How many rows and arguments one request may have.
package struct CallLimits: Sendable, Equatable {
    /// Arrays and objects inside each other.
    package var depth = 64
    /// Rows of a batch.
    package var rows = 100_000
    /// Arguments of a row.
    package var arguments = 64

    package init() {}
}

/// The rows of one request. It keeps its memory from one request to the next.
package struct PredictionCall: Sendable {
    /// One row.
    package struct Row: Sendable, BitwiseCopyable {
        /// The index of the caller's id in the document; -1 when the row is the whole request.
        package let id: Int
        /// The index of what the caller wants to be logged with the row; -1: nothing.
        package let context: Int
        /// Where its arguments begin and end in `arguments`.
        let start: Int
        let end: Int
        /// Where its arguments stand in `arguments`.
        package var arguments: Range<Int> { start..<end }
    }

    /// Characters of a row's id, in Unicode's scalars; digits, of a number.
    package static let idCharactersMaximum = 1024

    /// Whether the caller asked with a list of rows, and so is answered with one.
    package internal(set) var isBatch = false
    /// How long the caller waits, in nanoseconds, if it says so in the body.
    package internal(set) var timeoutNanoseconds: UInt64?
    /// Whether one split answers all rows.
    package internal(set) var isOneArm = false
    /// The index of the value that says whose request it is, if one does beside the rows.
    package internal(set) var subject: Int?
    /// The index of the name of the split that has to answer, if the body names one.
    package internal(set) var forced: Int?
    /// The arguments of all rows: indices in the document.
    package private(set) var arguments: [Int] = []
    /// The rows in the order of the request.
    package private(set) var rows: [Row] = []

    package init() {
        arguments.reserveCapacity(64)
        rows.reserveCapacity(16)
    }

    /// Forgets the rows and keeps the memory, unless it is for more than `count` of them.
    package mutating func clear(keeping count: Int = .max) {
        isBatch = false
        timeoutNanoseconds = nil
        isOneArm = false
        subject = nil
        forced = nil
        if arguments.capacity > count { arguments = [] }
        if rows.capacity > count { rows = [] }
        arguments.clear()
        rows.clear()
    }

    /// Bytes that grow with the rows.
    package var capacityBytes: Int {
        arguments.capacity * MemoryLayout<Int>.stride + rows.capacity * MemoryLayout<Row>.stride
    }

    /// Begins a call with tensors, which one split answers.
    package mutating func beginTensors(timeoutNanoseconds time: UInt64?) {
        clear()
        isBatch = true
        isOneArm = true
        timeoutNanoseconds = time
    }

    /// Forgets the rows that there were, and adds so many without arguments.
    package mutating func setRows(_ count: Int) {
        rows.removeAll(keepingCapacity: true)
        arguments.removeAll(keepingCapacity: true)
        for _ in 0..<count { endRow(id: -1) }
    }

    /// Forgets the rows that there were, and takes those of a list: each has one argument, or, if
    /// they are lists, an argument for each element.
    package mutating func takeRows(of document: borrowing JSONDocument, areLists: Bool) {
        rows.removeAll(keepingCapacity: true)
        arguments.removeAll(keepingCapacity: true)
        var index = 1
        while index < document.entries.count {
            let next = Int(document.entries[index].next)
            if areLists {
                arguments += document.children(of: index)
            } else {
                addArgument(index)
            }
            endRow(id: -1)
            index = next
        }
    }

    /// Adds an argument to the row that is being read.
    mutating func addArgument(_ index: Int) {
        arguments.append(index)
    }

    /// Ends the row that is being read.
    mutating func endRow(id: Int, context: Int = -1) {
        let start = rows.last?.end ?? 0
        rows.append(Row(id: id, context: context, start: start, end: arguments.count))
    }
}
