import JSON
import Platform
import TestSupport
import Testing

/// Clients that want too much at once: the host goes on, and the others are served.
struct SiegeTests {
    private let host: HostProcess

    init() throws {
        host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
    }

    private func ask(_ client: Client) throws -> Int {
        try client.call("POST", "/v1/e", body: "{\"data\": 1}").status
    }

    @Test func `a host that has no descriptor left goes on when one is free`() throws {
        try host.start(["--loops", "1"])
        let number = try #require(host.child?.id)
        // Fewer than it has promised itself: every further accept fails with EMFILE. What it has
        // open already includes what those who started the test have left open.
        let used = try Directory.names(in: "/proc/\(number)/fd").count
        let prlimit = try ChildProcess(
            executable: "/usr/bin/prlimit",
            arguments: ["--pid", "\(number)", "--nofile=\(used + 6):4096"],
            environment: []
        )
        #expect(prlimit.wait(seconds: 10) == .exited(0), "\(prlimit.standardError)")
        var clients = try (0..<60).map { _ in try Client(host.address) }
        for client in clients { try client.request("POST", "/v1/e", body: "{\"data\": 1}") }
        var answered = 0
        // Each one that is let go makes room for one that waits.
        while !clients.isEmpty {
            let client = clients.removeFirst()
            #expect(try client.answer().status == 200)
            answered += 1
        }
        #expect(answered == 60)
        #expect(try ask(Client(host.address)) == 200)
        #expect(host.stop() == .exited(0))
    }

    @Test func `a storm of resets costs what was asked for and no more`() throws {
        try host.start()
        let failures = Guarded<Int>(0)
        let left = Guarded<Int>(4)
        let address = host.address
        for _ in 0..<4 {
            _ = try Thread(name: "reset") {
                for number in 0..<Storm.count(20_000) {
                    // Closed with an answer unread, or before there is one: both are resets.
                    let client = try? Client(address)
                    try? client?.request("POST", "/v1/e", body: "{\"data\": 1}")
                    if number % 2 == 0 { try? client?.request("POST", "/v1/e", body: "{") }
                    if client == nil { failures.withLock { $0 += 1 } }
                }
                left.withLock { $0 -= 1 }
            }
        }
        while left.withLock({ $0 }) > 0 { #expect(try ask(Client(address)) == 200) }
        #expect(failures.withLock { $0 } == 0)
        #expect(host.stop() == .exited(0))
    }

    @Test func `slow clients are let go, and others are served meanwhile`() throws {
        try host.start([
            "--limit", "header-time=1s", "--limit", "body-time=1s", "--limit", "write-time=1s",
        ])
        let heads = try (0..<100).map { _ in try Client(host.address) }
        let bodies = try (0..<100).map { _ in try Client(host.address) }
        for client in bodies {
            try client.send("POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        }
        let end = MonotonicClock.now() + 2_500_000_000
        var served = 0
        while MonotonicClock.now() < end {
            // A byte now and then does not make a head complete.
            for client in heads { try? client.send("G") }
            #expect(try ask(Client(host.address)) == 200)
            served += 1
            MonotonicClock.sleep(nanoseconds: 50_000_000)
        }
        #expect(served > 10)
        for client in bodies { #expect(try client.answer().status == 408) }
        // Heads that never end are answered too, unless a byte came behind the end and reset it.
        let told = heads.reduce(0) { $0 + ((try? $1.answer().status) == 408 ? 1 : 0) }
        #expect(told > 0)
        #expect(host.stop() == .exited(0))
    }

    @Test func `bytes marked urgent are bytes like all others`() throws {
        try host.start()
        let client = try Client(host.address)
        let body = "{\"data\": 1}"
        let text =
            "POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        for byte in text.utf8.prefix(20) { try client.sendUrgent(byte) }
        try client.send(Array(text.utf8.dropFirst(20)))
        #expect(try client.answer().status == 200)
        #expect(host.stop() == .exited(0))
    }
}
