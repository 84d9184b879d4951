import JSON
import Platform
import Serving
import TestSupport
import Testing

/// HTTP/1.1 as clients really speak it.
struct ProtocolTests {
    private static let text = """
        schemaVersion: 1
        backends:
          a: {value: 1, weight: 1}
          b: {value: 2, weight: 1}
        experimentConfig: {subjectKey: u}
        """

    private func host(_ change: (inout ServerConfiguration) -> Void = { _ in }) throws -> LiveHost {
        let host = try LiveHost(endpoints: ["e": Self.text])
        change(&host.configuration)
        try host.start()
        return host
    }

    private func request(_ id: Int, _ more: String = "") -> String {
        let body = "{\"data\":{\"u\":\(id)}}"
        return "POST /v1/e HTTP/1.1\r\nHost: h\r\nX-Request-Id: r\(id)\r\n\(more)"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `pipelined requests are answered in order, however many there are`() throws {
        let host = try host()
        let client = try host.client()
        // Far more than a slot holds, in and out.
        try client.send((0..<2000).map { request($0) }.joined())
        for id in 0..<2000 {
            #expect(try client.answer().json["requestId"]?.string == "r\(id)")
        }
    }

    @Test func `a request that comes byte by byte is answered`() throws {
        let host = try host()
        let client = try host.client()
        for byte in request(1).utf8 { try client.send([byte]) }
        #expect(try client.answer().status == 200)
    }

    @Test func `a client that has finished sending gets its answers`() throws {
        let host = try host()
        let client = try host.client()
        try client.send(request(1) + request(2))
        client.finishSending()
        #expect(try client.answer().json["requestId"]?.string == "r1")
        #expect(try client.answer().json["requestId"]?.string == "r2")
        #expect(try client.isAtEnd())
    }

    @Test(arguments: [
        "POST /v1/e HT", "POST /v1/e HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{",
        "POST /v1/e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ])
    func `a client that stops inside a request is told so`(text: String) throws {
        let host = try host()
        let client = try host.client()
        try client.send(text)
        client.finishSending()
        let answer = try client.answer()
        #expect(answer.status == 400)
        #expect(answer.json["error"]?.string == "the connection ended inside a request")
        #expect(try client.isAtEnd())
    }

    @Test func `bodies in chunks and bodies after 100 Continue are taken`() throws {
        let host = try host()
        let client = try host.client()
        try client.send(
            "POST /v1/e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "8\r\n{\"data\":\r\n9;x=y\r\n{\"u\":\"1\"}\r\n1\r\n}\r\n0\r\nT: 1\r\n\r\n"
        )
        #expect(try client.answer().json["split"]?["subjectId"]?.string == "1")
        let body = "{\"data\":{\"u\":2}}"
        try client.send(
            "POST /v1/e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                + "Content-Length: \(body.utf8.count)\r\n\r\n"
        )
        #expect(try client.answer().status == 100)
        try client.send(body)
        #expect(try client.answer().json["split"]?["subjectId"]?.string == "2")
    }

    @Test(arguments: [false, true])
    func `a body of a mebibyte is taken and the connection goes on`(isChunked: Bool) throws {
        let host = try host()
        let client = try host.client()
        let body = "{\"data\":{\"u\":7,\"x\":\"\(String(repeating: "x", count: 1 << 20))\"}}"
        let head = "POST /v1/e HTTP/1.1\r\nHost: h\r\n"
        for _ in 0..<3 {
            if isChunked {
                var text = "\(head)Transfer-Encoding: chunked\r\n\r\n"
                var rest = Substring(body)
                while !rest.isEmpty {
                    let part = rest.prefix(50_000)
                    rest = rest.dropFirst(50_000)
                    text += "\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n"
                }
                try client.send(text + "0\r\n\r\n" + request(8))
            } else {
                try client.send(
                    "\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)" + request(8)
                )
            }
            #expect(try client.answer().json["split"]?["subjectId"]?.string == "7")
            #expect(try client.answer().json["split"]?["subjectId"]?.string == "8")
        }
    }

    @Test func `requests behind an answer larger than a slot are answered at once`() throws {
        let large =
            "schemaVersion: 1\nbackends: {a: {value: \(String(repeating: "x", count: 100_000))}}"
        let host = try LiveHost(endpoints: ["e": Self.text, "large": large])
        try host.start()
        let client = try host.client()
        let big = request(1).replacing("/v1/e", with: "/v1/large")
        for _ in 0..<5 {
            try client.send(big + request(2) + big + big + request(3))
            #expect(try client.answer().body.count > 100_000)
            #expect(try client.answer().json["requestId"]?.string == "r2")
            #expect(try client.answer().body.count > 100_000)
            #expect(try client.answer().body.count > 100_000)
            #expect(try client.answer().json["requestId"]?.string == "r3")
        }
    }

    @Test func `clients that vanish inside a pipeline cost what they asked for and no more`() throws
    {
        let host = try host { $0.loops = 1 }
        let burst = (0..<300).map { request($0) }.joined()
        for _ in 0..<20 {
            // The connection is closed with answers unread, which resets it.
            let client = try host.client()
            try client.send(burst)
            _ = try client.answer()
        }
        #expect(try host.client().call("GET", "/health/live").status == 200)
        #expect(host.stop())
        #expect(try host.logLines().count <= 6000)
    }

    @Test func `an empty line behind a request is no request`() throws {
        let host = try host { $0.limits.headNanoseconds = 100_000_000 }
        let client = try host.client()
        try client.send(request(1) + "\r\n")
        #expect(try client.answer().status == 200)
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        #expect(try client.call("GET", "/health/live").status == 200)
        client.finishSending()
        #expect(try client.isAtEnd())
    }

    @Test func `two empty lines before a request are refused, whole and split`() throws {
        let host = try host()
        for parts in [
            ["\r\n\r\n", request(1)], ["\r\n", "\r\n" + request(1)], ["\r\n\r\n" + request(1)],
        ] {
            let client = try host.client()
            for part in parts {
                try client.send(part)
                MonotonicClock.sleep(nanoseconds: 20_000_000)
            }
            let answer = try client.answer()
            #expect(
                answer.status == 400 && answer.text.contains("more than one empty line"),
                "\(parts)"
            )
        }
        for parts in [["\r\n", request(1)], ["\r\n" + request(1)], ["\r", "\n", request(1)]] {
            let client = try host.client()
            for part in parts {
                try client.send(part)
                MonotonicClock.sleep(nanoseconds: 20_000_000)
            }
            #expect(try client.answer().status == 200, "\(parts)")
        }
    }

    @Test(arguments: [
        ("HEAD /v1/e HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        ("HEAD /nowhere HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("HEAD /v1/e HTTP/1.1\r\n\r\n", 400), ("HEAD /v1/e#x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("HEAD /health/ready/none HTTP/1.1\r\nHost: h\r\n\r\n", 404),
        ("HEAD /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("HEAD /v2/models/none HTTP/1.1\r\nHost: h\r\n\r\n", 404),
    ])
    func `a refusal of HEAD has no content`(text: String, status: Int) throws {
        let host = try host()
        let client = try host.client()
        try client.send(text)
        client.finishSending()
        let received = String(decoding: try client.rest(), as: UTF8.self)
        #expect(received.hasPrefix("HTTP/1.1 \(status) "), "\(received)")
        #expect(received.hasSuffix("\r\n\r\n"), "\(received)")
    }

    @Test func `another protocol is answered, and one event a minute names it`() throws {
        let host = try host()
        for text in [
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n\(request(1))",
        ] {
            for _ in 0..<20 {
                let client = try host.client()
                try client.send(text)
                let answer = try client.answer()
                #expect(answer.status == (text.hasPrefix("PRI") ? 505 : 400))
            }
        }
        let events = host.eventLines("connection.foreign")
        #expect(events.count == 3, "\(events)")
        #expect(events.first?["message"]?.string?.hasPrefix("127.0.0.1 speaks TLS") == true)
    }

    @Test func `an HTTP/1.0 client that wants to go on is told so`() throws {
        let host = try host()
        let client = try host.client()
        for _ in 0..<2 {
            try client.send("GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(try client.answer().field("connection") == "keep-alive")
        }
    }

    @Test func `a file that is no socket is not replaced by one`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("precious", "data")
        #expect(throws: StartFailure.self) { try host { $0.listen = [.unix(path)] } }
        #expect(try File.read(path, limit: 10) == Array("data".utf8))
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\n\n", 400, "LF without CR"),
        ("GET / HTTP/1.1\r\n\r\n", 400, "no Host"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "two Host"),
        ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, "folded"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400, "before its colon"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n", 400, "control character"),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "Host field is no host"),
        ("GET /é HTTP/1.1\r\nHost: a\r\n\r\n", 400, "must be encoded"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400, "both Content-Length and"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400,
            "its size in hexadecimal"
        ),
        (
            "POST /v1/e HTTP/1.1\r\nHost: a\r\nX-Switchyard-Force-Backend: a\r\n"
                + "X-Switchyard-Force-Backend: b\r\n\r\n",
            400, "stands twice"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
            "two Content"
        ),
        ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\n", 414, "request line"),
        ("GET / HTTP/1.1\r\nA: \(String(repeating: "a", count: 17000))\r\n", 431, "header fields"),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "HTTP/1.0 and HTTP/1.1"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: br\r\n\r\n", 501, "chunked"),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417, "100-continue"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554433\r\n\r\n", 413, "at most 33554432"),
    ])
    func `a framing fault is answered, and then the connection ends`(
        text: String,
        status: Int,
        sentence: String
    ) throws {
        let host = try host()
        let client = try host.client()
        try client.send(text + String(repeating: "more ", count: 2000))
        let answer = try client.answer()
        #expect(answer.status == status)
        #expect(answer.field("connection") == "close")
        #expect(answer.json["error"]?.string?.contains(sentence) == true, "\(answer.text)")
        client.finishSending()
        #expect(try client.isAtEnd())
    }

    @Test func `HTTP/1.0 and Connection close end the connection after the answer`() throws {
        let host = try host()
        for head in ["HTTP/1.0\r\n", "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"] {
            let client = try host.client()
            try client.send("GET /health/live \(head)\r\n")
            let answer = try client.answer()
            #expect(answer.status == 200 && answer.field("connection") == "close")
            #expect(try client.isAtEnd())
        }
    }

    @Test func `slow heads and bodies get 408, idle connections end in silence`() throws {
        let host = try host { configuration in
            configuration.limits.headNanoseconds = 50_000_000
            configuration.limits.bodyNanoseconds = 50_000_000
            configuration.limits.idleNanoseconds = 50_000_000
        }
        let head = try host.client()
        try head.send("POST /v1/e HT")
        let body = try host.client()
        try body.send("POST /v1/e HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
        let idle = try host.client()
        for client in [head, body] {
            let answer = try client.answer()
            #expect(answer.status == 408 && answer.json["code"]?.string == "deadline_exceeded")
        }
        #expect(try idle.isAtEnd())
    }

    @Test func `a client that does not read is let go, and others are served`() throws {
        let host = try host { $0.limits.writeNanoseconds = 200_000_000 }
        let slow = try host.client()
        // Answers pile up until the kernel takes no more of them.
        let burst = (0..<100).map { request($0) }.joined()
        var isLetGo = false
        for _ in 0..<2000 {
            do { try slow.send(burst) } catch {
                isLetGo = true
                break
            }
            if (try? host.client().call("GET", "/health/live"))?.status != 200 {
                Issue.record("another client is not served")
            }
        }
        #expect(isLetGo)
    }

    @Test func `IPv6 and Unix sockets are served`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/socket"
        let host = try host { configuration in
            configuration.listen = [.unix(path)]
            if let address = SocketAddress("[::1]:0") { configuration.listen.append(address) }
        }
        for address in host.server?.addresses ?? [] {
            #expect(try Client(address).call("GET", "/health/live").status == 200)
        }
        #expect(host.server?.addresses.count == 2)
    }

    @Test func `more connections than slots wait until one is free`() throws {
        let host = try host { $0.limits.connections = 4 }
        var clients = try (0..<4).map { _ in try host.client() }
        for client in clients { #expect(try client.call("GET", "/health/live").status == 200) }
        let waiting = try host.client()
        try waiting.request("GET", "/health/live")
        clients.removeLast()
        #expect(try waiting.answer().status == 200)
    }
}
