import JSON
import Logging
import Platform
import Serving
import TestSupport
import Testing

/// The log's files and what a dead process has left for them.
struct RequestLogTests {
    private func record(_ id: Int) -> [UInt8] {
        Array("2026-11-21T03:00:00.123456Z,\"requestId\":\"r\(id)\"}".utf8)
    }

    private func files(
        _ folder: TemporaryFolder,
        bytes: Int = 1 << 20,
        age: UInt64 = .max,
        kept: Int = 100
    ) throws -> RequestLogFiles {
        try RequestLogFiles(
            folder: "\(folder.path)/logs",
            bytesMaximum: bytes,
            ageNanoseconds: age,
            keep: .files(kept)
        )
    }

    private func lines(_ folder: TemporaryFolder) throws -> [(UInt64, String)] {
        var lines: [(UInt64, String)] = []
        let logs = "\(folder.path)/logs"
        for name in try Directory.names(in: logs) {
            for line in try File.read("\(logs)/\(name)", limit: 1 << 20).split(separator: 0x0a) {
                let json = try JSONValue(parsing: Array(line))
                lines.append(
                    (json["sequence"]?.unsigned ?? 0, json["requestId"]?.string ?? "")
                )
            }
        }
        return lines
    }

    private func isComplete(_ folder: TemporaryFolder, _ count: Int) throws -> Bool {
        let lines = try lines(folder)
        return lines.map(\.0) == Array(1...UInt64(count))
            && Set(lines.map(\.1)) == Set((1...count).map { "r\($0)" })
    }

    @Test
    func `whatever part of a batch a dead process has written, no record is lost or repeated`()
        throws
    {
        // The whole file that an undisturbed writer makes tells where a kill can cut it.
        let whole = try TemporaryFolder()
        let first = try LogRing(creating: "\(whole.path)/ring-1-0.bin", capacity: 8192)
        for id in 1...10 { #expect(first.append(record(id), key: 1)) }
        _ = try files(whole).drain(first)
        let name = "requests-000000000001.jsonl"
        let text = try File.read("\(whole.path)/logs/\(name)", limit: 1 << 20)
        for cut in 0...text.count {
            let folder = try TemporaryFolder()
            try Directory.create("\(folder.path)/logs")
            try Directory.create("\(folder.path)/rings")
            let ring = try LogRing(creating: "\(folder.path)/rings/ring-1-0.bin", capacity: 8192)
            for id in 1...10 { #expect(ring.append(record(id), key: 1)) }
            let end = ring.read(upTo: nil, bytes: 1 << 20) { _ in }.position
            ring.beginBatch(end: end, firstSequence: 1)
            // More was logged by other loops while the batch was being written.
            let other = try LogRing(creating: "\(folder.path)/rings/ring-0-1.bin", capacity: 8192)
            for id in 11...13 { #expect(other.append(record(id), key: 1)) }
            #expect(ring.append(record(14), key: 1))
            try File.writeNew("\(folder.path)/logs/\(name)", Array(text[..<cut]))
            _ = try LogRings.replay(
                folder: "\(folder.path)/rings",
                into: files(folder),
                log: EventLog { _ in }
            )
            #expect(try isComplete(folder, 14), "cut at \(cut)")
            #expect(try Directory.names(in: "\(folder.path)/rings").isEmpty)
        }
    }

    @Test func `numbers go on over files, and old files are removed`() throws {
        let folder = try TemporaryFolder()
        let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 8192)
        let log = try files(folder, bytes: 200, kept: 3)
        for id in 1...20 {
            #expect(ring.append(record(id), key: 1))
            #expect(try log.drain(ring) == 1)
        }
        let names = try Directory.names(in: "\(folder.path)/logs")
        #expect(names.count == 3)
        let last = try lines(folder)
        #expect(last.last?.0 == 20 && last.last?.1 == "r20")
        #expect(try files(folder).nextSequence == 21)
    }

    @Test func `foreign lines and names do not move the numbers`() throws {
        let folder = try TemporaryFolder()
        let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 8192)
        for id in 1...3 { #expect(ring.append(record(id), key: 1)) }
        _ = try files(folder).drain(ring)
        let path = "\(folder.path)/logs/requests-000000000001.jsonl"
        let text = try File.read(path, limit: 1 << 20)
        for line in [
            #"{"sequence":1}"#, #"{"time":"","requestId":"","sequence":18446744073709551615}"#,
            #"{"time":"","requestId":"","sequence":0}"#, "no record",
        ] {
            try File.writeAtomically(path, text + Array("\(line)\n".utf8))
            #expect(try files(folder).nextSequence == 4, "\(line)")
        }
        try folder.write("logs/requests-18446744073709551615.jsonl", "")
        try folder.write("logs/requests-+5.jsonl", "")
        #expect(try files(folder).nextSequence == 4)
    }

    @Test func `a number of thirteen digits comes after those of twelve`() throws {
        let folder = try TemporaryFolder()
        for number in ["999999999999", "1000000000000"] {
            let line = "{\"time\":\"\",\"requestId\":\"\",\"sequence\":\(number)}\n"
            try folder.write("logs/requests-\(number).jsonl", line)
        }
        #expect(try files(folder).nextSequence == 1_000_000_000_001)
    }

    @Test func `rings of a process do not take the place of those that an earlier one left`() throws
    {
        let folder = try TemporaryFolder()
        let first = try LogRings.create(folder: folder.path, count: 2, bytes: 4096)
        #expect(first[0].append(record(1), key: 1))
        let second = try LogRings.create(folder: folder.path, count: 2, bytes: 4096)
        #expect(Set((first + second).map(\.path)).count == 4)
        #expect(try LogRing(existing: first[0].path)?.hasRecords == true)
        #expect(try LogRing(existing: second[0].path)?.hasRecords == false)
    }

    @Test func `what moves, replaces or cuts the file that is written to costs no record`() throws {
        for how in ["move", "replace", "remove", "cut"] {
            let folder = try TemporaryFolder()
            let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 8192)
            let events = Guarded<[String]>([])
            let log = try RequestLogFiles(
                folder: "\(folder.path)/logs",
                bytesMaximum: 1 << 20,
                ageNanoseconds: .max,
                keep: .files(100),
                log: EventLog { text in
                    events.withLock { $0.append(text) }
                }
            )
            for id in 1...3 { #expect(ring.append(record(id), key: 1)) }
            #expect(try log.drain(ring) == 3)
            let path = "\(folder.path)/logs/requests-000000000001.jsonl"
            switch how {
            case "move": try File.rename(path, to: "\(folder.path)/moved")
            case "replace":
                try File.rename(path, to: "\(folder.path)/moved")
                try File.writeNew(path, [])
            case "remove": try File.remove(path)
            default: try File.open(path, access: .append).truncate(to: 0)
            }
            for id in 4...6 { #expect(ring.append(record(id), key: 1)) }
            #expect(try log.drain(ring) == 3)
            let lines = try lines(folder)
            #expect(lines.map(\.0) == [4, 5, 6] && lines.map(\.1) == ["r4", "r5", "r6"], "\(how)")
            #expect(try files(folder).nextSequence == 7, "\(how)")
            let isSaid = events.withLock { $0.contains { $0.contains("request_log.cut") } }
            #expect(isSaid == (how == "cut"), "\(how)")
        }
    }

    @Test(arguments: [
        ("200", LogKeep.files(200)), ("50GB", .bytes(50_000_000_000)), ("2MiB", .bytes(2 << 20)),
        ("30d", .days(30)),
    ])
    func `what is kept is said in files, bytes or days`(text: String, keep: LogKeep) {
        #expect(LogKeep(text) == keep)
        #expect(LogKeep(keep.description) == keep)
    }

    @Test(arguments: ["", "0", "-1", "5 GB", "5gb", "d", "99999999TB", "100001d", "1.5GB", "3h"])
    func `what is kept is nothing else`(text: String) {
        #expect(LogKeep(text) == nil)
    }

    @Test func `files go that are too many, too large in all or too old`() throws {
        for (keep, kept) in [
            (LogKeep.files(2), 2), (.bytes(1_000_000), 10), (.days(1), 10),
        ] {
            let folder = try TemporaryFolder()
            let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 8192)
            let log = try RequestLogFiles(
                folder: "\(folder.path)/logs",
                bytesMaximum: 1,
                ageNanoseconds: .max,
                keep: keep
            )
            for id in 1...10 {
                #expect(ring.append(record(id), key: 1))
                _ = try log.drain(ring)
            }
            #expect(try Directory.names(in: "\(folder.path)/logs").count == kept, "\(keep)")
        }
    }

    @Test func `rings that dead processes have left are used again with what is in them`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/ring-1-0.bin"
        let old = try LogRing(creating: path, capacity: 8192)
        #expect(old.append(record(1), key: 1))
        let rings = try LogRings.create(
            folder: folder.path,
            count: 2,
            bytes: 8192,
            reusing: [old]
        )
        #expect(rings[0] === old && old.path != path && rings[1] !== old)
        #expect(try Directory.names(in: folder.path).count == 2, "only one was made")
        #expect(rings[0].append(record(2), key: 1))
        _ = try files(folder).drain(rings[0])
        #expect(try lines(folder).map(\.1) == ["r1", "r2"])
    }

    @Test func `a ring in memory keeps records where no file can be made`() throws {
        let folder = try TemporaryFolder()
        let events = Guarded<[String]>([])
        let rings = try LogRings.create(
            folder: "\(folder.path)/missing",
            count: 1,
            bytes: 1 << 20,
            log: EventLog { text in
                events.withLock { $0.append(text) }
            }
        )
        #expect(rings[0].append(record(1), key: 1))
        #expect(try files(folder).drain(rings[0]) == 1)
        #expect(events.withLock { $0.contains { $0.contains("request_log.no_ring") } })
    }

    @Test func `an old file is followed by a new one`() throws {
        let folder = try TemporaryFolder()
        let ring = try LogRing(creating: "\(folder.path)/ring", capacity: 8192)
        let log = try files(folder, age: 0)
        for id in 1...3 {
            #expect(ring.append(record(id), key: 1))
            #expect(try log.drain(ring) == 1)
        }
        #expect(try Directory.names(in: "\(folder.path)/logs").count == 3)
        #expect(try isComplete(folder, 3))
    }

    @Test func `a ring that is damaged is kept aside and the host starts`() throws {
        let folder = try TemporaryFolder()
        try Directory.create("\(folder.path)/rings")
        let path = "\(folder.path)/rings/ring-9-0.bin"
        let ring = try LogRing(creating: path, capacity: 4096)
        #expect(ring.append(record(1), key: 1))
        #expect(ring.append(record(2), key: 1))
        #expect(ring.append(record(3), key: 1))
        var bytes = try File.read(path, limit: 1 << 20)
        bytes[4096 + (16 + record(1).count + 7) & ~7] = 0xf0  // the length of the second record
        try File.writeAtomically(path, bytes)
        try folder.write("rings/ring-9-1.bin", "no ring at all")
        let replayed = try LogRings.replay(
            folder: "\(folder.path)/rings",
            into: files(folder),
            log: EventLog { _ in }
        )
        #expect(replayed.count == 1, "what is good before the damage is kept")
        #expect(
            try Directory.names(in: "\(folder.path)/rings")
                == ["ring-9-0.bin.damaged", "ring-9-1.bin.damaged"]
        )
    }

    @Test func `a log folder that is removed comes back with the next record`() throws {
        let host = try LiveHost(endpoints: ["e": "schemaVersion: 1\nbackends: {a: {value: 1}}\n"])
        try host.start()
        let client = try host.client()
        #expect(try client.call("POST", "/v1/e", body: "{\"data\":1}").status == 200)
        #expect(eventually { (try? host.logLines().count) == 1 })
        try Directory.removeAll(host.configuration.logs)
        for _ in 0..<9 { _ = try client.call("POST", "/v1/e", body: "{\"data\":1}") }
        #expect(host.stop())
        let lines = try host.logLines()
        #expect(lines.count == 9 && lines.last?.contains("\"sequence\":10,") == true)
    }

    @Test func `rings wait while the log cannot be written, and the host starts`() throws {
        let host = try LiveHost(endpoints: ["e": "schemaVersion: 1\nbackends: {a: {value: 1}}\n"])
        try Directory.createAll("\(host.configuration.state)/rings")
        let path = "\(host.configuration.state)/rings/ring-1-0.bin"
        let left = try LogRing(creating: path, capacity: 8192)
        for id in 1...3 { #expect(left.append(record(id), key: 1)) }
        // A file that no byte can be written to, as on a full disk.
        let name = "\(host.configuration.logs)/requests-000000000001.jsonl"
        try Directory.createAll(host.configuration.logs)
        let link = try ChildProcess(
            executable: "/bin/ln",
            arguments: ["-s", "/dev/full", name],
            environment: []
        )
        #expect(link.wait(seconds: 10) == .exited(0))
        try host.start()
        let client = try host.client()
        #expect(try client.call("POST", "/v1/e", body: "{\"data\":1}").status == 200)
        let isTold = try eventually {
            try client.call("GET", "/health/ready").text.contains("log cannot be written")
        }
        #expect(isTold)
        #expect(host.events.withLock { $0 }.contains { $0.contains("request_log.pending") })
        try File.remove(name)
        let isHealed = eventually { (try? host.logLines().count) == 4 }
        #expect(isHealed)
        #expect(host.stop())
        let lines = try host.logLines()
        #expect(lines[0].contains("\"sequence\":1,\"requestId\":\"r1\""))
        #expect(lines[3].contains("\"sequence\":4,"))
        #expect(try Directory.names(in: "\(host.configuration.state)/rings").isEmpty)
    }

    @Test func `records that found no room are counted, and predictions go on`() throws {
        let host = try LiveHost(endpoints: ["e": "schemaVersion: 1\nbackends: {a: {value: 1}}\n"])
        host.configuration.ringBytes = 4096
        host.configuration.loops = 1
        try host.start()
        let client = try host.client()
        let burst = String(
            repeating: "POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"data\":1}",
            count: 100
        )
        for _ in 0..<20 {
            try client.send(burst)
            for _ in 0..<100 { #expect(try client.answer().status == 200) }
        }
        let lost = host.server?.state.recordsLost ?? 0
        #expect(host.stop())
        #expect(try host.logLines().count + Int(lost) == 2000)
    }
}
