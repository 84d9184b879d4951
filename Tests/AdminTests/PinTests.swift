import Admin
import JSON
import Platform
import Serving
import TestSupport
import Testing

/// A rollback stays: nothing brings back what it has put aside but a release, or something new.
struct PinTests {
    private static let by = ", \"because\": \"it was wrong\""

    private static func weights(_ a: Int, _ b: Int) -> String {
        "backends: {a: {value: 1, weight: \(a)}, b: {value: 2, weight: \(b)}}"
    }

    /// Two endpoints; `coin` has become another one in revision 2.
    private func host() throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: [
            "coin": Self.weights(1, 1), "other": Self.weights(1, 1),
        ])
        try host.start()
        try host.endpoint("coin", Self.weights(1, 9))
        _ = try host.v1("POST", "reload")
        #expect(try weight(host, "coin", "b") == "9")
        return host
    }

    private func weight(_ host: LiveAdmin, _ endpoint: String, _ split: String) throws -> String? {
        let splits = try host.v1("GET", "endpoints/\(endpoint)").json["splits"]?.array ?? []
        let found = splits.first { $0["backendName"]?.string == split }
        guard case .number(let text) = found?["weight"] else { return nil }
        return text
    }

    private func texts(_ answer: Answer, _ name: String) -> [String] {
        answer.json[name]?.array?.compactMap { $0["text"]?.string } ?? []
    }

    @Test func `a reload leaves out what was rolled back, and takes everything else`() throws {
        let host = try host()
        let back = try host.v1("POST", "rollback", "{\"because\": \"it was wrong\"}")
        #expect(back.json["outcome"]?.string == "committed", "\(back.text)")
        #expect(try weight(host, "coin", "b") == "1")
        // Nothing else to do.
        var reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "unchanged", "\(reload.text)")
        #expect(texts(reload, "leftOut").count == 1)
        let sentence = texts(reload, "leftOut").first ?? ""
        #expect(sentence.hasPrefix("left out: coin (rolled back by user 0 at "), "\(sentence)")
        #expect(sentence.contains("because it was wrong"))
        #expect(sentence.contains("'switchyard rollback --release coin'"))
        // Something else to do: that is done.
        try host.endpoint("other", Self.weights(1, 5))
        reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "committed")
        #expect(texts(reload, "leftOut").count == 1)
        #expect(try weight(host, "other", "b") == "5" && weight(host, "coin", "b") == "1")
        let plan = try host.v1("POST", "plan")
        #expect(plan.json["changes"]?.array?.isEmpty == true, "\(plan.text)")
        #expect(texts(plan, "leftOut").count == 1)
        let status = try host.v1("GET", "status")
        #expect(status.json["pins"]?.array?.count == 1)
        #expect(try host.samples()["switchyard_config_pins"] == "1")
        #expect(try host.audit().last?["leftOut"]?.array?.count == 1)
    }

    @Test func `what says something new is taken by whoever asks for it, and by nobody else`()
        throws
    {
        let host = try host()
        _ = try host.v1("POST", "rollback")
        try host.endpoint("coin", Self.weights(1, 7))
        host.hangUp()
        #expect(eventually { (try? host.audit().last?["action"]?.string) == "reload" })
        #expect(try weight(host, "coin", "b") == "1")
        let reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "committed", "\(reload.text)")
        #expect(texts(reload, "changes").contains { $0.contains("says something new") })
        #expect(try weight(host, "coin", "b") == "7")
        #expect(try host.v1("GET", "status").json["pins"] == nil)
    }

    @Test func `a release lets it come back with the next reload`() throws {
        let host = try host()
        _ = try host.v1("POST", "rollback")
        let wrong = try host.v1("POST", "rollback", "{\"release\": \"nothing\"}")
        #expect(wrong.status == 409 && wrong.text.contains("what is: coin"), "\(wrong.text)")
        let release = try host.v1("POST", "rollback", "{\"release\": \"coin\"}")
        #expect(release.status == 200, "\(release.text)")
        #expect(try weight(host, "coin", "b") == "1")
        _ = try host.v1("POST", "reload")
        #expect(try weight(host, "coin", "b") == "9")
    }

    @Test func `a start keeps what was rolled back, also when other files have changed`() throws {
        let host = try host()
        _ = try host.v1("POST", "rollback")
        host.stop()
        try host.start()
        #expect(try weight(host, "coin", "b") == "1")
        host.stop()
        try host.endpoint("other", Self.weights(1, 6))
        try host.start()
        #expect(try weight(host, "coin", "b") == "1" && weight(host, "other", "b") == "6")
        #expect(try host.v1("GET", "status").json["pins"]?.array?.count == 1)
    }

    @Test func `twice in a row goes further back, and not to what was left`() throws {
        let host = try host()
        try host.endpoint("coin", Self.weights(1, 20))
        _ = try host.v1("POST", "reload")
        _ = try host.v1("POST", "rollback")
        #expect(try weight(host, "coin", "b") == "9")
        _ = try host.v1("POST", "rollback")
        #expect(try weight(host, "coin", "b") == "1")
        let third = try host.v1("POST", "rollback")
        #expect(third.status == 409, "\(third.text)")
        // What the first one put aside is put aside still.
        let reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "unchanged", "\(reload.text)")
        #expect(try weight(host, "coin", "b") == "1")
    }

    @Test func `one endpoint goes back alone`() throws {
        let host = try host()
        try host.endpoint("other", Self.weights(3, 3))
        _ = try host.v1("POST", "reload")
        let back = try host.v1("POST", "rollback", "{\"endpoint\": \"coin\"}")
        #expect(back.json["outcome"]?.string == "committed", "\(back.text)")
        #expect(try weight(host, "coin", "b") == "1" && weight(host, "other", "b") == "3")
        let again = try host.v1("POST", "rollback", "{\"endpoint\": \"coin\"}")
        #expect(again.status == 409, "\(again.text)")
        let unknown = try host.v1("POST", "rollback", "{\"endpoint\": \"cion\"}")
        #expect(unknown.status == 409 && unknown.text.contains("did you mean 'coin'?"))
    }

    @Test func `live weights on what was rolled back are allowed and release nothing`() throws {
        let host = try host()
        _ = try host.v1("POST", "rollback")
        let live = try host.v1("PUT", "endpoints/coin/weights", "{\"weights\": {\"b\": 4}}")
        #expect(live.status == 200)
        let reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "unchanged", "\(reload.text)")
        #expect(try weight(host, "coin", "b") == "4")
        #expect(try host.v1("GET", "status").json["pins"]?.array?.count == 1)
    }

    @Test func `a build that was rolled back is not brought back by a deploy of another`() throws {
        let host = try LiveAdmin(endpoints: ["e": Sample.model])
        try host.deploy("area", "thirty_lines")
        try host.start()
        try host.deploy("area", "echo")
        _ = try host.v1("POST", "reload")
        func version() throws -> UInt64? {
            try host.v1("GET", "endpoints/e").json["splits"]?.array?.first?["deployment"]?[
                "version"
            ]?
            .unsigned
        }
        #expect(try version() == 2)
        let back = try host.v1("POST", "rollback")
        #expect(back.status == 200, "\(back.text)")
        #expect(try version() == 1)
        try host.deploy("unrelated", "echo")
        var reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "committed", "\(reload.text)")
        #expect(texts(reload, "leftOut").contains { $0.contains("left out: e ") }, "\(reload.text)")
        #expect(try version() == 1)
        // A third build is something new.
        try host.deploy("area", "batch_model")
        host.hangUp()
        #expect(eventually { (try? host.audit().last?["author"]?.string) == "SIGHUP" })
        #expect(try version() == 1)
        reload = try host.v1("POST", "reload")
        #expect(reload.json["outcome"]?.string == "committed", "\(reload.text)")
        #expect(try version() == 3)
    }

    // MARK: Live weights

    @Test func `live weights stay until the file's own weights change, or they are reset`() throws {
        let host = try host()
        _ = try host.v1("PUT", "endpoints/coin/weights", "{\"weights\": {\"b\": 2}}")
        try host.endpoint("other", Self.weights(2, 2))
        _ = try host.v1("POST", "reload")
        #expect(try weight(host, "coin", "b") == "2")
        try host.endpoint("coin", "# a word\n" + Self.weights(1, 9))
        _ = try host.v1("POST", "reload")
        #expect(try weight(host, "coin", "b") == "2")
        host.stop()
        try host.endpoint("other", Self.weights(2, 3))
        try host.start()
        #expect(try weight(host, "coin", "b") == "2")
        let plan = try host.v1("POST", "plan", "{\"resetWeights\": true}")
        #expect(texts(plan, "changes").contains { $0.contains("live weights") }, "\(plan.text)")
        _ = try host.v1("POST", "reload", "{\"resetWeights\": true}")
        #expect(try weight(host, "coin", "b") == "9")
        _ = try host.v1("PUT", "endpoints/coin/weights", "{\"weights\": {\"b\": 2}}")
        try host.endpoint("coin", Self.weights(1, 8))
        let reload = try host.v1("POST", "reload", "{\"keepWeights\": true}")
        #expect(reload.status == 200)
        #expect(try weight(host, "coin", "b") == "8")
        let both = "{\"keepWeights\": true, \"resetWeights\": true}"
        #expect(try host.v1("POST", "reload", both).status == 400)
    }

    // MARK: Two admins

    @Test func `a change of another revision is refused with what has happened since`() throws {
        let host = try host()
        let revision = try host.revision() ?? 0
        _ = try host.v1("PUT", "endpoints/coin/weights", "{\"weights\": {\"b\": 3}}")
        for (method, path, body) in [
            ("PUT", "endpoints/coin/weights", "\"weights\": {\"b\": 5}, "),
            ("DELETE", "endpoints/coin/weights", ""), ("POST", "reload", ""),
            ("POST", "rollback", ""),
            ("POST", "freeze", "\"text\": \"x\", "), ("POST", "quarantine/clear", ""),
        ] {
            let answer = try host.v1(method, path, "{\(body)\"ifRevision\": \(revision)}")
            #expect(answer.status == 409, "\(method) \(path): \(answer.text)")
            #expect(answer.json["code"]?.string == "revision_moved", "\(answer.text)")
            #expect(answer.text.contains("weights by user 0"), "\(answer.text)")
        }
        let now = try host.revision() ?? 0
        #expect(now == revision + 1)
        let right = try host.v1(
            "PUT",
            "endpoints/coin/weights",
            "{\"weights\": {\"b\": 5}, \"ifRevision\": \(now)}"
        )
        #expect(right.status == 200)
        #expect(try host.audit().last?["ifRevision"]?.unsigned == now)
    }

    @Test func `of fifteen changes of one revision one is made`() throws {
        let host = try host()
        let revision = try host.revision() ?? 0
        let statuses = Guarded<[Int]>([])
        let socket = host.adminConfiguration.socket
        for number in 0..<15 {
            _ = try Thread(name: "admin") {
                let body = "{\"weights\": {\"b\": \(number + 30)}, \"ifRevision\": \(revision)}"
                let answer = try? Client(.unix(socket))
                    .call("PUT", "/admin/v1/endpoints/coin/weights", body: body)
                statuses.withLock { $0.append(answer?.status ?? 0) }
            }
        }
        #expect(eventually { statuses.withLock { $0.count } == 15 })
        #expect(statuses.withLock { $0.filter { $0 == 200 }.count } == 1)
        #expect(statuses.withLock { $0.filter { $0 == 409 }.count } == 14)
    }

    @Test func `If-Match is never passed over`() throws {
        let host = try host()
        for (method, path) in [("POST", "reload"), ("GET", "status"), ("POST", "plan")] {
            let client = try host.client()
            let answer = try client.call(method, "/admin/v1/\(path)", fields: ["If-Match: \"1\""])
            #expect(answer.status == 400 && answer.text.contains("ifRevision"), "\(answer.text)")
        }
    }

    // MARK: Freezing

    @Test func `a frozen host refuses every change, and says who and why`() throws {
        let host = try host()
        try host.deploy("area", "thirty_lines")
        let freeze = try host.v1("POST", "freeze", "{\"text\": \"release week\"}")
        #expect(freeze.status == 200, "\(freeze.text)")
        for (method, path, body) in [
            ("POST", "reload", ""), ("POST", "rollback", ""),
            ("PUT", "endpoints/coin/weights", "{\"weights\": {\"b\": 5}}"),
            ("POST", "freeze", "{\"text\": \"again\"}"),
            ("PUT", "deployments/main/area/aliases/prod", "{\"version\": 1}"),
            ("DELETE", "deployments/main/area/versions/1", ""),
        ] {
            let answer = try host.v1(method, path, body)
            #expect(answer.status == 409, "\(method) \(path): \(answer.text)")
            #expect(answer.json["code"]?.string == "frozen", "\(answer.text)")
            #expect(answer.text.contains("release week") && answer.text.contains("user 0"))
        }
        #expect(try host.v1("GET", "status").json["frozen"]?["text"]?.string == "release week")
        #expect(try host.samples()["switchyard_config_frozen"] == "1")
        // A start changes nothing either.
        host.stop()
        try host.endpoint("coin", Self.weights(1, 77))
        try host.start()
        #expect(try weight(host, "coin", "b") == "9")
        #expect(try host.v1("DELETE", "freeze").status == 200)
        _ = try host.v1("POST", "reload")
        #expect(try weight(host, "coin", "b") == "77")
    }

    @Test func `the audit log says for whom and why`() throws {
        let host = try host()
        let client = try host.client()
        _ = try client.call(
            "POST",
            "/admin/v1/reload",
            fields: ["X-Switchyard-For: ann"],
            body: "{\"because\": \"a test\"}"
        )
        let line = try host.audit().last
        #expect(line?["author"]?.string == "user 0 for ann", "\(String(describing: line))")
        #expect(line?["because"]?.string == "a test")
    }
}
