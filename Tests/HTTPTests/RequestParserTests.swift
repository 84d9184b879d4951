import HTTP
import Testing

struct RequestParserTests {
    private func parse(
        _ text: String,
        limits: HTTPLimits = HTTPLimits()
    ) throws(HTTPFault) -> RequestParser.Outcome {
        var parser = RequestParser()
        return try parser.parse(Array(text.utf8).span, limits: limits)
    }

    private func head(_ text: String) throws -> RequestHead {
        guard case .head(let head) = try parse(text) else {
            throw HTTPFault(.badRequest, "incomplete")
        }
        return head
    }

    private let post = "POST /v1/x?y=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"

    @Test func `a request's head is read`() throws {
        let head = try head(post)
        #expect(head.method == .post)
        #expect(head.path == 5..<10)
        #expect(head.framing == .length(5))
        #expect(head.keepsAlive)
        #expect(head.length == post.utf8.count - 5)
    }

    @Test func `every prefix is incomplete and every way of cutting gives the same head`() throws {
        let bytes = Array(post.utf8)
        let whole = try head(post)
        for cut in 0..<whole.length {
            var parser = RequestParser()
            let first = try parser.parse(Array(bytes[..<cut]).span, limits: HTTPLimits())
            #expect(first == .incomplete, "prefix of \(cut)")
            let second = try parser.parse(bytes.span, limits: HTTPLimits())
            #expect(second == .head(whole), "cut at \(cut)")
        }
    }

    @Test func `a request that comes byte by byte is read like one that comes at once`() throws {
        let bytes = Array(post.utf8)
        var parser = RequestParser()
        for end in 0..<bytes.count {
            let outcome = try parser.parse(Array(bytes[...end]).span, limits: HTTPLimits())
            if case .head(let head) = outcome {
                #expect(head.length == end + 1)
                return
            }
        }
        Issue.record("the head was never complete")
    }

    @Test(arguments: [
        "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "GET /\r\nHost: a\r\n\r\n",
        "GET / HTTP/1\r\nHost: a\r\n\r\n",
        "G{T / HTTP/1.1\r\nHost: a\r\n\r\n", " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{0}b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\rX\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\rX\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ])
    func `ambiguous framing is refused with 400`(text: String) {
        let fault = #expect(throws: HTTPFault.self) { try parse(text) }
        #expect(fault?.status == .badRequest, "\(String(describing: fault))")
    }

    // RFC 3986 3.2: a host, and digits behind a colon; RFC 9112 3.2: an empty value where there is
    // none.
    @Test(arguments: [
        ("a", true), ("a:80", true), ("a:", true), ("", true), ("127.0.0.1:8080", true),
        ("[::1]", true), ("[::1]:8080", true), ("[1:2:3:4:5:6:7:8]", true), ("[::]", true),
        ("[::ffff:127.0.0.1]", true), ("[1::]", true), ("[v1.fe80:a]", true), ("a%41b", true),
        ("x_y.example", true), ("a:65535", true), ("*", true),
        ("a:b", false), ("a:65536", false), ("::1", false), ("[::1", false), ("::1]", false),
        ("[]", false), ("[1:2:3:4:5:6:7]", false), ("[1:2:3:4:5:6:7:8:9]", false),
        ("[1::2::3]", false), ("[::12345]", false), ("[::g]", false), ("[::1]x", false),
        ("[::1]:b", false), ("[127.0.0.1]", false), ("[v.a]", false), ("[:1]", false),
        ("a%zz", false), ("a%4", false), ("a%", false), ("user@a", false), ("user:pw@a", false),
        ("a/b", false), ("a?b", false), ("a#b", false), ("a b", false), (":80", false),
        ("a:80:80", false), ("[::1.2.3]", false), ("[::1.2.3.256]", false),
    ])
    func `a Host is what RFC 3986 calls a host with a port`(host: String, isFine: Bool) throws {
        let text = "GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"
        if isFine {
            #expect(throws: Never.self) { try parse(text) }
        } else {
            let fault = #expect(throws: HTTPFault.self) { try parse(text) }
            #expect(fault?.status == .badRequest)
        }
        // In a target the same counts, but for the empty one.
        let target = "GET http://\(host)/ HTTP/1.1\r\nHost: a\r\n\r\n"
        if isFine, !host.isEmpty {
            #expect(throws: Never.self) { try parse(target) }
        } else if !["a/b", "a?b"].contains(host) {
            let fault = #expect(throws: HTTPFault.self) { try parse(target) }
            #expect(fault?.status == .badRequest)
        }
    }

    @Test(arguments: ["/x#y", "/#", "/x?a#b", "http://a/x#y", "http://a#y", "http://a?x#y"])
    func `a target has no fragment`(target: String) {
        let fault = #expect(throws: HTTPFault.self) {
            try parse("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
        }
        #expect(fault?.status == .badRequest)
    }

    @Test(arguments: [
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}", ForeignProtocol.tls, Status.badRequest),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .http2, .versionNotSupported),
        (
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .proxy,
            .badRequest
        ),
        ("PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .proxy, .badRequest),
        ("\r\n\r\n\u{0}\r\nQUIT\n!\u{11}", .proxy, .badRequest),
    ])
    func `another protocol is recognised, in one piece and byte by byte`(
        text: String,
        name: ForeignProtocol,
        status: Status
    ) throws {
        let fault = #expect(throws: HTTPFault.self) { try parse(text) }
        #expect(fault?.foreign == name && fault?.status == status)
        let bytes = Array(text.utf8)
        var parser = RequestParser()
        var found: HTTPFault?
        for count in 1...bytes.count where found == nil {
            let part = Array(bytes[..<count])
            do throws(HTTPFault) {
                _ = try parser.parse(part.span, limits: HTTPLimits())
            } catch {
                found = error
            }
        }
        #expect(found == fault)
    }

    @Test(arguments: [
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", Status.notImplemented),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .notImplemented),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", .expectationFailed),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            .contentTooLarge
        ),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .versionNotSupported),
    ])
    func `what this server does not speak has its own status`(text: String, status: Status) {
        let fault = #expect(throws: HTTPFault.self) { try parse(text) }
        #expect(fault?.status == status)
    }

    @Test func `lines, header block and header count are bounded on both sides`() throws {
        var limits = HTTPLimits()
        limits.requestLineBytes = 100
        limits.headerBytes = 200
        limits.headerCount = 3
        // "GET /…␠HTTP/1.1" has 14 bytes beside the path's letters.
        let line = { (n: Int) in
            "GET /\(String(repeating: "a", count: n)) HTTP/1.1\r\nHost: a\r\n\r\n"
        }
        #expect(throws: Never.self) { try parse(line(86), limits: limits) }
        #expect(throws: HTTPFault.self) { try parse(line(87), limits: limits) }
        let block = { (n: Int) in
            "GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: n))\r\n\r\n"
        }
        #expect(throws: Never.self) { try parse(block(180), limits: limits) }
        #expect(throws: HTTPFault.self) { try parse(block(200), limits: limits) }
        let three = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n"
        #expect(throws: Never.self) { try parse(three + "\r\n", limits: limits) }
        let fault = #expect(throws: HTTPFault.self) {
            try parse(three + "C: 3\r\n\r\n", limits: limits)
        }
        #expect(fault?.status == .headerFieldsTooLarge)
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close \r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
    ])
    func `persistence follows version and Connection`(text: String, keepsAlive: Bool) throws {
        #expect(try head(text).keepsAlive == keepsAlive)
    }

    @Test func `the absolute form counts by its path`() throws {
        let text = "GET http://example.test:80/v1/x HTTP/1.1\r\nHost: a\r\n\r\n"
        let head = try head(text)
        #expect(Array(text.utf8)[head.path] == Array("/v1/x".utf8)[...])
    }

    @Test func `an empty line before the request is passed over`() throws {
        #expect(try head("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").method == .get)
    }

    @Test func `fields that this server reads are found whatever their case`() throws {
        let text =
            "POST / HTTP/1.1\r\nHOST: a\r\nx-Request-ID: abc\r\nexpect: 100-Continue\r\n"
            + "X-SWITCHYARD-FORCE-BACKEND:  control \r\n\r\n"
        let head = try head(text)
        let bytes = Array(text.utf8)
        #expect(head.requestID.map { Array(bytes[$0]) } == Array("abc".utf8))
        #expect(head.forcedBackend.map { Array(bytes[$0]) } == Array("control".utf8))
        #expect(head.expectsContinue)
    }

    @Test func `ten thousand mutations neither trap nor read past the end`() {
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: .min ... .max, using: &random)
        var state = seed
        func next() -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33)
        }
        for round in 0..<10_000 {
            var bytes = Array(post.utf8)
            for _ in 0..<1 + next() % 4 { bytes[next() % bytes.count] = UInt8(next() % 256) }
            var parser = RequestParser()
            if case .head(let head) = try? parser.parse(bytes.span, limits: HTTPLimits()) {
                #expect(head.length <= bytes.count, "seed \(seed), round \(round)")
            }
        }
    }
}

struct ChunkedBodyTests {
    private func read(_ text: String, limit: Int = 1000) throws(HTTPFault) -> (Int, String)? {
        var body = ChunkedBody(from: 0)
        guard let end = try body.read(Array(text.utf8).span, limit: limit) else { return nil }
        return (end, String(decoding: body.contents, as: UTF8.self))
    }

    private let text = "5\r\nhello\r\nA;x=y\r\n, chunks!!\r\n0\r\nTrailer: 1\r\n\r\nGET"

    @Test func `chunks are put together and the end is found`() throws {
        let result = try #require(try read(text))
        #expect(result.0 == text.utf8.count - 3)
        #expect(result.1 == "hello, chunks!!")
    }

    @Test func `every cut gives the same body`() throws {
        let bytes = Array(text.utf8)
        for cut in 0..<bytes.count - 3 {
            var body = ChunkedBody(from: 0)
            let early = try body.read(Array(bytes[..<cut]).span, limit: 1000)
            let end = try body.read(bytes.span, limit: 1000)
            #expect(early == nil, "cut at \(cut)")
            #expect(end == bytes.count - 3)
            #expect(body.contents == Array("hello, chunks!!".utf8))
        }
    }

    @Test(arguments: [
        "x\r\n", "5\nhello\r\n", "5\r\nhelloX\r\n", "5 \r\nhello\r\n", "-1\r\n", ";a\r\n", "5\rX",
        "1\r\na\r\n0\r\nA: b\n\r\n", "00000000000000001\r\na\r\n", "5;\u{1}\r\nhello\r\n",
        "0\r\nno colon\r\n\r\n", "0\r\n: x\r\n\r\n", "0\r\n folded: x\r\n\r\n",
        "0\r\nA : b\r\n\r\n",
        "0\r\nA: \u{0}\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n", "5;;\r\nhello\r\n0\r\n\r\n", "5;=a\r\nhello\r\n0\r\n\r\n",
        "5;a=\r\nhello\r\n0\r\n\r\n", "5;a=\"b\r\nhello\r\n0\r\n\r\n",
        "5;a b\r\nhello\r\n0\r\n\r\n",
    ])
    func `bad framing is refused`(text: String) {
        let fault = #expect(throws: HTTPFault.self) { try read(text) }
        #expect(fault?.status == .badRequest)
    }

    @Test(arguments: [
        "5;a\r\n", "5;a=b\r\n", "5 ; a = b\r\n", "5;a=\"b c;\"\r\n", "5;a=\"\\\"\";d\r\n",
        "5;a;b=c\r\n",
    ])
    func `an extension with a name is passed over`(line: String) throws {
        let result = try #require(try read("\(line)hello\r\n0\r\n\r\n"))
        #expect(result.1 == "hello")
    }

    @Test func `trailer fields are bounded as header fields are`() throws {
        let trailers = { (n: Int) in String(repeating: "A: b\r\n", count: n) }
        #expect(try read("0\r\n\(trailers(100))\r\n") != nil)
        let fault = #expect(throws: HTTPFault.self) { try read("0\r\n\(trailers(101))\r\n") }
        #expect(fault?.status == .headerFieldsTooLarge)
    }

    @Test func `the bound is of the bytes on the wire, however they are cut`() {
        let text = String(repeating: "1;\(String(repeating: "x", count: 200))\r\na\r\n", count: 10)
        #expect(throws: HTTPFault.self) { try read(text + "0\r\n\r\n", limit: 100) }
        #expect(throws: Never.self) { try read(text + "0\r\n\r\n", limit: 3000) }
    }

    @Test func `sizes are bounded, also those that overflow`() {
        for size in ["3e4", "ffffffffffffffffff", "7fffffffffffffff"] {
            let fault = #expect(throws: HTTPFault.self) { try read("\(size)\r\n") }
            #expect(fault?.status == .contentTooLarge)
        }
        #expect(throws: Never.self) { try read("3e3\r\n") }
        let many = String(repeating: "1\r\na\r\n", count: 1001)
        #expect(throws: HTTPFault.self) { try read(many) }
    }
}
