import HTTP
import JSON
import Platform
import Serving
import TestSupport
import Testing

@testable import Admin

/// Who may administer, and who may not.
struct AccessTests {
    private static let key = "a-key-of-an-admin-7f3a"
    private static let other = "another-admins-key-21c9"

    /// A host that also listens over TCP, with two keys.
    private func host() throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
        host.adminConfiguration.keyFile = try host.keyFile(
            "# admins\n\(Self.key)\n\n\(Self.other)\n"
        )
        host.adminConfiguration.listen = [.ipv4(0x7f00_0001, port: 0)]
        try host.start()
        return host
    }

    /// Sends a request over TCP with exactly these fields.
    private func ask(
        _ host: LiveAdmin,
        _ fields: [String],
        _ path: String = "/admin/v1/status"
    )
        throws -> Answer
    {
        let client = try Client(host.remote)
        try client.send("GET \(path) HTTP/1.1\r\n\(fields.map { "\($0)\r\n" }.joined())\r\n")
        return try client.answer()
    }

    // MARK: The Unix socket

    @Test func `the socket is its user's alone, and goes with the host`() throws {
        let host = try host()
        let path = host.adminConfiguration.socket
        let facts = try File.facts(path)
        #expect(facts.kind == .socket && facts.mode == 0o600 && facts.owner == CurrentProcess.user)
        host.stop()
        #expect(!File.exists(path))
    }

    @Test func `the socket that a killed host has left is replaced, one that is served is not`()
        throws
    {
        let host = try host()
        let second = try LiveAdmin(endpoints: ["coin": Sample.coin])
        second.adminConfiguration.socket = host.adminConfiguration.socket
        #expect(throws: StartFailure.self) { try second.start() }
        let answer = try host.v1("GET", "status")
        #expect(answer.status == 200)
    }

    @Test func `only the host's user and root are let in`() throws {
        let access = AdminAccess(keyFile: nil)
        let head = RequestHead()
        let nothing: [UInt8] = []
        for user in [CurrentProcess.user, 0] {
            let author = try access.author(.local(user: user), head, in: nothing.span)
            #expect(author == "user \(user)")
        }
        for user in [12345, nil] as [UInt32?] {
            let refusal = #expect(throws: AccessRefusal.self) {
                _ = try access.author(.local(user: user), head, in: nothing.span)
            }
            #expect(refusal?.status == .forbidden)
            let name = user.map { "\($0)" } ?? "unknown"
            #expect(
                refusal?.sentence.contains("found user \(name); wanted the host's user") == true
            )
        }
    }

    /// Needs root, who alone can become somebody else.
    @Test(.enabled(if: CurrentProcess.user == 0))
    func `another user is refused even where the file's mode lets them in`() throws {
        let host = try host()
        let program = "\(host.folder.path)/switchyard"
        try File.writeNew(program, try File.read(Built.program, limit: 1 << 30))
        try File.setMode(program, 0o755)
        try File.setMode(host.folder.path, 0o755)
        try File.setMode(host.configuration.state, 0o755)
        let socket = host.adminConfiguration.socket
        func status() throws -> (end: ProcessEnd?, errors: String) {
            let child = try ChildProcess(
                executable: "/usr/bin/setpriv",
                arguments: [
                    "--reuid", "12345", "--regid", "12345", "--clear-groups", program, "status",
                    "--admin", "unix:\(socket)",
                ],
                environment: ["PATH=/usr/bin:/bin"]
            )
            let end = child.wait(seconds: 60)
            return (end, child.standardError)
        }
        let closed = try status()
        #expect(closed.end == .exited(1) && closed.errors.contains("Permission denied"))
        try File.setMode(socket, 0o666)
        let open = try status()
        #expect(open.end == .exited(1), "\(open.errors)")
        #expect(
            open.errors.contains("found user 12345; wanted the host's user 0"),
            "\(open.errors)"
        )
        let line = try host.refused().last
        #expect(line?["lastPlace"]?.string == "user 12345" && line?["kind"]?.string == "user")
        #expect(line?["lastRequest"]?.string == "GET /admin/v1/status")
    }

    @Test func `a socket whose path is too long is refused with a sentence`() throws {
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
        host.adminConfiguration.socket = "\(host.folder.path)/\(String(repeating: "s", count: 100))"
        let failure = #expect(throws: StartFailure.self) { try host.start() }
        #expect(failure?.description.contains("wanted at most 107; name a shorter --state") == true)
    }

    @Test func `when one address cannot be had, nothing is left listening`() throws {
        let host = try host()
        let second = try LiveAdmin(endpoints: ["coin": Sample.coin])
        second.adminConfiguration.metricsListen = [try host.remote]
        let failure = #expect(throws: StartFailure.self) { try second.start() }
        #expect(failure?.description.contains("Address already in use") == true)
        #expect(!File.exists(second.adminConfiguration.socket))
    }

    // MARK: Files of keys

    @Test func `nobody listens over TCP without a good file of keys`() throws {
        let cases: [(text: String?, mode: UInt32, sentence: String)] = [
            (nil, 0, "found no --admin-key-file; wanted a file with a key on each line"),
            ("\(Self.key)\n", 0o644, "with mode 644; wanted a file of this user or root"),
            ("\(Self.key)\n", 0o444, "with mode 444; wanted a file of this user or root"),
            ("\(Self.key)\n", 0o610, "with mode 610; wanted a file of this user or root"),
            ("short\n", 0o600, "found as key 1 one of 5 bytes; wanted at least 16"),
            ("\(Self.key)\nwith a blank in it\n", 0o600, "found as key 2 one of 18 bytes"),
            ("with:colon:in:the:key\n", 0o600, "no blanks or colons"),
            ("# nothing\n\n", 0o600, "found no key; wanted one on each line"),
            ("", 0o600, "found no key; wanted one on each line"),
        ]
        for (text, mode, sentence) in cases {
            let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
            host.adminConfiguration.listen = [.ipv4(0x7f00_0001, port: 0)]
            host.adminConfiguration.keyFile = try text.map { try host.keyFile($0, mode: mode) }
            let failure = #expect(throws: StartFailure.self) { try host.start() }
            guard case .configuration(let found) = failure else {
                Issue.record("\(sentence): another failure")
                continue
            }
            #expect(found.contains(sentence), "\(found)")
        }
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
        host.adminConfiguration.listen = [.ipv4(0x7f00_0001, port: 0)]
        host.adminConfiguration.keyFile = "\(host.folder.path)/missing"
        let failure = #expect(throws: StartFailure.self) { try host.start() }
        #expect(failure?.description.contains("No such file") == true)
    }

    // MARK: Keys

    @Test func `a key is taken as bearer, alone, and as a user name`() throws {
        let host = try host()
        // Made with: printf 'KEY:' | base64, and with a password behind the colon.
        let basic = "YS1rZXktb2YtYW4tYWRtaW4tN2YzYTo="
        let password = "YS1rZXktb2YtYW4tYWRtaW4tN2YzYTpzZWNyZXQ="
        for field in [
            "Bearer \(Self.key)", "bearer \(Self.key)", "Bearer  \(Self.key)", Self.key,
            "Basic \(basic)", "basic \(password)", "Bearer \(Self.other)", "  \(Self.other)  ",
        ] {
            let answer = try ask(host, ["Host: localhost", "Authorization: \(field)"])
            #expect(answer.status == 200, "\(field)")
        }
        let client = try Client(host.remote)
        let fields = ["Authorization: Bearer \(Self.key)"]
        try client.send(
            "POST /admin/v1/reload HTTP/1.1\r\nHost: localhost\r\n\(fields[0])\r\n\r\n"
        )
        let answer = try client.answer()
        #expect(answer.json["outcome"]?.string == "unchanged")
        let line = try host.audit().last
        let author = line?["author"]?.string ?? ""
        #expect(author.hasPrefix("key ") && author.utf8.count == 12)
        #expect(line?["outcome"]?.string == "unchanged")
    }

    @Test func `without a key that counts nobody comes in, and every try is written down`() throws {
        let host = try host()
        let cases: [(fields: [String], sentence: String)] = [
            ([], "found no Authorization"),
            (["Authorization: Bearer \(Self.key)x"], "found a key that is not in --admin-key-file"),
            (["Authorization: Bearer \(Self.key.dropLast())"], "found a key that is not in"),
            (["Authorization: \(Self.key.uppercased())"], "found a key that is not in"),
            (["Authorization: # admins"], "an unusable Authorization"),
            (["Authorization: Digest \(Self.key)"], "an unusable Authorization"),
            (["Authorization: Basic \(Self.key)"], "an unusable Authorization"),
            (["Authorization: Basic OnB3"], "an unusable Authorization"),
            (["Authorization:"], "an unusable Authorization"),
            (
                ["Authorization: Bearer \(Self.key)", "Authorization: Bearer \(Self.key)"],
                "an unusable Authorization"
            ),
        ]
        for (index, (fields, sentence)) in cases.enumerated() {
            let path = index % 2 == 0 ? "/admin/v1/status" : "/nowhere"
            let answer = try ask(host, ["Host: localhost"] + fields, path)
            #expect(answer.field("connection") == "close")
            #expect(answer.status == 401 && answer.field("www-authenticate") == "Bearer")
            #expect(answer.json["code"]?.string == "unauthorized")
            #expect(answer.json["error"]?.string?.contains(sentence) == true, "\(answer.text)")
            #expect(!answer.text.contains(Self.key.dropLast()))
        }
        // The first of a kind is there at once; the others are counted.
        var lines = try host.refused()
        #expect(lines.count == 1)
        #expect(lines.first?["kind"]?.string == "key" && lines.first?["count"]?.unsigned == 1)
        #expect(lines.first?["lastPlace"]?.string == "127.0.0.1")
        #expect(lines.first?["lastRequest"]?.string == "GET /admin/v1/status")
        host.stop()
        lines = try host.refused()
        #expect(lines.compactMap { $0["count"]?.unsigned }.reduce(0, +) == UInt64(cases.count))
        #expect(lines.last?["lastRequest"]?.string == "GET /nowhere")
        #expect(try host.audit().isEmpty)
    }

    @Test func `ten thousand refusals leave the audit log alone and a few lines of their own`()
        throws
    {
        let host = try host()
        _ = try host.v1("POST", "reload")
        let audit = try host.audit().count
        let count = Storm.count(10_000, least: 500)
        for number in 0..<count {
            let field = number % 2 == 0 ? "Origin: http://evil.example" : "Host: evil.example"
            let names = number % 2 == 0 ? ["Host: localhost", field] : [field]
            let answer = try ask(host, names + ["Authorization: Bearer \(Self.key)"])
            #expect(answer.status == 403)
        }
        #expect(try host.audit().count == audit)
        host.stop()
        let lines = try host.refused()
        #expect(lines.compactMap { $0["count"]?.unsigned }.reduce(0, +) == UInt64(count))
        #expect(lines.count <= 8, "\(lines)")
    }

    @Test func `wrong keys cost their address a bucket, and a right one is taken at any time`()
        throws
    {
        let host = try host()
        for number in 0..<12 {
            let answer = try ask(
                host,
                ["Host: localhost", "Authorization: Bearer wrong-key-\(number)"]
            )
            #expect(answer.status == (number < 10 ? 401 : 429), "\(number): \(answer.text)")
            if number >= 10 {
                #expect(answer.field("retry-after").flatMap { Int($0) } ?? 0 >= 1)
                #expect(answer.json["code"]?.string == "too_many_wrong_keys")
                #expect(answer.field("connection") == "close")
            }
        }
        let answer = try ask(host, ["Host: localhost", "Authorization: Bearer \(Self.key)"])
        #expect(answer.status == 200)
    }

    @Test func `a bucket fills again, one try in two seconds, and addresses are bounded`() {
        var buckets = KeyBuckets()
        let second: UInt64 = 1_000_000_000
        for _ in 0..<10 { #expect(buckets.take("a", at: 0) == 0) }
        #expect(buckets.take("a", at: 0) == 3)
        #expect(buckets.take("b", at: 0) == 0)
        #expect(buckets.take("a", at: second) == 2)
        #expect(buckets.take("a", at: 2 * second) == 0)
        #expect(buckets.take("a", at: 2 * second) > 0)
        for number in 0..<KeyBuckets.addressesMaximum * 2 {
            #expect(buckets.take("address \(number)", at: 0) == 0)
        }
        #expect(buckets.count <= KeyBuckets.addressesMaximum)
    }

    @Test func `a browser at the end of a tunnel to the socket changes nothing`() throws {
        let host = try host()
        func ask(_ fields: [String]) throws -> Answer {
            let client = try host.client()
            let body = "{\"weights\": {\"a\": 1, \"b\": 99}}"
            try client.send(
                "PUT /admin/v1/endpoints/coin/weights HTTP/1.1\r\nContent-Length: "
                    + "\(body.utf8.count)\r\n\(fields.map { "\($0)\r\n" }.joined())\r\n\(body)"
            )
            return try client.answer()
        }
        for fields in [
            ["Host: localhost:9090", "Origin: http://localhost:9090"],
            ["Host: localhost:9090", "Origin: null"],
            ["Host: 127.0.0.1", "Sec-Fetch-Site: cross-site"],
            ["Host: 127.0.0.1", "Sec-Fetch-Site: same-origin"],
            ["Host: 127.0.0.1", "Sec-Fetch-Site: none"], ["Host: evil.example"],
            ["Host: evil.example:9090"], ["Host: 127.0.0.1.evil.example"],
        ] {
            let answer = try ask(fields)
            #expect(answer.status == 403, "\(fields)")
            #expect(answer.field("connection") == "close")
        }
        #expect(try host.revision() == 1)
        #expect(try host.audit().isEmpty)
        // What programs send: the command's own name, addresses, localhost.
        for name in ["switchyard", "localhost:9090", "127.0.0.1", "[::1]:9090"] {
            #expect(try ask(["Host: \(name)"]).status == 200, "\(name)")
        }
        #expect(try host.audit().count == 4)
    }

    @Test func `a foreign name in the target is refused as one in Host is`() throws {
        let host = try host()
        for (target, status) in [
            ("http://evil.example/admin/v1/status", 403), ("http://localhost/admin/v1/status", 200),
        ] {
            let client = try host.client()
            try client.send("GET \(target) HTTP/1.1\r\nHost: localhost\r\n\r\n")
            #expect(try client.answer().status == status, "\(target)")
        }
    }

    @Test func `three hundred idle strangers keep no holder of a key waiting`() throws {
        let host = try host()
        let idle = try (0..<300).map { _ in try Client(host.remote) }
        let begun = MonotonicClock.now()
        let client = try Client(host.remote)
        try client.send(
            "GET /admin/v1/status HTTP/1.1\r\nHost: localhost\r\n"
                + "Authorization: Bearer \(Self.key)\r\n\r\n"
        )
        #expect(try client.answer().status == 200)
        // Far below the two seconds that each stranger has.
        #expect(MonotonicClock.now() - begun < 1_500_000_000)
        withExtendedLifetime(idle) {}
    }

    @Test func `a browser is refused, whatever key it has`() throws {
        let host = try host()
        let key = "Authorization: Bearer \(Self.key)"
        for origin in ["http://localhost", "https://evil.example", "null", ""] {
            let answer = try ask(host, ["Host: localhost", "Origin: \(origin)", key])
            #expect(answer.status == 403 && answer.json["code"]?.string == "forbidden")
            #expect(answer.text.contains("a page in a browser sent this"))
        }
        for name in [
            "evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example",
            "localhost:99999", "[::1", "127.0.0.1:", "", "localhost:9090:1",
        ] {
            let answer = try ask(host, ["Host: \(name)", key])
            // What is no host at all is no request.
            let isMalformed = ["localhost:99999", "[::1", "localhost:9090:1"].contains(name)
            #expect(answer.status == (isMalformed ? 400 : 403), "\(name)")
            #expect(answer.field("www-authenticate") == nil)
        }
        for name in [
            "localhost", "LOCALHOST:9090", "127.0.0.1", "127.0.0.1:9090", "[::1]", "[::1]:9090",
            "192.168.1.7:9090",
        ] {
            let answer = try ask(host, ["Host: \(name)", key])
            #expect(answer.status == 200, "\(name)")
        }
        #expect(try host.audit().isEmpty)
        #expect(!AdminAccess.isAddress("unix:/x"))
    }

    @Test func `a key that is taken out of the file locks out at once`() throws {
        let host = try host()
        func status() throws -> Answer {
            let client = try Client(host.remote)
            try client.send(
                "GET /admin/v1/status HTTP/1.1\r\nHost: localhost\r\n"
                    + "Authorization: Bearer \(Self.key)\r\n\r\n"
            )
            return try client.answer()
        }
        var answer = try status()
        #expect(answer.status == 200)
        _ = try host.keyFile("\(Self.other)\n")
        answer = try status()
        #expect(answer.status == 401)
        // A file that others can read counts for nobody, and says so.
        let file = try host.keyFile("\(Self.key)\n", mode: 0o644)
        answer = try status()
        #expect(answer.status == 401 && answer.text.contains("no key counts at the moment"))
        #expect(!answer.text.contains("644") && !answer.text.contains(file))
        try File.remove(file)
        answer = try status()
        #expect(answer.status == 401)
        _ = try host.keyFile("\(Self.key)\n")
        answer = try status()
        #expect(answer.status == 200)
    }

    // MARK: Metrics alone

    @Test func `a listener for metrics answers those without a key, and nothing else`() throws {
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
        host.adminConfiguration.metricsListen = [.ipv4(0x7f00_0001, port: 0)]
        try host.start()
        let client = try Client(host.metricsAddress)
        let answer = try client.call("GET", "/metrics")
        #expect(answer.status == 200 && answer.text.contains("\nswitchyard_ready 1\n"))
        #expect(answer.field("content-type") == "text/plain; version=0.0.4; charset=utf-8")
        let head = try client.call("HEAD", "/metrics")
        #expect(head.status == 200 && head.body.isEmpty)
        for (field, status) in [
            ("Origin: http://evil.example", 403), ("Sec-Fetch-Site: cross-site", 403),
            ("Sec-Fetch-Site: none", 200), ("Host: any.name.example", 200),
        ] {
            let client = try Client(host.metricsAddress)
            let name = field.hasPrefix("Host") ? "" : "Host: localhost\r\n"
            try client.send("GET /metrics HTTP/1.1\r\n\(name)\(field)\r\n\r\n")
            let answer = try client.answer()
            #expect(answer.status == status, "\(field)")
        }
        let post = try client.call("POST", "/metrics")
        #expect(post.status == 405 && post.field("allow") == "GET, HEAD")
        let description = APIDescription(try host.call("GET", "/openapi.json").json)
        for path in description.paths.map(\.name) where path != "/metrics" {
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let answer = try client.call(method, path)
                #expect(answer.status == 404, "\(method) \(path)")
            }
        }
        let revision = try host.revision()
        #expect(revision == 1)
    }
}
