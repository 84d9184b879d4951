import Endpoints
import JSON
import Platform
import TestSupport
import Testing

/// The whole program under load, ended in every way there is.
@Suite(.serialized)
struct StormTests {
    private static let endpoint = """
        backends:
          control:
            deployment: {branch: main, name: pricing_model_v1, version: latest}
            weight: 1
          experiment:
            deployment: {branch: main, name: pricing_model_v2, version: latest}
            weight: 3
        experimentConfig: {experimentId: foo, subjectKey: user_id}
        schemaVersion: 1
        """

    private func host() throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write("endpoints/pricing_optimizer.yaml", Self.endpoint)
        try host.deploy("pricing_model_v1", "pricing_model_v1")
        try host.deploy("pricing_model_v2", "pricing_model_v2")
        return host
    }

    /// The arm by the reference formula of the research note, section 1.10.
    private func arm(_ subject: Int) -> String {
        var best = (score: Double.infinity, arm: "")
        for (arm, weight) in [("control", 1.0), ("experiment", 3.0)] {
            let fraction = Assigner.fraction(
                experiment: "foo",
                arm: arm,
                subject: Array(String(subject).utf8)
            )
            let score = -Assigner.logarithm(fraction) / weight
            if score < best.score { best = (score, arm) }
        }
        return best.arm
    }

    /// Request ids of the log and the arm of each; every id exactly once.
    private func logged(_ host: HostProcess) throws -> [String: String] {
        var arms: [String: String] = [:]
        var last: UInt64 = 0
        for record in try host.records() {
            let id = try #require(record["requestId"]?.string)
            let sequence = try #require(record["sequence"]?.unsigned)
            #expect(sequence == last + 1, "the sequence has no gap and no repetition")
            last = sequence
            #expect(arms[id] == nil, "\(id) is in the log twice")
            arms[id] = record["backendName"]?.string ?? ""
        }
        return arms
    }

    @Test func `every subject has the arm of the formula, and every answer is in the log`() throws {
        let host = try host()
        try host.start()
        let count = Storm.count(100_000, least: 20_000)
        let load = LoadClient(requests: count)
        try load.start(host.address)
        let answered = load.finish()
        #expect(load.errors.isEmpty, "\(load.errors)")
        #expect(answered.count == count)
        var wrong = 0
        var experiments = 0
        for request in answered {
            let split = request.answer.json["split"]
            let expected = arm(request.subject)
            if request.answer.status != 200 || split?["backendName"]?.string != expected {
                wrong += 1
            }
            if split?["subjectId"]?.string != String(request.subject) { wrong += 1 }
            if expected == "experiment" { experiments += 1 }
        }
        #expect(wrong == 0)
        let sigma = (0.75 * 0.25 / Double(count)).squareRoot()
        #expect(abs(Double(experiments) / Double(count) - 0.75) < 3 * sigma)
        #expect(host.stop() == .exited(0))
        let log = try logged(host)
        #expect(log.count == count)
        #expect(answered.allSatisfy { log[$0.id] == arm($0.subject) })
    }

    @Test func `SIGTERM under load answers all that was accepted and exits with 0`() throws {
        let host = try host()
        for round in 0..<Storm.count(50, least: 3) {
            try host.start()
            let load = LoadClient(prefix: "t\(round)")
            try load.start(host.address)
            #expect(eventually { load.count > 200 })
            #expect(host.stop() == .exited(0), "round \(round)")
            let answered = load.stop()
            // A thread ends when its connection does: after an answer that said so, never inside
            // one.
            for error in load.errors {
                #expect(
                    error == "the connection ended without an answer"
                        || error == "the server does not take bytes any more"
                        || error.hasPrefix("connection error") || error.contains("connect")
                )
            }
            #expect(answered.allSatisfy { $0.answer.status == 200 })
            let log = try logged(host)
            let missing = answered.filter { log[$0.id] == nil }
            #expect(missing.isEmpty)
            // What was executed was answered: nothing is in the log that nobody has heard of.
            let heard = Set(answered.map(\.id))
            let unheard = log.keys.filter { $0.hasPrefix("t\(round)-") && !heard.contains($0) }
            #expect(unheard.isEmpty, "\(unheard.prefix(5))")
        }
    }

    @Test
    func `after kill -9 under load every answered request is in the log after the next start`()
        throws
    {
        let host = try host()
        var all: [AnsweredRequest] = []
        for round in 0..<Storm.count(50, least: 3) {
            try host.start()
            let load = LoadClient(prefix: "k\(round)")
            try load.start(host.address)
            let enough = 150 + round * 37 % 400
            #expect(eventually { load.count > enough })
            #expect(host.stop(signal: 9) == .signalled(9))
            all += load.stop()
        }
        try host.start()
        #expect(host.stop() == .exited(0))
        let log = try logged(host)
        let missing = all.filter { log[$0.id] == nil }
        #expect(missing.isEmpty, "\(missing.count) of \(all.count): \(missing.prefix(3).map(\.id))")
        let leftOver = try Directory.names(in: "\(host.folder.path)/state/rings")
        #expect(leftOver.isEmpty, "\(leftOver)")
    }
}
