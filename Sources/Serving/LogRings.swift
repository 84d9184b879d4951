// The rings that lie on the disk: made, used again, and emptied into the log when their process has
// ended.

package import Logging
package import Platform

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

    /// The rings that dead processes have left.
    static func left(in folder: String) -> [LogRing] {
        rings(in: folder).filter { ring in
            process(of: ring).map { !CurrentProcess.isRunning($0) } ?? false
        }
    }

    /// Makes the rings of this process's loops.
    ///
    /// Those that dead processes have left are used again first, with what is in them: then nothing
    /// is asked of a disk that may be full. Where not even a small one can be made, records are
    /// kept in memory, which outlives a worker of a supervisor and not the host.
    ///
    /// - Parameter left: what dead processes have left.
    package static func create(
        folder: String,
        count: Int,
        bytes: Int,
        reusing left: [LogRing] = [],
        log: EventLog = EventLog { _ in }
    ) throws(SystemError) -> [LogRing] {
        var old = left
        var rings: [LogRing] = []
        for index in 0..<count {
            let path = free("\(folder)/ring-\(CurrentProcess.id)-\(index)", ".bin")
            if let place = old.firstIndex(where: { $0.capacity == LogRing.rounded(bytes) }),
                (try? old[place].move(to: path)) != nil
            {
                rings.append(old.remove(at: place))
            } else {
                rings.append(try create(path, bytes, &old, log))
            }
        }
        return rings
    }

    private static func create(
        _ path: String,
        _ bytes: Int,
        _ old: inout [LogRing],
        _ log: EventLog
    ) throws(SystemError) -> LogRing {
        var failure: SystemError
        do throws(SystemError) {
            return try LogRing(creating: path, capacity: bytes)
        } catch {
            failure = error
        }
        // One of another size is better than none.
        if let other = old.popLast(), (try? other.move(to: path)) != nil { return other }
        for size in [bytes / 8, 1 << 20, 1 << 16] where size < bytes {
            if let ring = try? LogRing(creating: path, capacity: size) {
                log.write(
                    .warning,
                    "request_log.small_ring",
                    "\(path) has \(size) bytes instead of \(bytes): \(failure)"
                )
                return ring
            }
        }
        log.write(
            .error,
            "request_log.no_ring",
            "\(failure); records wait in memory, and a crash of this worker loses those that are "
                + "not written yet; make room in the state folder and recycle the worker"
        )
        return try LogRing(inMemory: path, capacity: min(bytes, 1 << 20))
    }
}
