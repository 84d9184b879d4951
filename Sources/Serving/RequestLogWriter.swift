// The request log's files, and the thread that appends to them what the loops left in their rings.
//
// A record is in a ring, on file-backed memory, before its answer leaves, so the process may die at
// any instruction. What this thread adds is order (one sequence for all loops) and the plain file.
// Each batch is noted in its ring before it is written; a successor that finds a note compares it
// with the last sequence number in the files and writes only what is missing.

import Bytes
import JSON
package import Logging
package import Platform

/// Appends records to `requests-<first sequence>.jsonl`.
package final class RequestLogFiles {
    private let folder: String
    private let bytesMaximum: Int
    private let ageNanoseconds: UInt64
    private let keep: LogKeep
    private let log: EventLog
    /// When the file was opened or begun, on the monotonic clock.
    private var begunAt = MonotonicClock.now()
    private var file: FileDescriptor?
    private var path = ""
    private var size = 0
    /// Which file that is: another one may come to its name.
    private var inode: UInt64 = 0
    private var prunedAt: UInt64 = 0
    /// The number of the next record.
    package private(set) var nextSequence: UInt64 = 1

    /// Opens the newest file of a folder and finds out where the log ends.
    package init(
        folder: String,
        bytesMaximum: Int,
        ageNanoseconds: UInt64,
        keep: LogKeep,
        log: EventLog = EventLog { _ in }
    ) throws(SystemError) {
        self.log = log
        self.folder = folder
        self.bytesMaximum = bytesMaximum
        self.ageNanoseconds = ageNanoseconds
        self.keep = keep
        try Directory.createAll(folder)
        guard let newest = try Self.names(in: folder).last else { return }
        path = "\(folder)/\(newest)"
        nextSequence = Self.firstSequence(newest) ?? 1
        try readEnd()
    }

    private static func name(_ sequence: UInt64) -> String {
        var name: [UInt8] = []
        name.append("requests-")
        name.append(decimal: sequence, width: 12)
        name.append(".jsonl")
        return String(decoding: name, as: UTF8.self)
    }

    /// Numbers beyond this are somebody's invention: a billion records a day for 2,700 years.
    private static let sequenceMaximum: UInt64 = 1_000_000_000_000_000

    private static func firstSequence(_ name: String) -> UInt64? {
        guard let number = UInt64(name.dropFirst(9).dropLast(6)), number <= sequenceMaximum,
            self.name(number) == name
        else { return nil }
        return number
    }

    /// The log's files, the oldest first. Beyond 12 digits the order of names is another one.
    static func names(in folder: String) throws(SystemError) -> [String] {
        try Directory.names(in: folder)
            .filter { firstSequence($0) != nil }
            .sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
    }

    /// Finds the last complete record, and cuts off what a dead process left behind it.
    private func readEnd() throws(SystemError) {
        let opened = try File.open(path, access: .append)
        let total = try File.facts(path).size
        // The last MiB: longer than any record.
        let tail = try File.read(path, limit: total, from: max(0, total - (1 << 20)))
        let complete = tail.lastIndex(of: 0x0a).map { tail[...$0] } ?? tail[..<0]
        size = total - (tail.count - complete.count)
        if size != total { try opened.truncate(to: size) }
        // The last line that is a record; somebody else may have written behind it.
        for line in complete.split(separator: 0x0a).reversed() {
            guard let number = Self.sequence(of: Array(line)), number >= nextSequence else {
                continue
            }
            nextSequence = number + 1
            break
        }
        file = consume opened
        inode = try File.facts(path).inode
    }

    private static func sequence(of line: [UInt8]) -> UInt64? {
        guard let record = try? JSONValue(parsing: line), record["time"] != nil,
            record["requestId"] != nil, let number = record["sequence"]?.unsigned,
            number <= sequenceMaximum
        else { return nil }
        return number
    }

    /// Appends whole lines, which have the next `count` numbers; all of them or none.
    func append(_ lines: borrowing ByteBuffer, count: UInt64) throws(SystemError) {
        if count == 0 { return }
        let now = MonotonicClock.now()
        let isOld = size > 0 && now - begunAt >= ageNanoseconds
        if file == nil || size >= bytesMaximum || isOld || hasGone() { try beginFile() }
        if now >= prunedAt + Self.pruneNanoseconds { prune(at: now) }
        do {
            try lines.withSpan { bytes throws(SystemError) in try file?.writeAll(bytes) }
        } catch {
            // A torn line must not stay: the same records are written again later.
            do {
                try file?.truncate(to: size)
            } catch {
                file = nil
            }
            throw error
        }
        size += lines.count
        nextSequence += count
    }

    /// Between two looks for files that have become too old.
    private static let pruneNanoseconds: UInt64 = 3_600_000_000_000

    /// Whether the file is not the one at its name any more: somebody has moved or removed it, or
    /// the whole folder, and may have put another one there. Asked each time, since what is written
    /// to a file that is being compressed would be lost.
    private func hasGone() -> Bool {
        guard let facts = try? File.facts(path), facts.inode == inode else { return true }
        if facts.size < size {
            log.write(
                .warning,
                "request_log.cut",
                "\(path) was cut from \(size) to \(facts.size) bytes by somebody, as logrotate's "
                    + "'copytruncate' does: records that were written between its copy and its cut "
                    + "are in neither; let it move the file instead",
                ["bytes": .number(facts.size)]
            )
            size = facts.size
        }
        return false
    }

    private func beginFile() throws(SystemError) {
        try Directory.createAll(folder)
        let next = "\(folder)/\(Self.name(nextSequence))"
        file = try File.open(next, access: .append, mode: 0o640)
        path = next
        begunAt = MonotonicClock.now()
        let facts = try File.facts(next)
        (size, inode) = (facts.size, facts.inode)
        prune(at: begunAt)
    }

    /// Removes what is not kept, and says so.
    private func prune(at now: UInt64) {
        prunedAt = now
        guard let all = try? Self.names(in: folder) else { return }
        let files = all.map { name in (name: name, facts: try? File.facts("\(folder)/\(name)")) }
        let gone = keep.removed(
            files.map { ($0.facts?.size ?? 0, $0.facts?.written ?? .max) },
            now: WallTime.now().microseconds * 1000
        )
        for index in gone where "\(folder)/\(files[index].name)" != path {
            let file = files[index]
            guard (try? File.remove("\(folder)/\(file.name)")) != nil else { continue }
            log.write(
                .info,
                "request_log.removed",
                "\(folder)/\(file.name) is removed: --log-keep \(keep)",
                ["bytes": .number(file.facts?.size ?? 0)]
            )
        }
    }

    /// Moves what waits in a ring to the files. Returns how many records that were.
    ///
    /// What is good before a damaged place is moved too; then the error `badMessage` is thrown.
    package func drain(_ ring: LogRing) throws(SystemError) -> UInt64 {
        if let batch = ring.openBatch { return try finish(batch.end, batch.firstSequence, ring) }
        guard ring.hasRecords else { return 0 }
        var composer = LineComposer(nextSequence: nextSequence)
        let end = ring.read(upTo: nil, bytes: 1 << 20) { composer.add($0) }
        if end.isDamaged, composer.count == 0 { throw damaged(ring) }
        ring.beginBatch(end: end.position, firstSequence: nextSequence)
        return try write(composer, end.position, ring)
    }

    private func damaged(_ ring: LogRing) -> SystemError {
        SystemError(call: "read", subject: ring.path, number: SystemError.badMessage)
    }

    /// Writes a noted batch. After a failure nothing of it is in the file, and the note is taken
    /// back.
    private func write(
        _ composer: borrowing LineComposer,
        _ end: UInt64,
        _ ring: LogRing
    ) throws(SystemError) -> UInt64 {
        do {
            try append(composer.lines, count: composer.count)
        } catch {
            ring.cancelBatch()
            throw error
        }
        ring.finishBatch(end: end)
        return composer.count
    }

    /// Writes what is missing of a batch that somebody had begun.
    private func finish(
        _ end: UInt64,
        _ firstSequence: UInt64,
        _ ring: LogRing
    ) throws(SystemError) -> UInt64 {
        // Records with numbers below `nextSequence` are in the files already.
        let present = nextSequence > firstSequence ? nextSequence - firstSequence : 0
        var composer = LineComposer(nextSequence: nextSequence, skipping: present)
        let read = ring.read(upTo: end, bytes: Int.max) { composer.add($0) }
        guard !read.isDamaged, read.position == end else { throw damaged(ring) }
        try append(composer.lines, count: composer.count)
        ring.finishBatch(end: end)
        return composer.count
    }
}

/// Puts sequence numbers into records.
private struct LineComposer: ~Copyable {
    var lines = ByteBuffer(capacity: 1 << 16)
    var count: UInt64 = 0
    private var next: UInt64
    private var toSkip: UInt64

    init(nextSequence: UInt64, skipping: UInt64 = 0) {
        next = nextSequence
        toSkip = skipping
    }

    /// Adds the record of a ring: the time's text, then the rest of the line without its end.
    mutating func add(_ record: Span<UInt8>) {
        if toSkip > 0 {
            toSkip -= 1
            return
        }
        guard record.count > RequestRecord.timeBytes else { return }
        lines.append(literal: "{\"time\":\"")
        lines.append(record.extracting(0..<RequestRecord.timeBytes))
        lines.append(literal: "\",\"sequence\":")
        lines.append(decimal: next)
        lines.append(record.extracting(RequestRecord.timeBytes..<record.count))
        lines.append(0x0a)
        next += 1
        count += 1
    }
}

/// The thread that empties the rings.
package final class RequestLogWriter: Sendable {
    private let isStopped = Guarded<Bool>(false)
    private let log: EventLog

    /// How long it waits before it looks again. What has come meanwhile is written at once: a write
    /// for every few records costs the loops a tenth of their time.
    private static let busyNanoseconds: UInt64 = 10_000_000
    private static let idleNanoseconds: UInt64 = 50_000_000
    /// A backlog of more is written without a pause.
    private static let backlogBytes = 256 << 10

    package init(log: EventLog) {
        self.log = log
    }

    /// Asks `run` to end once the rings are empty.
    package func stop() {
        isStopped.withLock { $0 = true }
        isStopped.notify()
    }

    /// Empties the rings until `stop`, then once more. Runs on a thread of its own.
    package func run(
        _ files: consuming sending RequestLogFiles,
        pending: [LogRing],
        living: Int32 = 0,
        rings: [LogRing],
        state: HostState
    ) {
        var pending = pending
        var failedBefore = false
        while true {
            let isIdle = failedBefore || !(rings + pending).contains { $0.hasRecords }
            let stopping = isStopped.wait(
                nanoseconds: isIdle ? Self.idleNanoseconds : Self.busyNanoseconds
            ) { $0 }
            let failure =
                empty(&pending, of: living, into: files)
                ?? empty(rings, into: files, untilEmpty: stopping)
            if let failure, !failedBefore {
                log.write(
                    .error,
                    "request_log.failing",
                    "the request log cannot be written: \(failure); records wait in their rings"
                )
            }
            if failure == nil, failedBefore {
                log.write(
                    .info,
                    "request_log.healed",
                    "the request log is written again",
                    ["recordsLost": .number(Int(clamping: state.recordsLost))]
                )
            }
            failedBefore = failure != nil
            state.setLogFailing(failedBefore)
            if stopping { return }
        }
    }

    /// Empties the rings of an earlier process and removes them; returns why that was not possible.
    /// Those of one that still writes to them stay until it has ended.
    private func empty(
        _ pending: inout [LogRing],
        of living: Int32,
        into files: RequestLogFiles
    ) -> SystemError? {
        var left: [LogRing] = []
        defer { pending = left }
        for (index, ring) in pending.enumerated() {
            // Asked first: what it writes after this is looked at the next time.
            let isInUse = LogRings.isInUse(ring, by: living)
            do {
                if isInUse {
                    while ring.hasRecords { _ = try files.drain(ring) }
                    left.append(ring)
                } else {
                    _ = try LogRings.replay(ring, into: files, log: log)
                }
            } catch {
                left += pending[index...]
                return error
            }
        }
        return nil
    }

    /// Empties the loops' rings; returns why that was not possible.
    private func empty(
        _ rings: [LogRing],
        into files: RequestLogFiles,
        untilEmpty: Bool
    ) -> SystemError? {
        // A batch that a predecessor had begun has the next numbers: nothing goes before it.
        let begun = rings.filter { $0.openBatch != nil }
        for ring in begun + rings.filter({ $0.openBatch == nil }) {
            do {
                // When it ends nothing may be left; while it runs the next look has the rest. A few
                // small pieces more, and a moment comes in which the ring is empty: then the loop
                // begins again at its front, where the memory is still in the cache.
                var pieces = 0
                repeat {
                    _ = try files.drain(ring)
                    pieces += 1
                } while ring.waitingBytes > (untilEmpty || pieces < 4 ? 0 : Self.backlogBytes)
            } catch {
                // The order of the rings matters to one that has a batch open: none is passed over.
                guard error.number == SystemError.badMessage else { return error }
                // Something has written over the ring: go on with what comes after it.
                ring.discardAll()
                log.write(
                    .error,
                    "request_log.damaged",
                    "\(ring.path) was written over; the records in it are lost"
                )
            }
        }
        return nil
    }
}
