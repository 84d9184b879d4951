import Deployments
import Endpoints
import JSON
import Platform
import Serving
import TestSupport
import Testing

/// Models that do not come back, and states that somebody has damaged: a change is refused or made,
/// and the next one works.
struct HangTests {
    private static func model(_ version: String) -> String {
        "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: \(version)}}}\n"
    }

    private static let split = """
        schemaVersion: 1
        backends: {a: {value: 1, weight: 1}, b: {value: 2, weight: 3}}
        experimentConfig: {subjectKey: user}

        """

    private func diary(_ host: LiveHost) -> [String] {
        let bytes = (try? File.read("\(host.folder.path)/diary", limit: 1 << 20)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Deploys `life_model`, which hangs at a place while the file `hang` is there.
    private func deploy(
        _ host: LiveHost,
        hanging place: String? = nil,
        examples: String? = nil
    ) throws {
        let path = host.folder.path
        let hang = place.map { ", \"\($0)\": \"\(path)/hang\"" } ?? ""
        try host.deploy(
            "m",
            "life_model",
            settings: "{\"diary\": \"\(path)/diary\"\(hang)}",
            examples: examples
        )
    }

    private func weights(_ host: LiveHost) -> [String] {
        host.server?.board.live.committed.configuration.liveWeights.map(\.text) ?? []
    }

    private func setWeight(_ host: LiveHost, _ text: String) throws -> CommitOutcome {
        try host.commit(.weights(endpoint: "s", [("a", try #require(Weight(text)))]))
    }

    // MARK: Models that do not come back

    @Test func `a model whose warm-up hangs is not destroyed under it`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("1")])
        host.configuration.limits.loadNanoseconds = 2_000_000_000
        try deploy(host, hanging: "hangPredict", examples: "{\"data\": {\"user_id\": 1}}")
        try host.start()
        try host.folder.write("hang", "")
        try host.folder.write(
            "deployments/main/m/deployment.yaml",
            "schemaVersion: 1\nexecution: {mode: pool, threads: 3}\n"
        )
        guard case .failed(let failure) = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("a model without an end of its examples was taken")
            return
        }
        #expect(failure.description.contains("examples that have no answer after 2000 ms"))
        let told = diary(host)
        #expect(told.last == "hangs in predict 1")
        #expect(host.server?.control.retiring.count == 1)
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        #expect(diary(host) == told, "it waits for its end")
        try File.remove("\(host.folder.path)/hang")
        #expect(eventually { diary(host).last == "destroy 1" })
        #expect(!diary(host).contains { $0.hasPrefix("destroyed in") })
    }

    @Test func `a create that hangs is begun once, and other changes go on`() throws {
        let host = try LiveHost(endpoints: ["s": Self.split])
        host.configuration.limits.loadNanoseconds = 1_000_000_000
        try deploy(host, hanging: "hangCreate")
        // The first start notes that the build has passed its probe.
        try host.start()
        #expect(host.stop())
        try host.folder.write("hang", "")
        try Directory.removeAll("\(host.configuration.state)/revisions")
        try host.start()
        for _ in 0..<3 { _ = try host.commit(.reload(resetsWeights: false)) }
        #expect(diary(host).filter { $0 == "hangs in create 1" }.count == 1)
        let failures = host.server?.board.live.shelf.failures ?? []
        #expect(failures.first?.reason.contains("has not come back from the time before") == true)
        let ready = try host.client().call("GET", "/health/ready")
        #expect(ready.text.contains("main/m version 1 could not be loaded"))
        guard case .committed = try setWeight(host, "9") else {
            Issue.record("the change was not made")
            return
        }
        try File.remove("\(host.folder.path)/hang")
        #expect(eventually { diary(host).last == "destroy 1" }, "what came too late goes")
        guard case .committed = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("it can be loaded now")
            return
        }
    }

    @Test func `a destroy that hangs keeps nothing else in memory, and no host from its end`()
        throws
    {
        let host = try LiveHost(endpoints: ["e": Self.model("latest")])
        host.configuration.graceNanoseconds = 0
        try deploy(host, hanging: "hangDestroy")
        let settings = "{\"hangDestroy\": \"\(host.folder.path)/hang\"}"
        try host.deploy("other", "life_model", settings: settings)
        try host.start()
        try host.folder.write("hang", "")
        defer { try? File.remove("\(host.folder.path)/hang") }
        for step in 0..<3 {
            let build = step % 2 == 0 ? "thirty_lines" : "batch_model"
            try host.deploy("m", build, settings: "{\"step\": \(step)}")
            _ = try host.commit(.reload(resetsWeights: false))
        }
        #expect(eventually { host.server?.control.retired == 2 }, "versions 2 and 3")
        #expect(host.events.withLock { $0.contains { $0.contains("version.destroy_late") } })
        #expect(!host.stop(), "a model has not come back, and is left behind")
        #expect(host.events.withLock { $0.contains { $0.contains("shutdown.stuck") } })
    }

    @Test func `an ill model stays ill while another call of its plugin runs`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("1")])
        host.configuration.healthNanoseconds = 5_000_000
        let path = host.folder.path
        func settings(_ hang: String) -> String {
            "{\"ill\": \"\(path)/ill\", \"hangCreate\": \"\(path)/\(hang)\"}"
        }
        try host.deploy("m", "life_model", settings: settings("none"))
        try host.deploy("m", "life_model", settings: settings("hang"))
        try host.start()
        try host.folder.write("ill", "")
        func status() throws -> Int { try host.client().call("GET", "/health/ready/e").status }
        #expect(try eventually { try status() == 503 })
        try host.folder.write("hang", "")
        try host.folder.write(
            "deployments/main/m/deployment.yaml",
            "schemaVersion: 1\nexecution: {threads: 3}\n"
        )
        host.server?.commits.commit(.reload(resetsWeights: false), author: "test")
        for _ in 0..<100 {
            #expect(try status() == 503)
            MonotonicClock.sleep(nanoseconds: 3_000_000)
        }
        try File.remove("\(path)/hang")
        #expect(try status() == 503)
        try File.remove("\(path)/ill")
        #expect(try eventually { try status() == 200 })
    }

    @Test func `a plan waits for no change, and keeps none waiting`() throws {
        let host = try LiveHost(endpoints: ["s": Self.split])
        try deploy(host, hanging: "hangCreate")
        try host.start()
        try host.folder.write(
            "deployments/main/m/deployment.yaml",
            "schemaVersion: 1\nexecution: {threads: 3}\n"
        )
        try host.folder.write("hang", "")
        host.server?.commits.commit(.reload(resetsWeights: false), author: "test")
        #expect(eventually { diary(host).last == "hangs in create 1" })
        let plan = host.server?.control.plan(resetsWeights: false)
        #expect(plan?.changes.map(\.text) == ["main/m version 1 has other execution settings"])
        try File.remove("\(host.folder.path)/hang")
        #expect(eventually { host.server?.board.live.committed.revision.number == 2 })
        // What is in memory is told a moment after what is live.
        let isDone = eventually {
            host.server?.control.plan(resetsWeights: false).changes.isEmpty == true
        }
        #expect(isDone)
    }

    // MARK: What a start keeps

    @Test func `live weights last as long as the files say the same`() throws {
        let host = try LiveHost(endpoints: ["s": Self.split])
        try host.deploy("m", "thirty_lines")
        try host.deploy("m", "thirty_lines", settings: "{\"other\": 1}")
        try host.start()
        try host.folder.write(
            "deployments/main/m/deployment.yaml",
            "# a remark\nschemaVersion: 1\n"
        )
        _ = try host.commit(.reload(resetsWeights: false))
        _ = try setWeight(host, "9")
        #expect(host.stop())
        try host.start()
        #expect(weights(host) == ["a 9"])
        let name = try #require(DeploymentName(branch: "main", name: "m"))
        try DeploymentStore(root: host.configuration.deployments).remove(name, 1) { _ in [:] }
        try host.folder.write("deployments/main/m/deployment.yaml", "schemaVersion: 1\n")
        #expect(host.stop())
        try host.start()
        #expect(weights(host) == ["a 9"], "nobody has used that version")
        #expect(host.stop())
        try host.folder.write("endpoints/s.yaml", Self.split + "# another text\n")
        try host.start()
        #expect(weights(host) == ["a 9"], "the file's own weights are what they were")
    }

    @Test func `a revision in which something stands twice is refused, and the files count`() throws
    {
        let host = try LiveHost(endpoints: ["s": Self.split])
        try host.start()
        #expect(host.stop())
        let path = "\(host.configuration.state)/revisions/1.json"
        let text = String(decoding: try File.read(path, limit: 1 << 20), as: UTF8.self)
        let start = try #require(text.firstRange(of: "\"endpoints\":["))
        let end = try #require(text.firstRange(of: "],\"versions\""))
        let one = text[start.upperBound..<end.lowerBound]
        try host.folder.write(
            "state/revisions/1.json",
            text.replacing("\"endpoints\":[\(one)]", with: "\"endpoints\":[\(one),\(one)]")
        )
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        try host.start()
        #expect(host.events.withLock { $0.contains { $0.contains("stands twice") } })
        #expect(try host.client().call("POST", "/v1/f", body: "{\"data\":1}").status == 200)
        guard case .failed(let failure) = try host.commit(.rollback(to: 1)) else {
            Issue.record("a damaged revision is served")
            return
        }
        #expect(failure.description.contains("revision 1 cannot be read"), "\(failure)")
    }

    @Test func `a revision that was not committed is nothing to go back to`() throws {
        let host = try LiveHost(endpoints: ["s": Self.split])
        try host.start()
        // A folder in its place: the name of the current revision cannot be written.
        let current = "\(host.configuration.state)/revisions/current"
        try File.remove(current)
        try host.folder.write("state/revisions/current/x", "")
        guard case .failed(let failure) = try setWeight(host, "9") else {
            Issue.record("the revision was not written")
            return
        }
        #expect(
            failure.description.contains("the revision cannot be written, so nothing is changed")
        )
        #expect(weights(host) == [])
        try Directory.removeAll(current)
        _ = try setWeight(host, "5")
        guard case .committed(let back) = try host.commit(.rollback(to: nil)) else {
            Issue.record("no rollback")
            return
        }
        #expect(
            back.revision.author.hasPrefix("rollback to revision 1 "),
            "\(back.revision.author)"
        )
    }

    @Test func `a degraded host stays degraded until the files are whole`() throws {
        let host = try LiveHost(endpoints: ["s": Self.split])
        try host.start()
        #expect(host.stop())
        try host.folder.write("endpoints/s.yaml", "schemaVersion: 1\nbackends: {}\n")
        try host.start()
        func isDegraded() -> Bool { host.server?.board.live.committed.degraded != nil }
        #expect(isDegraded())
        _ = try setWeight(host, "9")
        #expect(isDegraded())
        try host.folder.write("endpoints/s.yaml", Self.split)
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(!isDegraded())
    }

    // MARK: What is not loaded

    @Test func `a reload that is broken anyway loads nothing`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("1")])
        try deploy(host)
        try host.start()
        let told = diary(host)
        try deploy(host, hanging: "none")
        let deployed = diary(host)
        #expect(deployed.count == told.count + 2)
        try host.folder.write("endpoints/e.yaml", Self.model("2"))
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackends: {}\n")
        for _ in 0..<2 {
            guard case .failed = try host.commit(.reload(resetsWeights: false)) else {
                Issue.record("a broken reload was taken")
                return
            }
        }
        #expect(diary(host) == deployed)
    }

    @Test func `weights change no model, whatever else is in memory`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("1"), "s": Self.split])
        try deploy(host)
        try host.start()
        func model() -> ServedModel? {
            host.server?.board.live.committed.snapshot.deployments.first?.model
        }
        let (first, file) = (model(), "deployments/main/m/deployment.yaml")
        try host.folder.write(file, "schemaVersion: 1\nexecution: {mode: pool, threads: 3}\n")
        _ = try host.commit(.reload(resetsWeights: false))
        try host.folder.write(file, "schemaVersion: 1\n")
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(model() === first, "it was kept")
        guard case .committed(let committed) = try setWeight(host, "9") else {
            Issue.record("no change of weights")
            return
        }
        #expect(model() === first)
        #expect(!committed.changes.contains { $0.text.contains("execution") })
    }
}
