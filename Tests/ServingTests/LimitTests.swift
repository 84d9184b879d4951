import JSON
import Platform
import TestSupport
import Testing

@testable import Serving

/// Every limit of the table, set as `--limit` sets it, and what somebody gets who passes it.
struct LimitTests {
    private static let endpoint = "schemaVersion: 1\nbackends: {a: {value: 1}}\n"

    private func host(_ limits: String...) throws -> LiveHost {
        let host = try LiveHost(endpoints: ["e": Self.endpoint])
        for limit in limits { try NamedLimit.set(limit, in: &host.configuration.limits) }
        try host.start()
        return host
    }

    /// A path, further header fields and a body that keep the limit, and those that pass it.
    private static let requests: [(limit: String, fits: Request, passes: Request, Int, String)] = [
        (
            "request-line=64", Request(path: "/v1/e?" + String(repeating: "q", count: 44)),
            Request(path: "/v1/e?" + String(repeating: "q", count: 45)), 414, "too_large"
        ),
        (
            "header-block=200", Request(fields: ["X: " + String(repeating: "x", count: 100)]),
            Request(fields: ["X: " + String(repeating: "x", count: 200)]), 431, "too_large"
        ),
        (
            "header-count=3", Request(fields: ["A: 1"]), Request(fields: ["A: 1", "B: 2"]), 431,
            "too_large"
        ),
        (
            "body=20", Request(body: "{\"data\": \"12345\"}".padded(20)),
            Request(body: "{\"data\": 1}".padded(21)), 413, "too_large"
        ),
        (
            "json-depth=4", Request(body: "{\"data\": {\"a\": [[1]]}}"),
            Request(body: "{\"data\": {\"a\": [[[1]]]}}"), 400, "bad_json"
        ),
        (
            "batch-rows=2", Request(body: "{\"data\": [[1], [2]]}"),
            Request(body: "{\"data\": [[1], [2], [3]]}"), 400, "bad_input"
        ),
        (
            "arguments=2", Request(body: "{\"data\": [1, 2]}"),
            Request(body: "{\"data\": [1, 2, 3]}"), 400, "bad_input"
        ),
    ]

    struct Request: Sendable {
        var path = "/v1/e"
        var fields: [String] = []
        var body = "{\"data\": 1}"
    }

    @Test(arguments: 0..<7)
    func `what keeps a limit is answered and what passes it gets its status`(index: Int) throws {
        let (limit, fits, passes, status, code) = Self.requests[index]
        let host = try host(limit)
        let ask = { (request: Request) in
            try host.client().call(
                "POST",
                request.path,
                fields: request.fields,
                body: request.body
            )
        }
        #expect(try ask(fits).status == 200, "\(limit)")
        let answer = try ask(passes)
        #expect(answer.status == status && answer.json["code"]?.string == code, "\(answer.text)")
        let number = limit.split(separator: "=")[1]
        #expect(answer.json["error"]?.string?.contains(number) == true, "\(answer.text)")
    }

    @Test(arguments: ["inline", "pool"])
    func `a result may be as deep as the limit says wherever the model runs`(mode: String) throws {
        let host = try LiveHost()
        try NamedLimit.set("json-depth=100", in: &host.configuration.limits)
        try host.deploy("echo", "echo")
        try host.folder.write(
            "deployments/main/echo/deployment.yaml",
            "schemaVersion: 1\nexecution: {mode: \(mode)}\n"
        )
        try host.start()
        for (depth, status) in [(90, 200), (110, 400)] {
            let (open, close) = (
                String(repeating: "[", count: depth), String(repeating: "]", count: depth)
            )
            let answer = try host.client().call(
                "POST",
                "/v1/echo",
                body: "{\"data\": {\"x\": \(open)1\(close)}}"
            )
            #expect(answer.status == status, "\(answer.text)")
        }
    }

    @Test func `a connection ends after the requests that it may have`() throws {
        let host = try host("connection-requests=3")
        let client = try host.client()
        for number in 1...3 {
            let answer = try client.call("POST", "/v1/e", body: "{\"data\": 1}")
            #expect(answer.field("connection") == (number == 3 ? "close" : nil))
        }
        #expect(try client.isAtEnd())
        #expect(try host.client().call("POST", "/v1/e", body: "{\"data\": 1}").status == 200)
    }

    @Test func `an address has so many connections and gets further ones when they end`() throws {
        let host = try host("address-connections=2")
        let ask = { (client: Client) in
            try client.call("POST", "/v1/e", body: "{\"data\": 1}").status
        }
        do {
            let clients = try (0..<2).map { _ in try host.client() }
            for client in clients { #expect(try ask(client) == 200) }
            let third = try host.client()
            #expect(throws: ClientError.self) { try ask(third) }
            withExtendedLifetime(clients) {}
        }
        // Both are closed now, which the host finds out in a moment.
        let isBack = eventually { (try? ask(try host.client())) == 200 }
        #expect(isBack)
    }

    @Test func `a large request that finds no memory gets 503 and may be sent again`() throws {
        let host = try host("buffered=0")
        let body = "{\"data\": \"\(String(repeating: "x", count: 100_000))\"}"
        let client = try host.client()
        try client.request("POST", "/v1/e", body: body)
        let answer = try client.answer()
        #expect(answer.status == 503 && answer.json["code"]?.string == "not_ready")
        #expect(answer.field("retry-after") == "1")
        #expect(try host.client().call("POST", "/v1/e", body: "{\"data\": 1}").status == 200)
    }

    @Test func `a large request waits for the memory of another one`() throws {
        let host = try host("buffered=100KiB")
        let body = "{\"data\": \"\(String(repeating: "x", count: 200_000))\"}"
        let head = "POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        var first: Client? = try host.client()
        try first?.send(head + body.prefix(180_000))
        // The first one lies on the heap by now, and is larger than all may be together.
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        let second = try host.client()
        try second.send(head.replacing("200011", with: "60011") + "{\"data\": \"")
        try second.send(String(repeating: "x", count: 60_000))
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        first = nil
        try second.send("\"}")
        #expect(try second.answer().status != 503)
    }

    @Test(arguments: [true, false])
    func `a client that goes while it waits for memory gives back what it had`(
        isUnix: Bool
    ) throws {
        let host = try LiveHost(endpoints: ["e": Self.endpoint])
        try NamedLimit.set("buffered=64KiB", in: &host.configuration.limits)
        if isUnix { host.configuration.listen = [.unix("\(host.folder.path)/socket")] }
        try host.start()
        do {
            let client = try host.client()
            try client.send("GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n")
            try client.send("POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\n\r\n")
            // More than the host takes without waiting, and then gone with an answer unread.
            for _ in 0..<4 { try? client.send(String(repeating: "x", count: 100_000)) }
            MonotonicClock.sleep(nanoseconds: 200_000_000)
        }
        let body = "{\"data\": \"\(String(repeating: "x", count: 50_000))\"}"
        let isBack = eventually(seconds: 5) {
            (try? host.client().call("POST", "/v1/e", body: body).status) == 200
        }
        #expect(isBack)
        #expect(host.server?.state.memory.bytes == 0)
    }

    @Test func `answers that nobody reads are bounded too`() throws {
        let host = try LiveHost(
            endpoints: [
                "e":
                    "schemaVersion: 1\nbackends: {a: {value: \(String(repeating: "v", count: 200_000))}}\n"
            ]
        )
        try NamedLimit.set("buffered=80MiB", in: &host.configuration.limits)
        try host.start()
        let rows = (0..<100).map { "[\($0)]" }.joined(separator: ",")
        do {
            // Twenty megabytes each, which nobody reads.
            var waiting: [Client] = []
            for _ in 0..<4 {
                waiting.append(try host.client())
                try waiting.last?.request("POST", "/v1/e", body: "{\"data\": [\(rows)]}")
            }
            #expect(eventually { (host.server?.state.memory.bytes ?? 0) > 20 << 20 })
            let answer = try host.client().call("POST", "/v1/e", body: "{\"data\": 1}")
            #expect(answer.status == 503 && answer.json["code"]?.string == "not_ready")
            #expect(try host.client().call("GET", "/health/live").status == 200)
            #expect((host.server?.state.memory.bytes ?? 0) < 60 << 20)
        }
        let isBack = eventually {
            (try? host.client().call("POST", "/v1/e", body: "{\"data\": 1}").status) == 200
        }
        #expect(isBack)
    }

    @Test func `large bodies of others never keep a small request waiting`() throws {
        let host = try host("buffered=64MiB")
        let size = 3 << 20
        let head = "POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: \(size)\r\n\r\n"
        let part = String(repeating: "x", count: size / 2)
        // Half of each comes, and then nothing: thirty times what there is room for.
        let (holders, isOver) = (Guarded(0), Guarded(false))
        guard let address = host.server?.addresses.first else { return }
        for _ in 0..<30 {
            let text = head + "{\"data\": \"" + part
            _ = try Thread(name: "holder") {
                guard let client = try? Client(address) else { return }
                try? client.send(text)
                holders.withLock { $0 += 1 }
                _ = isOver.wait { $0 ? true : nil } as Bool
            }
        }
        defer {
            isOver.withLock { $0 = true }
            isOver.notify()
        }
        #expect(eventually { holders.withLock { $0 } >= 14 })
        for _ in 0..<20 {
            let begun = MonotonicClock.now()
            let answer = try host.client().call("POST", "/v1/e", body: "{\"data\": 1}")
            #expect(answer.status == 200)
            // It is not paused, which would take two seconds.
            #expect(MonotonicClock.now() - begun < 1_500_000_000)
        }
        #expect(host.server?.state.memory.bytes ?? .max <= 64 << 20)
    }

    @Test func `what an address holds leaves room for other addresses`() {
        let memory = LargeMemory(bytesMaximum: 1600)
        // Three quarters are for requests, and of those three quarters for one address.
        #expect(memory.admit(900, from: "a"))
        #expect(!memory.admit(1, from: "a"))
        #expect(memory.admit(300, from: "b"))
        #expect(!memory.admit(1, from: "c"))
        memory.leave(900, from: "a")
        #expect(memory.admit(100, from: "c"))
        memory.leave(300, from: "b")
        memory.leave(100, from: "c")
        // One that is alone has room, whatever its size.
        #expect(memory.admit(5000, from: "a"))
        #expect(!memory.admit(1, from: "b"))
    }

    @Test func `a body that comes byte by byte ends at its total time`() throws {
        let host = try host("body-total-time=400ms")
        let client = try host.client()
        try client.send("POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
        for _ in 0..<25 {
            try? client.send("x")
            MonotonicClock.sleep(nanoseconds: 20_000_000)
        }
        let answer = try client.answer()
        #expect(answer.status == 408 && answer.text.contains("the body came too slowly"))
    }

    @Test func `a host that idle connections fill still serves who comes`() throws {
        let host = try LiveHost(endpoints: ["e": Self.endpoint])
        host.configuration.limits.connections = 64
        try host.start()
        var idle: [Client] = []
        for _ in 0..<60 {
            let client = try host.client()
            #expect(try client.call("GET", "/health/live").status == 200)
            idle.append(client)
        }
        // The last four places are for one answer each, so they are always there again.
        for _ in 0..<40 {
            let answer = try host.client().call("POST", "/v1/e", body: "{\"data\": 1}")
            #expect(answer.status == 200 && answer.field("connection") == "close")
        }
        #expect(try idle[0].call("GET", "/health/live").field("connection") == nil)
    }

    @Test func `a refused request keeps its id`() throws {
        let host = try host()
        let answer = try {
            let client = try host.client()
            try client.send(
                "POST /v1/e HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\nContent-Length: 99999999\r\n\r\n"
            )
            return try client.answer()
        }()
        #expect(answer.status == 413)
        #expect(answer.field("x-request-id") == "mine")
        #expect(answer.json["requestId"]?.string == "mine")
    }

    @Test func `a batch that takes too long ends without its answer`() throws {
        let host = try LiveHost(endpoints: ["e": Self.endpoint])
        try host.deploy("area", "thirty_lines")
        try NamedLimit.set("deadline=1ms", in: &host.configuration.limits)
        try host.start()
        let rows = (0..<50_000).map { "[\($0),{\"width\":1,\"height\":1}]" }.joined(separator: ",")
        let client = try host.client()
        let answer = try client.call("POST", "/v1/area/latest", body: "{\"data\": [\(rows)]}")
        #expect(answer.status == 408 && answer.json["code"]?.string == "deadline_exceeded")
        #expect(answer.json["data"] == nil, "all or nothing")
    }

    @Test(arguments: [
        ("body=1GiB", "1GiB"), ("body=0", "0"), ("header-time=2min", "120s"),
        ("idle-time=250ms", "250ms"), ("buffered=none", "none"),
        ("connection-requests=none", "none"),
        ("batch-rows=5", "5"),
    ])
    func `a limit is read with its unit`(text: String, shown: String) throws {
        var limits = ServerLimits()
        try NamedLimit.set(text, in: &limits)
        let name = text.split(separator: "=")[0]
        #expect(NamedLimit.all.first { $0.name == name }?.text(limits) == shown)
    }

    @Test(arguments: [
        ("body", "wanted NAME=VALUE with a name of request-line, header-block"),
        ("bdy=1", "wanted NAME=VALUE"), ("body=", "wanted a number of bytes"),
        ("body=1MB", "wanted a number of bytes, or one with KiB"), ("body=-1", "from 0 to"),
        ("header-time=10", "wanted a time such as 500ms, 10s or 2min from 1 to 86400000 ms"),
        ("batch-rows=none", "wanted a number from 1 to 10000000"),
        ("arguments=0", "from 1 to 10000"),
        ("body=99999999999999999999GiB", "wanted a number of bytes"),
        ("buffered=9223372036854775807GiB", "from 0 on, or none"),
    ])
    func `a limit that is none says what one is`(text: String, sentence: String) throws {
        var limits = ServerLimits()
        let error = #expect(throws: LimitError.self) { try NamedLimit.set(text, in: &limits) }
        #expect(error?.description.contains(sentence) == true, "\(String(describing: error))")
    }
}

extension String {
    /// The JSON text with spaces at its end, to a length in bytes.
    fileprivate func padded(_ count: Int) -> String {
        self + String(repeating: " ", count: max(0, count - utf8.count))
    }
}
