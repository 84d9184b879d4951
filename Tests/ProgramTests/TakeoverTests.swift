import JSON
import Platform
import TestSupport
import Testing

/// Workers end in every way there is, under load, and one answer at most is lost each time.
@Suite(.serialized)
struct TakeoverTests {
    private func host(_ more: [String] = []) throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write(
            "endpoints/numbers.yaml",
            """
            schemaVersion: 1
            backends:
              one: {deployment: {branch: main, name: faulty_model, version: latest}}
            """
        )
        try host.deploy("faulty_model", "faulty_model")
        try host.deploy("trapping_model", "trapping_model")
        try host.start(more)
        return host
    }

    /// Every answered request is in the log, once.
    private func requireLogged(_ ids: [String], _ host: HostProcess) throws {
        var counts: [String: Int] = [:]
        var last: UInt64 = 0
        for record in try host.records() {
            counts[try #require(record["requestId"]?.string), default: 0] += 1
            let sequence = try #require(record["sequence"]?.unsigned)
            #expect(sequence == last + 1, "the sequence has no gap and no repetition")
            last = sequence
        }
        let missing = ids.filter { counts[$0] == nil }
        #expect(missing.isEmpty, "\(missing.count) are not in the log: \(missing.prefix(5))")
        let doubled = ids.filter { counts[$0, default: 0] > 1 }
        #expect(doubled.isEmpty, "\(doubled.count) are in the log twice: \(doubled.prefix(5))")
    }

    @Test func `kill -9 of the worker loses no connection and no answer`() throws {
        let host = try host()
        let load = NumberLoad(path: "/v1/numbers")
        try load.start(host.address)
        for round in 0..<Storm.count(1000) {
            let before = load.count
            #expect(eventually { load.count > before + 300 }, "round \(round): nobody is answered")
            let worker = try #require(host.worker())
            Processes.end(worker)
            #expect(eventually { host.worker() != worker }, "round \(round): no other worker")
            if !load.wrong.isEmpty { break }
        }
        load.stop()
        #expect(load.wrong.isEmpty, "\(load.wrong.count): \(load.wrong.prefix(3))")
        #expect(host.stop() == .exited(0))
        try requireLogged(load.ids, host)
        #expect(try Directory.names(in: "\(host.folder.path)/state/rings").isEmpty)
    }
}
