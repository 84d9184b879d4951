import JSON
import Platform
import TestSupport
import Testing

/// Workers end in every way there is, under load, and one answer at most is lost each time.
@Suite(.serialized)
struct TakeoverTests {
    /// A host with models that go wrong when they are asked to: one asked on the loops, one in a
    /// pool, one in Swift.
    static func host(_ more: [String] = [], fallback: String = "") throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write(
            "endpoints/numbers.yaml",
            """
            schemaVersion: 1
            backends:
              one: {deployment: {branch: main, name: steady, version: latest}}
            """
        )
        try host.folder.write(
            "endpoints/guarded.yaml",
            """
            schemaVersion: 1
            backends:
              risky: {deployment: {branch: main, name: on_loop, version: latest}}
              safe: {deployment: {branch: main, name: steady, version: latest}, weight: 0}
            fallback: safe
            """
        )
        try host.folder.write(
            "endpoints/flat.yaml",
            """
            schemaVersion: 1
            backends:
              risky: {deployment: {branch: main, name: on_loop, version: latest}}
              constant: {value: {score: 42}, weight: 0}
            fallback: constant
            """
        )
        for name in ["steady", "on_loop", "in_pool"] { try host.deploy(name, "faulty_model") }
        try host.deploy("trapping", "trapping_model")
        try host.folder.write(
            "deployments/main/on_loop/deployment.yaml",
            "schemaVersion: 1\nexecution: {hangAfter: 400ms}\n"
        )
        try host.folder.write(
            "deployments/main/in_pool/deployment.yaml",
            "schemaVersion: 1\nexecution: {mode: pool, threads: 2, hangAfter: 400ms}\n"
        )
        try host.start(more)
        return host
    }

    /// Enough deaths for any test, so that nobody comes into quarantine.
    static let lenient = ["--quarantine", "1000/1"]

    /// Every answered request is in the log, once.
    static func requireLogged(_ ids: [String], _ host: HostProcess) throws {
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

    /// Ends the worker again and again under load.
    private func killWorkers(_ host: HostProcess, count: Int) throws {
        let (descriptors, workers) = (host.supervisorDescriptors(), host.workers.count)
        let load = NumberLoad(path: "/v1/numbers")
        try load.start(host.address)
        for round in 0..<count {
            let before = load.count
            #expect(eventually { load.count > before + 300 }, "round \(round): nobody is answered")
            let (worker, count) = (try #require(host.worker()), host.workers.count)
            Processes.end(worker)
            let isReplaced = eventually { host.worker() != worker && host.workers.count == count }
            #expect(isReplaced, "round \(round): no other worker")
            if !load.wrong.isEmpty { break }
        }
        load.stop()
        #expect(load.wrong.isEmpty, "\(load.wrong.count): \(load.wrong.prefix(3))")
        // Nothing is left behind: neither descriptors, nor processes, nor rings.
        let isClean = eventually {
            host.supervisorDescriptors() <= descriptors && host.workers.count == workers
        }
        #expect(isClean, "\(host.supervisorDescriptors()) of \(descriptors), \(host.workers)")
        #expect(host.stop() == .exited(0))
        try Self.requireLogged(load.ids, host)
        #expect(try Directory.names(in: "\(host.folder.path)/state/rings").isEmpty)
    }

    @Test func `kill -9 of the worker loses no connection and no answer`() throws {
        let host = try Self.host()
        try killWorkers(host, count: Storm.count(1000))
    }

    @Test func `with a standby nobody loses an answer either`() throws {
        let host = try Self.host(["--standby"])
        #expect(eventually { host.workers.count == 2 })
        try killWorkers(host, count: Storm.count(200, least: 4))
    }

    @Test(arguments: ["null", "stack", "abort", "exit", "heap", "trap"])
    func `a call that crashes costs its own answer alone`(how: String) throws {
        let host = try Self.host(Self.lenient)
        let load = NumberLoad(path: "/v1/numbers", pause: 1_000_000)
        try load.start(host.address, threads: 3, connections: 21)
        let path = how == "trap" ? "/v1/trapping/1" : "/v1/on_loop/1"
        let client = try Client(host.address)
        for round in 0..<Storm.count(100) {
            let id = "\(how)-\(round)"
            let answer = try client.call(
                "POST",
                path,
                fields: ["X-Request-Id: \(id)"],
                body: "{\"data\": {\"number\": 1, \"how\": \"\(how)\"}}"
            )
            #expect(answer.status == 400, "\(id): \(answer.text)")
            #expect(answer.json["code"]?.string == "model_crashed", "\(id): \(answer.text)")
            #expect(answer.json["requestId"]?.string == id)
            let deployment = answer.json["split"]?["deployment"]?["name"]?.string
            #expect(deployment == (how == "trap" ? "trapping" : "on_loop"))
        }
        load.stop()
        #expect(load.wrong.isEmpty, "\(load.wrong.count): \(load.wrong.prefix(3))")
        #expect(eventually(seconds: 60) { host.crashReports > 0 })
        #expect(host.stop() == .exited(0))
        try Self.requireLogged(load.ids, host)
    }

    @Test(arguments: ["loop", "sleep", "deadlock"], ["on_loop", "in_pool"])
    func `a call that does not come back is answered, and its neighbours are`(
        how: String,
        deployment: String
    ) throws {
        let host = try Self.host(Self.lenient)
        let load = NumberLoad(path: "/v1/numbers", pause: 1_000_000)
        try load.start(host.address, threads: 2, connections: 4)
        // In a pool of two the first one is replaced, and the second ends the worker.
        for _ in 0..<2 {
            let client = try Client(host.address)
            let start = MonotonicClock.now()
            let answer = try client.call(
                "POST",
                "/v1/\(deployment)/1",
                body: "{\"data\": {\"number\": 1, \"how\": \"\(how)\"}}"
            )
            let milliseconds = (MonotonicClock.now() - start) / 1_000_000
            #expect(answer.status == 408, "\(answer.text)")
            #expect(answer.json["code"]?.string == "deadline_exceeded", "\(answer.text)")
            #expect(milliseconds >= 400)
            if Storm.isFull { #expect(milliseconds <= 650, "\(milliseconds) ms") }
            let next = try client.call(
                "POST",
                "/v1/\(deployment)/1",
                body: "{\"data\": {\"number\": 2}}"
            )
            #expect(next.status == 200, "\(next.text)")
        }
        load.stop()
        #expect(load.wrong.isEmpty, "\(load.wrong.count): \(load.wrong.prefix(3))")
        #expect(host.stop() == .exited(0))
        try Self.requireLogged(load.ids, host)
    }

    @Test func `what another request's crash interrupts is executed again`() throws {
        let host = try Self.host(Self.lenient)
        let slow = try Client(host.address)
        try slow.request(
            "POST",
            "/v1/in_pool/1",
            body: "{\"data\": {\"number\": 5, \"ms\": 300}}"
        )
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        let crashing = try Client(host.address)
        let answer = try crashing.call(
            "POST",
            "/v1/on_loop/1",
            body: "{\"data\": {\"number\": 1, \"how\": \"null\"}}"
        )
        #expect(answer.json["code"]?.string == "model_crashed")
        let interrupted = try slow.answer()
        #expect(interrupted.status == 200, "\(interrupted.text)")
        let id = try #require(interrupted.json["requestId"]?.string)
        #expect(host.stop() == .exited(0))
        let records = try host.records().filter { $0["requestId"]?.string == id }
        #expect(records.count == 1)
        #expect(records.first?["rerun"]?.boolean == true)
    }

    @Test func `a request that is executed in three kills is guilty, one in two is not`() throws {
        let host = try Self.host()
        try host.folder.write(
            "deployments/main/in_pool/deployment.yaml",
            "schemaVersion: 1\nexecution: {mode: pool, threads: 2}\n"
        )
        #expect(try host.run(["reload"] + host.options).end == .exited(0))
        let client = try Client(host.address)
        try client.request(
            "POST",
            "/v1/in_pool/1",
            body: "{\"data\": {\"number\": 5, \"ms\": 20000}}"
        )
        for _ in 0..<3 {
            // Its model is loaded when another request to it is answered.
            let other = try Client(host.address)
            _ = try other.call("POST", "/v1/in_pool/1", body: "{\"data\": {\"number\": 1}}")
            MonotonicClock.sleep(nanoseconds: 100_000_000)
            let worker = try #require(host.worker())
            Processes.end(worker)
            #expect(eventually { host.worker().map { $0 != worker } ?? false })
        }
        let answer = try client.answer()
        #expect(answer.json["code"]?.string == "model_crashed", "\(answer.text)")
        #expect(host.stop() == .exited(0))
    }

    @Test func `a version that crashes again and again is not run, and its fallback answers`()
        throws
    {
        let host = try Self.host()
        let load = NumberLoad(path: "/v1/numbers", pause: 1_000_000)
        try load.start(host.address, threads: 2, connections: 4)
        let client = try Client(host.address)
        for round in 0..<3 {
            let answer = try client.call(
                "POST",
                "/v1/on_loop/1",
                body: "{\"data\": {\"number\": 1, \"how\": \"null\"}}"
            )
            #expect(answer.json["code"]?.string == "model_crashed", "\(round): \(answer.text)")
        }
        let held = try client.call("POST", "/v1/on_loop/1", body: "{\"data\": {\"number\": 1}}")
        #expect(held.status == 503)
        #expect(held.json["code"]?.string == "deployment_quarantined", "\(held.text)")
        #expect(held.field("retry-after") != nil)
        let guarded = try client.call("POST", "/v1/guarded", body: "{\"data\": {\"number\": 9}}")
        #expect(guarded.status == 200, "\(guarded.text)")
        let split = guarded.json["split"]
        #expect(split?["backendName"]?.string == "safe")
        #expect(split?["assignment"]?.string == "fallback")
        #expect(split?["intendedBackendName"]?.string == "risky")
        let listed = try host.run(["quarantine"] + host.options)
        #expect(listed.output.contains("main/on_loop"), "\(listed)")
        #expect(eventually(seconds: 60) { host.crashReports == 3 })
        let status = try host.run(["status"] + host.options)
        #expect(status.output.contains("quarantined") && status.output.contains("LAST CRASHES"))
        let cleared = try host.run(["quarantine", "clear", "on_loop"] + host.options)
        #expect(cleared.end == .exited(0), "\(cleared)")
        let again = try client.call("POST", "/v1/on_loop/1", body: "{\"data\": {\"number\": 4}}")
        #expect(again.status == 200, "\(again.text)")
        load.stop()
        #expect(load.wrong.isEmpty, "\(load.wrong.prefix(3))")
        #expect(host.stop() == .exited(0))
        let record = try host.records().first {
            $0["requestId"]?.string == guarded.json["requestId"]?.string
        }
        #expect(record?["intendedBackendName"]?.string == "risky")
    }

    @Test(arguments: [(86_400, 200), (-10, 503)])
    func `a death of a future that the clock was set back from does not count`(
        seconds: Int64,
        status: Int
    ) throws {
        let host = try Self.host(["--quarantine", "2/60"])
        let time = WallTime.now().microseconds + seconds * 1_000_000
        try host.folder.write(
            "state/quarantine.json",
            #"{"entries":[],"recent":[{"deployment":"main/on_loop","version":1,"#
                + #""microseconds":\#(time),"process":1}]}"#
        )
        let client = try Client(host.address)
        let crash = "{\"data\": {\"number\": 1, \"how\": \"null\"}}"
        let crashed = try client.call("POST", "/v1/on_loop/1", body: crash)
        #expect(crashed.json["code"]?.string == "model_crashed", "\(crashed.text)")
        let after = try client.call("POST", "/v1/on_loop/1", body: "{\"data\": {\"number\": 1}}")
        #expect(after.status == status, "\(after.text)")
        #expect(host.stop() == .exited(0))
    }

    @Test(arguments: ["null", "sleep"])
    func `a fallback answers the request whose call crashes or hangs`(how: String) throws {
        let host = try Self.host(Self.lenient)
        let client = try Client(host.address)
        let body = "{\"data\": {\"number\": 3, \"how\": \"\(how)\"}}"
        let flat = try client.call("POST", "/v1/flat", body: body)
        #expect(flat.status == 200, "\(flat.text)")
        #expect(flat.json["split"]?["backendName"]?.string == "constant")
        #expect(flat.json["split"]?["intendedBackendName"]?.string == "risky")
        // A fallback that goes wrong in the same way is the end of it.
        if how == "sleep" { return }
        let both = try client.call("POST", "/v1/guarded", body: body)
        #expect(both.status == 400 || both.status == 408, "\(both.text)")
        #expect(host.crashReports <= 3)
        #expect(host.stop() == .exited(0))
    }

    @Test func `a version that crashes while it is loaded is left out by the next worker`() throws {
        let host = try Self.host()
        let file = "\(host.folder.path)/crash"
        try host.folder.write("settings.json", "{\"crashCreate\": \"\(file)\"}")
        let settings = ["--settings", "\(host.folder.path)/settings.json"]
        try host.deploy("fragile", "faulty_model", settings)
        let reload = try host.run(["reload"] + host.options)
        #expect(reload.end == .exited(0), "\(reload)")
        let client = try Client(host.address)
        let before = try client.call("POST", "/v1/fragile", body: "{\"data\": {\"number\": 1}}")
        #expect(before.status == 200, "\(before.text)")
        try host.folder.write("crash", "")
        Processes.end(try #require(host.worker()))
        let isHeld = try eventually {
            let answer = try client.call("POST", "/v1/fragile", body: "{\"data\": {\"number\": 1}}")
            return answer.json["code"]?.string == "deployment_quarantined"
        }
        #expect(isHeld)
        let other = try client.call("POST", "/v1/numbers", body: "{\"data\": {\"number\": 2}}")
        #expect(other.status == 200, "\(other.text)")
        #expect(host.stop() == .exited(0))
    }

    @Test func `what is live outlives a worker though its revisions are gone from the disk`() throws
    {
        let host = try HostProcess()
        try host.folder.write(
            "endpoints/e.yaml",
            "schemaVersion: 1\nbackends: {a: {value: 1}, b: {value: 2, weight: 0}}\n"
        )
        try host.start(Self.lenient)
        let weights = ["weights", "e", "a=0", "b=1"] + host.options
        #expect(try host.run(weights).end == .exited(0))
        func split() throws -> JSONValue? {
            try Client(host.address).call("POST", "/v1/e", body: "{\"data\": 1}").json["split"]
        }
        #expect(try split()?["backendName"]?.string == "b")
        try Directory.removeAll("\(host.folder.path)/state/revisions")
        let before = try #require(host.worker())
        Processes.end(before)
        #expect(eventually { host.worker().map { $0 != before } ?? false })
        let live = try split()
        #expect(live?["backendName"]?.string == "b" && live?["configRevision"]?.unsigned == 2)
        // The number that was given is not given again.
        let next = try host.run(["weights", "e", "a=1"] + host.options)
        #expect(next.output.hasPrefix("revision 3 is live"), "\(next)")
        #expect(host.stop() == .exited(0))
    }

    @Test func `a planned recycle loses nothing, again and again`() throws {
        let host = try Self.host()
        let load = NumberLoad(path: "/v1/numbers")
        try load.start(host.address)
        for round in 0..<Storm.count(100, least: 3) {
            let result = try host.run(["recycle"] + host.options)
            #expect(result.end == .exited(0), "round \(round): \(result)")
            if !load.wrong.isEmpty { break }
        }
        load.stop()
        #expect(load.wrong.isEmpty, "\(load.wrong.count): \(load.wrong.prefix(3))")
        #expect(host.stop() == .exited(0))
        try Self.requireLogged(load.ids, host)
    }

    @Test func `a Unix socket's connection goes on where the slot says all of it`() throws {
        let folder = try TemporaryFolder()
        let host = try Self.host(["--listen", "unix:\(folder.path)/clients.sock"])
        let client = try Client(host.address)
        for round in 0..<Storm.count(100, least: 3) {
            let idle = try client.call("POST", "/v1/numbers", body: "{\"data\": {\"number\": 2}}")
            #expect(idle.status == 200, "round \(round): \(idle.text)")
            // One request is being executed, and half of another one has come.
            let half = try Client(host.address)
            let slow = "{\"data\": {\"number\": 5, \"ms\": 100}}"
            try client.request("POST", "/v1/in_pool/1", body: slow)
            try half.send(
                "POST /v1/numbers HTTP/1.1\r\nHost: t\r\nContent-Length: 23\r\n\r\n{\"data\""
            )
            MonotonicClock.sleep(nanoseconds: 50_000_000)
            let worker = try #require(host.worker())
            Processes.end(worker)
            let answer = try client.answer()
            #expect(answer.json["data"] == .number("5.0"), "round \(round): \(answer.text)")
            try half.send(": {\"number\": 3}}")
            let other = try half.answer()
            #expect(other.json["data"] == .number("3.0"), "round \(round): \(other.text)")
        }
        #expect(host.stop() == .exited(0))
    }

    @Test func `a request too large for a slot is closed, and its neighbours are answered`() throws
    {
        let host = try Self.host()
        let large = try Client(host.address)
        let small = try Client(host.address)
        let body = String(repeating: " ", count: 200_000)
        let head = "POST /v1/numbers HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n"
        try large.send(head + body)
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        let worker = try #require(host.worker())
        Processes.end(worker)
        let answer = try small.call("POST", "/v1/numbers", body: "{\"data\": {\"number\": 2}}")
        #expect(answer.status == 200, "\(answer.text)")
        #expect(throws: ClientError.self) { try large.answer() }
        #expect(host.stop() == .exited(0))
    }

    @Test func `SIGTERM while a worker is being replaced still answers and ends with 0`() throws {
        for standby in [[], ["--standby"]] {
            let host = try Self.host(standby)
            let load = NumberLoad(path: "/v1/numbers", pause: 1_000_000)
            try load.start(host.address, threads: 2, connections: 4)
            #expect(eventually { load.count > 100 })
            Processes.end(try #require(host.worker()))
            #expect(host.stop() == .exited(0))
            load.stop()
            // Connections end with an answer that says so, and never inside one.
            let wrong = load.wrong.filter {
                !$0.contains("ended without an answer") && !$0.contains("connection error")
                    && !$0.contains("does not take bytes")
            }
            #expect(wrong.isEmpty, "\(wrong.prefix(3))")
            try Self.requireLogged(load.ids, host)
        }
    }

    @Test func `without its supervisor a worker finishes what it has, and the next start serves`()
        throws
    {
        let host = try Self.host()
        let slow = try Client(host.address)
        try slow.request(
            "POST",
            "/v1/in_pool/1",
            body: "{\"data\": {\"number\": 5, \"ms\": 300}}"
        )
        MonotonicClock.sleep(nanoseconds: 50_000_000)
        let worker = try #require(host.worker())
        #expect(host.stop(signal: 9) == .signalled(9))
        let answer = try slow.answer()
        #expect(answer.status == 200, "\(answer.text)")
        try host.start()
        #expect(Processes.hasEnded(worker))
        let client = try Client(host.address)
        let next = try client.call("POST", "/v1/numbers", body: "{\"data\": {\"number\": 2}}")
        #expect(next.status == 200)
        #expect(host.stop() == .exited(0))
        let ids = [answer, next].compactMap { $0.json["requestId"]?.string }
        try Self.requireLogged(ids, host)
    }
}
