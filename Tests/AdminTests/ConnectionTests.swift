import Admin
import JSON
import Platform
import TestSupport
import Testing

/// Admins who are slow, many, hasty or gone, and a host that is busy.
struct ConnectionTests {
    private func host(_ change: (LiveAdmin) throws -> Void = { _ in }) throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
        try change(host)
        try host.start()
        return host
    }

    /// A host whose status has over half a megabyte.
    private func largeHost() throws -> LiveAdmin {
        try host { host in
            let value = String(repeating: "x", count: 200_000)
            for name in ["e", "f", "g"] {
                try host.endpoint(name, "backends: {a: {value: \"\(value)\"}}")
            }
        }
    }

    private static let status = "GET /admin/v1/status HTTP/1.1\r\nHost: x\r\n\r\n"

    @Test func `a socket file that somebody has removed is made again`() throws {
        let host = try LiveAdmin()
        try host.start()
        let path = "\(host.folder.path)/state/admin.sock"
        try File.remove(path)
        let isBack = eventually { (try? host.v1("GET", "status").status) == 200 }
        #expect(isBack)
        #expect(try File.facts(path).mode == 0o600)
    }

    @Test func `an admin is heard while clients saturate the host`() throws {
        let host = try host { host in
            try host.endpoint("pricing_optimizer", Sample.coin)
        }
        let load = LoadClient(threads: 2, connectionsPerThread: 32)
        try load.start(host.address)
        let client = try host.client()
        var slowest: UInt64 = 0
        var revisions: [UInt64?] = []
        let end = MonotonicClock.now() + 2_000_000_000
        while MonotonicClock.now() < end {
            let start = MonotonicClock.now()
            let path = revisions.count % 2 == 0 ? "/admin/v1/status" : "/metrics"
            let answer = try client.call("GET", path)
            slowest = max(slowest, MonotonicClock.now() - start)
            #expect(answer.status == 200)
            let weights = "{\"weights\": {\"a\": \(revisions.count % 7 + 1)}}"
            let change = try client.call("PUT", "/admin/v1/endpoints/coin/weights", body: weights)
            revisions.append(change.json["configRevision"]?.unsigned)
        }
        let answered = load.stop()
        #expect(load.errors == [])
        #expect(answered.count > 100 && answered.allSatisfy { $0.answer.status == 200 })
        #expect(revisions.count > 5)
        #expect(slowest < 5_000_000_000)
    }

    @Test func `a request may come byte by byte, and a peer may be done with sending`() throws {
        let host = try host()
        let client = try host.client()
        let text =
            "POST /admin/v1/plan HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n{\"keepWeights\": true }"
        for byte in text.utf8 { try client.send([byte]) }
        client.finishSending()
        let answer = try client.answer()
        #expect(answer.status == 200 && answer.json["changes"]?.array == [])
        let isOver = try client.isAtEnd()
        #expect(isOver)
    }

    @Test func `who waits for a word before the body gets it`() throws {
        let host = try host()
        let client = try host.client()
        try client.send(
            "POST /admin/v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        var answer = try client.answer()
        #expect(answer.status == 100)
        try client.send("{}")
        answer = try client.answer()
        #expect(answer.json["outcome"]?.string == "unchanged")
    }

    @Test func `requests that come together are answered in order`() throws {
        let host = try host()
        let client = try host.client()
        let reload = "POST /admin/v1/reload HTTP/1.1\r\nHost: x\r\n\r\n"
        let chunked =
            "POST /admin/v1/plan HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        try client.send(
            reload + Self.status + chunked + "\r\n"
                + Self.status.replacing("HTTP/1.1", with: "HTTP/1.0")
        )
        var answer = try client.answer()
        #expect(answer.json["outcome"]?.string == "unchanged")
        answer = try client.answer()
        #expect(answer.json["processId"] != nil)
        answer = try client.answer()
        #expect(answer.json["warnings"] != nil)
        answer = try client.answer()
        #expect(answer.json["processId"] != nil && answer.field("connection") == "close")
        let isOver = try client.isAtEnd()
        #expect(isOver)
    }

    /// Each was once answered inside of the one before, until the thread's stack was full.
    @Test func `thousands of requests that come together do not end the host`() throws {
        let host = try host { host in
            host.adminConfiguration.keyFile = try host.keyFile("0123456789abcdef\n")
            host.adminConfiguration.listen = [.ipv4(0x7f00_0001, port: 0)]
        }
        let request = "GET / HTTP/1.1\r\nHost:x\r\n\r\n"
        for (address, status) in [
            (SocketAddress.unix(host.adminConfiguration.socket), 404), (try host.remote, 403),
        ] {
            let client = try Client(address)
            let count = 2400
            // A connection ends with its first refusal.
            let wanted = status == 403 ? 1 : count
            try client.send(String(repeating: request, count: count))
            var answers = 0
            while answers < wanted {
                let answer = try client.answer()
                guard answer.status == status else { break }
                answers += 1
            }
            #expect(answers == wanted)
        }
        let revision = try host.revision()
        #expect(revision == 1)
    }

    /// The second request once lay there until the patience was over, while the thread turned.
    @Test func `a peer who reads late has all answers`() throws {
        let host = try largeHost()
        let client = try host.client()
        try client.send(Self.status + Self.status)
        MonotonicClock.sleep(nanoseconds: 200_000_000)
        for _ in 0..<2 {
            let answer = try client.answer()
            #expect(answer.status == 200 && answer.body.count > 1 << 19)
            #expect(answer.json["endpoints"]?.array?.count == 4)
        }
        let other = try client.call("GET", "/health/live")
        #expect(other.status == 200)
    }

    @Test func `who goes away during a reload leaves it to its end`() throws {
        let host = try host()
        for round in 0..<10 {
            try host.endpoint("coin", "backends: {a: {value: \(round + 10)}}")
            do {
                let client = try host.client()
                try client.request("POST", "/admin/v1/reload", body: "{}")
                if round % 2 == 0 { try client.send(Self.status) }
            }
            let isLive = try eventually { try host.revision() == UInt64(round + 2) }
            #expect(isLive)
        }
        let lines = try host.audit()
        #expect(lines.count == 10 && lines.allSatisfy { $0["outcome"]?.string == "committed" })
    }

    @Test func `who asks only for the half is cut off, also when it drips`() throws {
        let host = try host { $0.adminConfiguration.patienceNanoseconds = 300_000_000 }
        let (silent, idle, dripping) = (try host.client(), try host.client(), try host.client())
        try silent.send("GET /admin/v1/status HTTP/1.1\r\nHo")
        var dripped = 0
        let limit = MonotonicClock.now() + 10_000_000_000
        do {
            try dripping.send("GET / HTTP/1.1\r\nX: ")
            while MonotonicClock.now() < limit {
                try dripping.send("x")
                dripped += 1
                MonotonicClock.sleep(nanoseconds: 20_000_000)
            }
        } catch {}
        #expect(MonotonicClock.now() < limit && dripped > 1)
        for client in [silent, idle] {
            let isOver = try client.isAtEnd()
            #expect(isOver)
        }
        // Who asks again and again stays, however long.
        let client = try host.client()
        for _ in 0..<8 {
            let answer = try client.call("GET", "/health/live")
            #expect(answer.status == 200)
            MonotonicClock.sleep(nanoseconds: 100_000_000)
        }
    }

    @Test func `idle connections do not lock admins out for ever`() throws {
        let host = try host { $0.adminConfiguration.patienceNanoseconds = 500_000_000 }
        let idle = try (0..<60).map { _ in try host.client() }
        let answer = try host.v1("GET", "status")
        #expect(answer.status == 200)
        withExtendedLifetime(idle) {}
    }

    @Test func `strangers on TCP take no place from the socket`() throws {
        let host = try host { host in
            host.adminConfiguration.keyFile = try host.keyFile("0123456789abcdef\n")
            host.adminConfiguration.listen = [.ipv4(0x7f00_0001, port: 0)]
            host.adminConfiguration.metricsListen = [.ipv4(0x7f00_0001, port: 0)]
        }
        let idle = try (0..<60).flatMap { _ in
            [try Client(host.remote), try Client(host.metricsAddress)]
        }
        // Their patience is a minute, the client's is 20 seconds.
        let answer = try host.v1("GET", "status")
        #expect(answer.status == 200)
        withExtendedLifetime(idle) {}
    }

    @Test func `a host stops while admins wait`() throws {
        let host = try host()
        let idle = try (0..<5).map { _ in try host.client() }
        for client in idle { try client.request("POST", "/admin/v1/reload", body: "{") }
        let start = MonotonicClock.now()
        host.stop()
        #expect(MonotonicClock.now() - start < 10_000_000_000)
    }
}
