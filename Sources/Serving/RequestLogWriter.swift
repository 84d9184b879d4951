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
    private let filesKept: Int
    /// When the file was opened or begun, on the monotonic clock.
    private var begunAt = MonotonicClock.now()
    private var file: FileDescriptor?
    private var path = ""
    private var size = 0
    /// The number of the next record.
    package private(set) var nextSequence: UInt64 = 1

    /// Opens the newest file of a folder and finds out where the log ends.
    package init(
        folder: String,
        bytesMaximum: Int,
        ageNanoseconds: UInt64,
        filesKept: Int
    ) throws(SystemError) {
        self.folder = folder
        self.bytesMaximum = bytesMaximum
        self.ageNanoseconds = ageNanoseconds
        self.filesKept = filesKept
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
        // Somebody may have removed the file, or the whole folder.
        let isOld = size > 0 && MonotonicClock.now() - begunAt >= ageNanoseconds
        if file == nil || size >= bytesMaximum || isOld || !File.exists(path) { try beginFile() }
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

    private func beginFile() throws(SystemError) {
        try Directory.createAll(folder)
        let next = "\(folder)/\(Self.name(nextSequence))"
        file = try File.open(next, access: .append, mode: 0o640)
        path = next
        begunAt = MonotonicClock.now()
        size = try File.facts(next).size
        let all = try Self.names(in: folder)
        for old in all.dropLast(filesKept) { try? File.remove("\(folder)/\(old)") }
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
        for ring in rings {
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

/// Rings on disk: `<folder>/ring-<process>-<loop>.bin`.
package enum LogRings {
    /// What replaying came to.
    package struct Replayed {
        /// How many records were found and are in the log.
        package var count: UInt64 = 0
        /// Rings that wait, since the log cannot be written at the moment (a full disk).
        package var pending: [LogRing] = []
    }

    /// Appends to the log what a process before this one has left in its rings, and removes them.
    ///
    /// A ring that cannot be read is kept under another name; one that cannot be written to the log
    /// now is left to the writer, so that a full disk does not keep a host from starting.
    package static func replay(
        folder: String,
        into files: RequestLogFiles,
        except own: [LogRing] = [],
        isUrgent: Bool = false,
        log: EventLog
    ) throws(SystemError) -> Replayed {
        try Directory.createAll(folder, mode: 0o700)
        var rings: [LogRing] = []
        for name in try Directory.names(in: folder)
        where name.hasPrefix("ring-") && name.hasSuffix(".bin") {
            let path = "\(folder)/\(name)"
            if own.contains(where: { $0.path == path }) { continue }
            if let ring = try LogRing(existing: path) {
                rings.append(ring)
            } else {
                try setAside(path, "it is no ring of this host's layout", log)
            }
        }
        // The one batch whose writing was begun comes first: its numbers follow those in the files.
        let open = rings.filter { $0.openBatch != nil }
        let closed = rings.filter { $0.openBatch == nil }
        var replayed = Replayed()
        for ring in open + closed {
            if !replayed.pending.isEmpty || isUrgent {
                replayed.pending.append(ring)
                continue
            }
            do {
                replayed.count += try replay(ring, into: files, log: log)
            } catch {
                log.write(
                    .error,
                    "request_log.pending",
                    "records of an earlier host wait in \(folder): \(error)"
                )
                replayed.pending.append(ring)
            }
        }
        return replayed
    }

    /// Decides what of dead processes' last requests is in the log: what was answered. Done before
    /// anybody executes them again.
    static func settle(folder: String, except living: Int32, _ region: SlotRegion) {
        for ring in rings(in: folder) where !isInUse(ring, by: living) {
            ring.settleStaged { key in !region.isExecuting(key) }
        }
    }

    /// Removes rings of processes that have ended without anything to say: workers that had got
    /// ready and were never needed.
    static func removeUnused(folder: String) {
        for ring in rings(in: folder) where !ring.hasRecords && ring.lost == 0 {
            guard let process = process(of: ring), process != CurrentProcess.id,
                !CurrentProcess.isRunning(process)
            else { continue }
            try? File.remove(ring.path)
        }
    }

    private static func rings(in folder: String) -> [LogRing] {
        let names = (try? Directory.names(in: folder)) ?? []
        return names.filter { $0.hasPrefix("ring-") && $0.hasSuffix(".bin") }
            .compactMap { try? LogRing(existing: "\(folder)/\($0)") }
    }

    /// The process whose ring it is, by its name; nil: nobody's.
    private static func process(of ring: LogRing) -> Int32? {
        let name = ring.path.split(separator: "/").last ?? ""
        return name.split(separator: "-").dropFirst().first.flatMap { Int32($0) }
    }

    /// Whether a ring is of this process, and that runs; 0 stands for none.
    static func isInUse(_ ring: LogRing, by process: Int32) -> Bool {
        process > 0 && self.process(of: ring) == process && CurrentProcess.isRunning(process)
    }

    /// Moves one ring's records to the log and removes it, or sets it aside when it is damaged.
    static func replay(
        _ ring: LogRing,
        into files: RequestLogFiles,
        log: EventLog
    ) throws(SystemError) -> UInt64 {
        var count: UInt64 = 0
        do {
            while ring.hasRecords {
                count += try files.drain(ring)
            }
        } catch {
            guard error.number == SystemError.badMessage else { throw error }
            try setAside(ring.path, "its records are damaged from some place on", log)
            return count
        }
        if ring.lost > 0 {
            log.write(
                .error,
                "request_log.lost",
                "\(ring.lost) records had found no room in \(ring.path)",
                ["recordsLost": .number(Int(clamping: ring.lost))]
            )
        }
        try? File.remove(ring.path)
        return count
    }

    /// Keeps a ring that cannot be read under another name.
    private static func setAside(
        _ path: String,
        _ reason: String,
        _ log: EventLog
    ) throws(SystemError) {
        let kept = free(path, ".damaged")
        try File.rename(path, to: kept)
        log.write(.error, "request_log.damaged", "\(path): \(reason); kept as \(kept)")
    }

    /// A path with this ending that names nothing yet: a process's number may come again, and what
    /// an earlier one has left is not overwritten.
    private static func free(_ path: String, _ ending: String) -> String {
        var candidate = path + ending
        var number = 1
        while File.exists(candidate) {
            candidate = "\(path)-\(number)\(ending)"
            number += 1
        }
        return candidate
    }

    /// Makes the rings of this process's loops.
    package static func create(
        folder: String,
        count: Int,
        bytes: Int
    ) throws(SystemError) -> [LogRing] {
        var rings: [LogRing] = []
        for index in 0..<count {
            let path = free("\(folder)/ring-\(CurrentProcess.id)-\(index)", ".bin")
            rings.append(try LogRing(creating: path, capacity: bytes))
        }
        return rings
    }
}
