import Endpoints
import JSON
import Platform
import TestSupport
import Testing

/// The whole program, changed again and again: under load, many times, and killed in the middle.
@Suite(.serialized)
struct ReloadStormTests {
    /// An endpoint over a version of its own and an alias, with these weights.
    private static func endpoint(version: Int, weights: (Int, Int)) -> String {
        """
        schemaVersion: 1
        backends:
          control: {deployment: {name: pricing, version: \(version)}, weight: \(weights.0)}
          experiment: {deployment: {name: pricing, version: prod}, weight: \(weights.1)}
        experimentConfig: {experimentId: foo, subjectKey: user_id}

        """
    }

    private func host() throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write(
            "endpoints/pricing_optimizer.yaml",
            Self.endpoint(version: 1, weights: (1, 3))
        )
        try host.deploy("pricing", "pricing_model_v1")
        try host.deploy("pricing", "pricing_model_v2")
        let alias = try host.run(["alias", "set", "pricing", "prod", "2"] + host.options)
        #expect(alias.end == .exited(0))
        return host
    }

    private func admin(_ host: HostProcess) throws -> Client {
        try Client(.unix("\(host.folder.path)/state/admin.sock"))
    }

    // MARK: Under load

    /// A revision as it lies on the disk: what each split's version and the weights were.
    private struct Stored {
        let versions: [String: UInt64]
        let weights: [(String, Double)]

        init(_ host: HostProcess, _ number: UInt64) throws {
            let path = "\(host.folder.path)/state/revisions/\(number).json"
            let json = try JSONValue(parsing: File.read(path, limit: 1 << 20))
            var resolved: [String: UInt64] = [:]
            for version in json["versions"]?.array ?? [] {
                resolved[version["reference"]?.string ?? ""] = version["version"]?.unsigned
            }
            let text = try #require(json["endpoints"]?.array?.first?["text"]?.string)
            guard
                case .endpoint(let endpoint) = EndpointFile.read(
                    name: "pricing_optimizer",
                    text: Array(text.utf8)
                )
            else { throw ClientError(description: "revision \(number) has a broken endpoint") }
            let live = json["liveWeights"]?["pricing_optimizer"]?["weights"]
            var versions: [String: UInt64] = [:]
            var weights: [(String, Double)] = []
            for split in endpoint.splits {
                guard case .deployment(let reference) = split.backend else { continue }
                versions[split.name] = resolved["\(reference.version)"]
                var weight = split.weight
                if case .number(let text) = live?[split.name] { weight = Double(text) ?? weight }
                weights.append((split.name, weight))
            }
            self.versions = versions
            self.weights = weights
        }

        /// The arm by the reference formula of the research note, section 1.10.
        func arm(_ subject: Int) -> String {
            var best = (score: Double.infinity, arm: "")
            for (arm, weight) in weights where weight > 0 {
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
    }

    /// Makes the `round`th change, each kind in turn, and says what the host answered.
    private static func change(
        _ folder: TemporaryFolder,
        _ admin: Client,
        _ round: Int
    ) throws -> Answer {
        switch round % 4 {
        case 0:
            try folder.write(
                "endpoints/pricing_optimizer.yaml",
                endpoint(version: round / 4 % 2 + 1, weights: (round % 7 + 1, 3))
            )
            return try admin.call("POST", "/admin/v1/reload")
        case 1:
            let version = round / 4 % 2 + 1
            return try admin.call(
                "PUT",
                "/admin/v1/deployments/main/pricing/aliases/prod",
                body: "{\"version\": \(version), \"reload\": true}"
            )
        case 2:
            return try admin.call(
                "PUT",
                "/admin/v1/endpoints/pricing_optimizer/weights",
                body: "{\"weights\": {\"control\": \(round % 5 + 1), \"experiment\": 2}}"
            )
        default: return try admin.call("POST", "/admin/v1/rollback")
        }
    }

    @Test
    func `changes under full load drop no request, and no answer is of two revisions`() throws {
        let host = try host()
        try host.start()
        let load = LoadClient(prefix: "r")
        try load.start(host.address)
        let admin = try admin(host)
        var revisions: [UInt64: Stored] = [1: try Stored(host, 1)]
        let rounds = Storm.count(500)
        for round in 0..<rounds {
            let answer = try Self.change(host.folder, admin, round)
            #expect(answer.status == 200, "round \(round): \(answer.text)")
            // Old revisions go: each is read while it is there.
            let number = try #require(answer.json["configRevision"]?.unsigned)
            if revisions[number] == nil { revisions[number] = try Stored(host, number) }
        }
        #expect(revisions.count > rounds / 2)
        let answered = load.stop()
        #expect(load.errors.isEmpty, "\(load.errors.prefix(3))")
        var wrong: [String] = []
        for request in answered {
            let split = request.answer.json["split"]
            guard request.answer.status == 200, let number = split?["configRevision"]?.unsigned,
                let stored = revisions[number], let backend = split?["backendName"]?.string,
                backend == stored.arm(request.subject),
                split?["deployment"]?["version"]?.unsigned == stored.versions[backend]
            else {
                wrong.append(request.answer.text)
                continue
            }
        }
        #expect(wrong.isEmpty, "\(wrong.count) of \(answered.count): \(wrong.prefix(3))")
        #expect(answered.count > rounds)
        #expect(host.stop() == .exited(0))
        // What the log says of each answer is of one revision too.
        for record in try host.records() {
            let number = try #require(record["configRevision"]?.unsigned)
            let stored = try #require(revisions[number])
            let weights = record["weights"]?.object ?? []
            #expect(weights.count == stored.weights.count)
            for (name, weight) in stored.weights {
                guard case .number(let text) = record["weights"]?[name] else { continue }
                #expect(Double(text) == weight, "revision \(number), \(name)")
            }
        }
    }

    // MARK: What is left behind

    /// What a process holds.
    private struct Holdings {
        let anonymousBytes: Int
        let descriptors: Int
        let threads: Int
        let mappings: Int

        init(_ id: Int) throws {
            let status = String(
                decoding: try File.readStream("/proc/\(id)/status"),
                as: UTF8.self
            )
            func number(_ name: String) -> Int {
                let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") } ?? ""
                return Int(line.split(whereSeparator: { $0 == " " || $0 == "\t" })[1]) ?? 0
            }
            anonymousBytes = number("RssAnon") * 1024
            threads = number("Threads")
            descriptors = try Directory.names(in: "/proc/\(id)/fd").count
            mappings = try File.readStream("/proc/\(id)/maps").count { $0 == 0x0a }
        }
    }

    private func holdings(_ host: HostProcess) throws -> Holdings {
        // Whatever is on its way out is given a moment.
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        return try Holdings(Int(host.child?.id ?? 0))
    }

    @Test func `weights that change again and again leave nothing behind`() throws {
        let host = try host()
        try host.start()
        let admin = try admin(host)
        func set(_ weight: Int) throws {
            let answer = try admin.call(
                "PUT",
                "/admin/v1/endpoints/pricing_optimizer/weights",
                body: "{\"weights\": {\"control\": \(weight)}}"
            )
            #expect(answer.json["outcome"]?.string == "committed", "\(answer.text)")
        }
        for round in 0..<120 { try set(round + 1) }
        let before = try holdings(host)
        for round in 0..<Storm.count(1000) { try set(round + 1000) }
        let after = try holdings(host)
        let growth = after.anonymousBytes - before.anonymousBytes
        #expect(Sanitizers.watch || growth <= 1 << 20, "\(growth) bytes more in memory")
        #expect(after.descriptors <= before.descriptors)
        #expect(after.threads <= before.threads)
        #expect(after.mappings <= before.mappings + 2, "the heap may be in a piece more or two")
        let kept = try Directory.names(in: "\(host.folder.path)/state/revisions")
        #expect(kept.count <= 102, "100 revisions, the current one's name: \(kept.count)")
        #expect(host.stop() == .exited(0))
    }

    @Test func `versions that alternate are loaded once for each build`() throws {
        let host = try host()
        try host.start(["--grace", "0"])
        let admin = try admin(host)
        func images() throws -> UInt64 {
            try admin.call("GET", "/admin/v1/status").json["pluginImages"]?.unsigned ?? 0
        }
        func reload(_ round: Int) throws {
            try host.folder.write(
                "endpoints/pricing_optimizer.yaml",
                Self.endpoint(version: round % 2 + 1, weights: (1, 1))
            )
            let answer = try admin.call("POST", "/admin/v1/reload")
            #expect(answer.json["outcome"]?.string == "committed", "\(answer.text)")
        }
        for round in 1...20 { try reload(round) }
        let before = try holdings(host)
        #expect(try images() == 2)
        let rounds = Storm.count(1000)
        for round in 1...rounds { try reload(round) }
        let after = try holdings(host)
        #expect(try images() == 2, "the same bytes are the same image")
        #expect(after.descriptors <= before.descriptors)
        #expect(after.threads <= before.threads)
        let growth = after.anonymousBytes - before.anonymousBytes
        #expect(
            Sanitizers.watch || growth <= 2 << 20,
            "\(growth) bytes more after \(rounds) reloads"
        )
        #expect(host.stop() == .exited(0))
    }

    // MARK: Killed in the middle

    @Test func `kill -9 at any moment of a change leaves a host that starts`() throws {
        let host = try host()
        var last: UInt64 = 0
        let rounds = Storm.count(500)
        for round in 0..<rounds {
            try host.start()
            let admin = try admin(host)
            let status = try admin.call("GET", "/admin/v1/status").json
            let revision = try #require(status["configRevision"]?.unsigned)
            #expect(revision >= last, "round \(round): a committed revision is never lost")
            #expect(status["degraded"] == nil && status["ready"]?.boolean == true)
            let answer = try Client(host.address).call(
                "POST",
                "/v1/pricing_optimizer",
                body:
                    "{\"data\": {\"user_id\": 1, \"category\": \"x\", \"price\": 1, \"quantity\": 1}}"
            )
            #expect(answer.json["split"]?["configRevision"]?.unsigned == revision)
            let answered = Guarded<UInt64>(revision)
            let deploy =
                round % 5 == 4
                ? try ChildProcess(
                    executable: Built.program,
                    arguments: [
                        "deploy", "pricing", Built.plugin(round % 2 == 0 ? "echo" : "thirty_lines"),
                    ] + host.options,
                    environment: ["SWIFT_BACKTRACE=enable=no"]
                ) : nil
            let folder = host.folder
            let changes = try Thread(name: "changes") {
                guard let admin = try? Client(.unix("\(folder.path)/state/admin.sock")) else {
                    return
                }
                // Ends with the host.
                for step in 0..<1000 {
                    guard let answer = try? Self.change(folder, admin, round + step),
                        let number = answer.json["configRevision"]?.unsigned
                    else { return }
                    answered.withLock { $0 = max($0, number) }
                }
            }
            MonotonicClock.sleep(nanoseconds: UInt64.random(in: 1_000_000...60_000_000))
            #expect(host.stop(signal: 9) == .signalled(9))
            deploy?.send(signal: 9)
            _ = deploy?.wait(seconds: 10)
            changes.join()
            last = answered.withLock { $0 }
        }
        try host.start()
        // The store holds whole versions and nothing else.
        let check = try host.run(["check", "\(host.folder.path)/endpoints"] + host.options)
        #expect(check.end == .exited(0), "\(check.errors)")
        let list = try host.run(["list"] + host.options)
        #expect(list.end == .exited(0), "\(list.errors)")
        #expect(host.stop() == .exited(0))
    }
}
