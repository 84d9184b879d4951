import Deployments
import Endpoints
import JSON
import Platform
import Serving
import TestSupport
import Testing

/// What changes of a running host, what does not, and what is left behind.
struct ReloadTests {
    private static func value(_ number: Int) -> String {
        "schemaVersion: 1\nbackends: {a: {value: \(number)}}\n"
    }

    private static func model(_ version: String) -> String {
        "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: \(version)}}}\n"
    }

    private static let split = """
        schemaVersion: 1
        backends: {a: {value: 1, weight: 1}, b: {value: 2, weight: 3}}
        experimentConfig: {subjectKey: user}

        """

    private func ask(_ host: LiveHost, _ name: String = "e") throws -> Answer {
        try host.client().call("POST", "/v1/\(name)", body: "{\"data\":{\"user\":1}}")
    }

    private func models(_ host: LiveHost) -> [ServedModel] {
        host.server?.board.live.committed.snapshot.deployments.map(\.model) ?? []
    }

    /// A folder with a diary that the instances of `life_model` write to.
    private func diary(_ host: LiveHost) -> [String] {
        let bytes = (try? File.read("\(host.folder.path)/diary", limit: 1 << 20)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private func deployLife(_ host: LiveHost, _ more: String = "") throws {
        try host.deploy(
            "m",
            "life_model",
            settings: "{\"diary\": \"\(host.folder.path)/diary\"\(more)}"
        )
    }

    // MARK: Reload

    @Test func `a reload serves the files, and a broken one changes nothing`() throws {
        let host = try LiveHost(endpoints: ["e": Self.value(1)])
        try host.start()
        try host.folder.write("endpoints/e.yaml", Self.value(2))
        try host.folder.write("endpoints/f.yaml", Self.value(3))
        let outcome = try host.commit(.reload(resetsWeights: false))
        guard case .committed(let committed) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(
            committed.changes.map(\.text) == [
                "endpoint e: split a: value 1 → value 2", "endpoint f is new: a 1",
            ]
        )
        #expect(try ask(host).json["data"]?.unsigned == 2)
        #expect(try ask(host, "f").json["split"]?["configRevision"]?.unsigned == 2)

        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {}\n")
        try host.folder.write("endpoints/f.yaml", Self.model("latest"))
        guard case .failed(let failure) = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("a broken reload was taken")
            return
        }
        #expect(failure.errors.count == 2, "\(failure)")
        #expect(failure.errors[0].contains("e.yaml:2:"), "\(failure)")
        #expect(failure.errors[1].contains("there is no deployment main/m"), "\(failure)")
        #expect(try ask(host).json["data"]?.unsigned == 2)
        #expect(try ask(host, "f").json["data"]?.unsigned == 3)

        try host.folder.write("endpoints/e.yaml", Self.value(4))
        try File.remove("\(host.configuration.endpoints)/f.yaml")
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try ask(host).json["data"]?.unsigned == 4)
        #expect(try ask(host, "f").status == 404)
        guard case .unchanged = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("the same files made a revision")
            return
        }
        #expect(try ask(host).json["split"]?["configRevision"]?.unsigned == 3)
    }

    @Test func `what a reload does not touch keeps its instance`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("1"), "f": Self.value(1)])
        try deployLife(host)
        try host.start()
        let before = models(host)
        try host.folder.write("endpoints/f.yaml", Self.value(2))
        _ = try host.commit(.reload(resetsWeights: false))
        try host.deploy("other", "thirty_lines")
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(models(host).contains { $0 === before[0] })
        let probes = ["create 1", "destroy 1", "create 1", "destroy 1"]
        #expect(diary(host) == probes + ["create 1"], "deploying, the host's own probe, the host")
    }

    @Test func `a model that is not served any more is destroyed once, after the grace period`()
        throws
    {
        let host = try LiveHost(endpoints: ["e": Self.model("latest")])
        host.configuration.graceNanoseconds = 0
        try deployLife(host)
        try host.start()
        try deployLife(host, ", \"again\": true")
        let made = diary(host).count
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try ask(host).json["data"]?.unsigned == 2)
        #expect(eventually { diary(host).last == "destroy 1" })
        #expect(diary(host).dropFirst(made).filter { $0 == "destroy 1" }.count == 1)
        #expect(host.stop())
        #expect(diary(host).last == "destroy 2")
        let ends = diary(host).filter { $0.hasPrefix("destroy") }
        #expect(ends.count * 2 == diary(host).count, "what was made was destroyed: \(diary(host))")
    }

    @Test func `other execution settings make another instance of the same version`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("1")])
        try deployLife(host)
        try host.start()
        let before = models(host)[0]
        try host.folder.write(
            "deployments/main/m/deployment.yaml",
            "schemaVersion: 1\nexecution: {mode: pool, threads: 3}\n"
        )
        guard case .committed(let committed) = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("the settings changed nothing")
            return
        }
        #expect(committed.changes.map(\.text) == ["main/m version 1 has other execution settings"])
        #expect(models(host)[0] !== before)
        #expect(models(host)[0].currentPlace == .pool)
        #expect(try ask(host).json["data"]?.unsigned == 1)
    }

    @Test func `private copies go with the last version that has them`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("latest")])
        host.configuration.graceNanoseconds = 0
        try host.deploy("m", "thirty_lines")
        try host.deploy("m", "life_model")
        try host.folder.write("state/plugins/leftover.so.17.new", "half")
        try host.start()
        func copies() throws -> [String] {
            try Directory.names(in: "\(host.configuration.state)/plugins")
        }
        #expect(try eventually { try copies().count == 2 }, "a library and its mark")
        try host.deploy("m", "thirty_lines", settings: "{\"other\": 1}")
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try eventually { try copies().count == 4 })
        let store = DeploymentStore(root: host.configuration.deployments)
        let name = try #require(DeploymentName(branch: "main", name: "m"))
        try store.remove(name, 2) { _ in [:] }
        try host.folder.write("endpoints/f.yaml", Self.value(1))
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try eventually { try copies().count == 2 })
        #expect(try ask(host).json["code"]?.string == "bad_input", "version 3 is served")
    }

    // MARK: Weights

    @Test func `live weights count at once, and a reload returns to the files`() throws {
        let host = try LiveHost(endpoints: ["e": Self.split])
        try host.start()
        let weight = try #require(Weight("9"))
        let outcome = try host.commit(.weights(endpoint: "e", [("a", weight)]))
        guard case .committed(let committed) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(
            committed.changes.map(\.text) == [
                "endpoint e: split a: weight 1 → 9 (25.0 % → 75.0 %)",
                "endpoint e: 50.0 % of subjects get another split",
            ]
        )
        #expect(host.stop())
        #expect(try host.logLines().isEmpty)
        // A start with the same files keeps them; so does a reload that is told so.
        try host.start()
        func weights() -> [LiveWeights] {
            host.server?.board.live.committed.configuration.liveWeights ?? []
        }
        #expect(weights().map(\.text) == ["a 9"])
        #expect(weights().map(\.author) == ["test"])
        guard case .unchanged = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("a reload that keeps the weights changed something")
            return
        }
        _ = try host.commit(.weights(endpoint: "e", [("b", weight)]))
        #expect(weights().map(\.text) == ["a 9, b 9"])
        guard case .committed(let back) = try host.commit(.reload(resetsWeights: true)) else {
            Issue.record("a reload that resets the weights kept them")
            return
        }
        #expect(back.changes.map(\.text).last?.contains("live weights (a 9, b 9) end") == true)
        #expect(weights().isEmpty)
        #expect(try ask(host).json["split"]?["configRevision"]?.unsigned == 4)
    }

    @Test(arguments: [
        ("nothing", "a", "1", "there is no endpoint 'nothing'"),
        ("e", "c", "1", "the endpoint e has no split 'c'; it has a, b"),
        ("e", "b", "0", "would have the sum 0"),
    ])
    func `weights that cannot be are refused`(
        endpoint: String,
        split: String,
        weight: String,
        sentence: String
    ) throws {
        let text = "schemaVersion: 1\nbackends: {a: {value: 1, weight: 0}, b: {value: 2}}\n"
        let host = try LiveHost(endpoints: ["e": text])
        try host.start()
        let weight = try #require(Weight(weight))
        let outcome = try host.commit(.weights(endpoint: endpoint, [(split, weight)]))
        guard case .failed(let failure) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(failure.description.contains(sentence), "\(failure)")
        #expect(host.server?.board.live.committed.revision.number == 1)
    }

    // MARK: Rollback

    @Test func `a rollback loads nothing that is in memory, and lasts over a start`() throws {
        let host = try LiveHost(endpoints: ["e": Self.model("latest")])
        try deployLife(host)
        try host.start()
        let first = models(host)[0]
        try deployLife(host, ", \"again\": true")
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try ask(host).json["data"]?.unsigned == 2)
        let made = diary(host)
        guard case .committed(let committed) = try host.commit(.rollback(to: nil)) else {
            Issue.record("no rollback")
            return
        }
        #expect(committed.changes.map(\.text).contains("main/m latest is version 1, was 2"))
        #expect(models(host)[0] === first)
        #expect(diary(host) == made, "nothing is made or destroyed")
        #expect(try ask(host).json["data"]?.unsigned == 1)
        #expect(host.stop())
        try host.start()
        #expect(try ask(host).json["data"]?.unsigned == 1, "a start is no reload")
        #expect(try ask(host).json["split"]?["configRevision"]?.unsigned == 3)
        _ = try host.commit(.release("e"))
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try ask(host).json["data"]?.unsigned == 2)
        #expect(host.stop())
        // Other files at a start count, but for what was rolled back.
        try host.start()
        _ = try host.commit(.rollback(to: 1))
        #expect(host.stop())
        try host.folder.write("endpoints/f.yaml", Self.value(1))
        try host.start()
        #expect(try ask(host).json["data"]?.unsigned == 1)
        #expect(try host.client().call("POST", "/v1/f", body: "{\"data\":1}").status == 200)
    }

    @Test func `a rollback to what is not there says what there is`() throws {
        let host = try LiveHost(endpoints: ["e": Self.value(1)])
        try host.start()
        guard case .failed(let none) = try host.commit(.rollback(to: nil)),
            case .failed(let missing) = try host.commit(.rollback(to: 7))
        else {
            Issue.record("a rollback to nothing")
            return
        }
        #expect(none.description.contains("there is no revision before revision 1"))
        #expect(missing.description.contains("there is no revision 7 in"))
        #expect(missing.description.hasSuffix("there are 1"))
    }

    @Test func `a rollback takes no working deployment away for a build that is gone`() throws {
        let host = try LiveHost(endpoints: ["e": Self.value(1)])
        host.configuration.graceNanoseconds = 0
        try deployLife(host)
        try host.start()
        try deployLife(host, ", \"again\": true")
        _ = try host.commit(.reload(resetsWeights: false))
        let name = try #require(DeploymentName(branch: "main", name: "m"))
        try DeploymentStore(root: host.configuration.deployments).remove(name, 1) { _ in [:] }
        try host.folder.write("endpoints/e.yaml", Self.value(2))
        _ = try host.commit(.reload(resetsWeights: false))
        guard case .committed(let committed) = try host.commit(.rollback(to: 1)) else {
            Issue.record("no rollback")
            return
        }
        #expect(try ask(host).json["data"]?.unsigned == 1)
        #expect(try ask(host, "m").json["data"]?.unsigned == 2)
        let told = committed.changes.map(\.text).first { $0.contains("cannot be had any more") }
        #expect(told?.hasSuffix("it stays version 2") == true, "\(committed.changes)")
    }

    @Test
    func `an audit log that cannot be written is a reason, and files of later numbers are none`()
        throws
    {
        let host = try LiveHost(endpoints: ["e": Self.split])
        try host.start()
        try host.folder.write("logs/audit.jsonl/x", "")
        try host.folder.write("state/revisions/999999999.json", "")
        let weight = try #require(Weight("9"))
        guard
            case .committed(let committed) = try host.commit(
                .weights(endpoint: "e", [("a", weight)])
            )
        else {
            Issue.record("no change of weights")
            return
        }
        #expect(committed.revision.number == 2)
        let ready = try host.client().call("GET", "/health/ready")
        #expect(ready.status == 200)
        #expect(ready.text.contains("the audit log cannot be written"))
        #expect(host.stop())
        try host.start()
        #expect(host.server?.board.live.committed.revision.number == 2)
    }

    // MARK: Versions that fail

    @Test
    func `latest passes over a version that fails, a number does not, and the reason is kept`()
        throws
    {
        let host = try LiveHost(endpoints: ["e": Self.model("latest")])
        try host.deploy("m", "thirty_lines")
        try host.start()
        try host.deploy("m", "misfit_results")
        // Nobody can deploy a build that fails its probe; one can go bad in the store.
        let path = "\(host.configuration.deployments)/main/m/2/plugin.so"
        try File.setMode(path, 0o644)
        try File.writeAtomically(path, Array("no library".utf8), mode: 0o555)
        guard case .unchanged = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("the broken version changed something")
            return
        }
        let failures = host.server?.board.live.shelf.failures ?? []
        #expect(failures.map(\.number) == [2])
        #expect(failures[0].reason.contains("it was changed after it was deployed"))
        let ready = try host.client().call("GET", "/health/ready")
        #expect(ready.status == 200)
        try host.folder.write("endpoints/e.yaml", Self.model("2"))
        guard case .failed(let failure) = try host.commit(.reload(resetsWeights: false)) else {
            Issue.record("a broken version was taken by its number")
            return
        }
        #expect(failure.description.contains("e.yaml:2:"))
        #expect(failure.description.contains("changed after it was deployed"))
    }

    // MARK: Health

    @Test func `an ill model is not ready, and neither is the endpoint that has nothing else`()
        throws
    {
        let two = """
            schemaVersion: 1
            backends: {a: {deployment: {name: m, version: 1}}, b: {value: 1}}

            """
        let host = try LiveHost(endpoints: ["e": Self.model("1"), "two": two])
        host.configuration.healthNanoseconds = 5_000_000
        let cold = "\(host.folder.path)/cold"
        try deployLife(host, ", \"ill\": \"\(cold)\"")
        try host.start()
        func status(_ path: String) throws -> Int {
            try host.client().call("GET", "/health/ready\(path)").status
        }
        for path in ["", "/e", "/two", "/m/1", "/m"] { #expect(try status(path) == 200, "\(path)") }
        #expect(try status("/nothing") == 404)
        try host.folder.write("cold", "")
        #expect(try eventually { try status("/e") == 503 })
        #expect(try status("/two") == 200)
        #expect(try status("/m/1") == 503)
        let ready = try host.client().call("GET", "/health/ready")
        #expect(ready.status == 503)
        #expect(ready.text.contains("endpoint e, split a: it has a cold"))
        try File.remove(cold)
        #expect(try eventually { try status("") == 200 })
    }

    @Test func `a host without anything to serve is not ready until a reload brings something`()
        throws
    {
        let host = try LiveHost()
        try host.start()
        #expect(try host.client().call("GET", "/health/ready").status == 503)
        try host.folder.write("endpoints/e.yaml", Self.value(1))
        _ = try host.commit(.reload(resetsWeights: false))
        #expect(try host.client().call("GET", "/health/ready").status == 200)
    }
}

extension LiveHost {
    /// Asks for a change and waits for what comes of it.
    func commit(_ request: CommitRequest) throws -> CommitOutcome {
        guard let server else { throw ClientError(description: "the host does not run") }
        let outcome = Guarded<CommitOutcome?>(nil)
        server.commits.commit(request, author: "test") { value in
            outcome.withLock { $0 = value }
            outcome.notify()
        }
        let limit = MonotonicClock.now() + 60_000_000_000
        guard let value = outcome.wait(by: limit, until: { $0 }) else {
            throw ClientError(description: "no answer to a change within a minute")
        }
        return value
    }
}
