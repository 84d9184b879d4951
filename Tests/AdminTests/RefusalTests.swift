import JSON
import Platform
import TestSupport
import Testing

/// What is mistyped is refused with a sentence, and nothing is changed by it.
struct RefusalTests {
    private func host() throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin])
        try host.start()
        return host
    }

    @Test func `a body that means nothing is refused, told, and written down`() throws {
        let host = try host()
        let weights = "endpoints/coin/weights"
        let alias = "deployments/main/area/aliases/prod"
        let cases: [(method: String, path: String, body: String, code: String, sentence: String)] =
            [
                ("POST", "reload", "{", "bad_json", "the body is not JSON: "),
                ("POST", "reload", "{}}", "bad_json", "the body is not JSON: "),
                (
                    "POST", "reload", #"{"keepWeights":true,"keepWeights":false}"#, "bad_json",
                    "twice"
                ),
                ("POST", "reload", "[]", "bad_request", "the body is no JSON object"),
                ("POST", "reload", "null", "bad_request", "the body is no JSON object"),
                (
                    "POST", "reload", #"{"keepWeigths": true}"#, "bad_request",
                    "unknown member 'keepWeigths'; did you mean 'keepWeights'?; it takes "
                        + "keepWeights"
                ),
                (
                    "POST", "reload", #"{"keepWeights": 1}"#, "bad_request",
                    "'keepWeights' is neither true nor false"
                ),
                (
                    "POST", "reload", #"{"keepWeights": null}"#, "bad_request",
                    "neither true nor false"
                ),
                (
                    "POST", "rollback", #"{"configRevision": "1"}"#, "bad_request",
                    "'configRevision' is no whole number from 0 to 1000000000"
                ),
                (
                    "POST", "rollback", #"{"configRevision": -1}"#, "bad_request",
                    "is no whole number"
                ),
                (
                    "POST", "rollback", #"{"configRevision": 1.5}"#, "bad_request",
                    "is no whole number"
                ),
                (
                    "POST", "rollback", #"{"configRevision": 99999999999999999999}"#, "bad_request",
                    "is no whole number"
                ),
                ("POST", "rollback", #"{"to": 1}"#, "bad_request", "unknown member 'to'"),
                ("PUT", weights, "", "bad_request", "wanted {\"weights\": {"),
                ("PUT", weights, "{}", "bad_request", "wanted {\"weights\": {"),
                ("PUT", weights, #"{"weights": {}}"#, "bad_request", "wanted {\"weights\": {"),
                (
                    "PUT", weights, #"{"weights": {"a": "9"}}"#, "bad_request",
                    "each weight 0 or a number"
                ),
                (
                    "PUT", weights, #"{"weights": {"a": 1e999}}"#, "commit_failed",
                    "each weight 0 or a number"
                ),
                ("PUT", weights, #"{"weights": {"a": 1, "a": 2}}"#, "bad_json", "twice"),
                (
                    "PUT", weights, #"{"weights": {"a": 1}, "x": 1}"#, "bad_request",
                    "unknown member 'x'; it takes weights"
                ),
                (
                    "DELETE", weights, #"{"a": 1}"#, "bad_request",
                    "unknown member 'a'; it takes ifRevision, because"
                ),
                ("PUT", alias, "", "bad_request", "wanted {\"version\": 3}, a version's number"),
                (
                    "PUT", alias, #"{"version": "1"}"#, "bad_request",
                    "'version' is no whole number from 0 to 1000000000"
                ),
                (
                    "PUT", alias, #"{"version": 1, "reload": 1}"#, "bad_request",
                    "'reload' is neither true nor false"
                ),
                (
                    "DELETE", alias, #"{"version": 1}"#, "bad_request",
                    "unknown member 'version'; it takes reload"
                ),
                (
                    "PUT", "deployments/main/area/aliases/7", #"{"version": 1}"#, "alias_not_found",
                    "'7' is no alias"
                ),
                (
                    "PUT", "deployments/a~~b/area/aliases/prod", #"{"version": 1}"#,
                    "deployment_not_found",
                    "'a~~b/area' is no deployment"
                ),
                (
                    "PUT", "deployments/%2e%2e/area/aliases/prod", #"{"version": 1}"#,
                    "deployment_not_found",
                    "'../area' is no deployment"
                ),
                (
                    "DELETE", "deployments/main/area/versions/01", "", "version_not_found",
                    "'01' is no version's number"
                ),
                (
                    "DELETE", "deployments/main/area/versions/1", #"{"force": true}"#,
                    "bad_request",
                    "unknown member 'force'"
                ),
            ]
        let before = try host.audit().count
        for (index, wrong) in cases.enumerated() {
            let answer = try host.v1(wrong.method, wrong.path, wrong.body)
            let here = "\(wrong.method) \(wrong.path) \(wrong.body): \(answer.text)"
            let status =
                wrong.code.hasSuffix("not_found") ? 404 : wrong.code == "commit_failed" ? 409 : 400
            #expect(answer.status == status && answer.json["code"]?.string == wrong.code, "\(here)")
            #expect(answer.json["error"]?.string?.contains(wrong.sentence) == true, "\(here)")
            let lines = try host.audit()
            #expect(lines.count == before + index + 1, "\(here)")
            #expect(lines.last?["outcome"]?.string == "refused")
            #expect(lines.last?["author"]?.string == "user \(CurrentProcess.user)")
            #expect(lines.last?["error"] == answer.json["error"])
        }
        let plan = try host.v1("POST", "plan", #"{"keep": 1}"#)
        #expect(plan.status == 400 && plan.text.contains("unknown member 'keep'"))
        let revision = try host.revision()
        #expect(revision == 1)
    }

    @Test(arguments: [
        "/", "/admin", "/admin/v1", "/admin/v1/", "/admin/v2/status", "//admin/v1/status",
        "/admin//v1/status", "/admin/v1/status//", "/admin/v1/status/x", "/Admin/v1/status",
        "/admin/v1/%2fstatus", "/admin/v1/%zz", "/health", "/health/x", "/metrics/x", "*",
        "/admin/v1/deployments/main/area", "/admin/v1/deployments/main/area/labels/x",
        "/admin/v1/endpoints/coin/weight", "/admin/v1/revisions/1/2", "/v1/coin",
    ])
    func `a path that there is not is a sentence`(path: String) throws {
        let host = try host()
        for method in ["GET", "POST", "DELETE"] {
            let answer = try host.call(method, path)
            #expect(answer.status == 404, "\(method)")
            #expect(answer.json["code"]?.string == "route_not_found")
            #expect(answer.json["error"]?.string?.contains("GET /openapi.json says") == true)
        }
    }

    @Test func `escapes in a path stand for their characters, and a query means nothing`() throws {
        let host = try host()
        for path in ["/admin/v1/endpoints/c%6fin", "/admin/v1/endpoints/coin?x=1"] {
            let answer = try host.call("GET", path)
            #expect(answer.json["endpointName"]?.string == "coin", "\(path)")
        }
    }

    @Test func `a body that is too large ends the connection with a sentence`() throws {
        let host = try host()
        for framing in ["Content-Length: 1048577", "Transfer-Encoding: chunked"] {
            let client = try host.client()
            try client.send("POST /admin/v1/reload HTTP/1.1\r\nHost: x\r\n\(framing)\r\n\r\n")
            // The rest is taken and dropped, so that who sends all of it first gets the answer.
            let chunk = framing.hasPrefix("T") ? "fffff0\r\n" : ""
            try client.send(chunk + String(repeating: " ", count: 3 << 20))
            let answer = try client.answer()
            #expect(answer.status == 413 && answer.field("connection") == "close")
            #expect(answer.json["code"]?.string == "too_large")
            #expect(answer.json["error"]?.string?.contains("1048576") == true)
        }
        let largest = "{}" + String(repeating: " ", count: (1 << 20) - 2)
        let answer = try host.v1("POST", "reload", largest)
        #expect(answer.json["outcome"]?.string == "unchanged")
    }

    @Test func `bytes that are no HTTP get one sentence and the end`() throws {
        let host = try host()
        let wrong: [(text: String, status: Int)] = [
            ("\u{1}\u{2}\u{3}\r\n\r\n", 400), ("GET /metrics\r\n\r\n", 400),
            ("GET /metrics HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
            ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\n", 414),
            ("GET / HTTP/1.1\r\nHost: x\r\nX: \(String(repeating: "a", count: 17000))", 431),
            ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", 417),
            ("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nrubbish\r\n\r\n", 404),
        ]
        for (text, status) in wrong {
            let client = try host.client()
            try client.send(text)
            let isHead = text.hasPrefix("HEAD")
            var answer = try client.answer(hasBody: !isHead)
            #expect(answer.status == status, "\(text.prefix(60))")
            if isHead { answer = try client.answer() }
            let code = [413, 414, 431].contains(status) ? "too_large" : "bad_request"
            #expect(
                answer.json["code"]?.string == (isHead ? "bad_request" : code),
                "\(text.prefix(60))"
            )
            let isOver = try client.isAtEnd()
            #expect(isOver, "\(text.prefix(60))")
        }
    }

    @Test func `random bytes never end the host`() throws {
        let host = try host()
        var generator = SystemRandomNumberGenerator()
        let words = [
            "GET ", "POST ", "/admin/v1/", "reload", "status", " HTTP/1.1\r\n", "Host: x\r\n",
            "\r\n",
            "Content-Length: ", "17", "Transfer-Encoding: chunked\r\n", "{\"weights\":", "%", "~",
            "5\r\nhello\r\n0\r\n\r\n", "Expect: 100-continue\r\n",
        ]
        for _ in 0..<Storm.count(20_000) {
            let client = try host.client()
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...30, using: &generator) {
                if Bool.random(using: &generator) {
                    bytes += Array(words.randomElement(using: &generator)?.utf8 ?? "".utf8)
                } else {
                    bytes += (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                        .random(in: 0...255)
                    }
                }
            }
            try? client.send(bytes)
        }
        let answer = try host.v1("GET", "status")
        #expect(answer.status == 200)
    }

    @Test func `a host on its way out changes nothing more, and says so`() throws {
        let host = try host()
        let client = try host.client()
        try client.request("GET", "/admin/v1/status")
        _ = try client.answer()
        host.beginShutDown()
        for (method, path) in [("POST", "reload"), ("DELETE", "endpoints/coin/weights")] {
            let answer = try client.call(method, "/admin/v1/\(path)")
            #expect(answer.status == 503 && answer.json["code"]?.string == "draining")
        }
        let ready = try client.call("GET", "/health/ready")
        #expect(ready.status == 503 && ready.text.contains("the host is shutting down"))
        let lines = try host.audit()
        #expect(lines.count == 2 && lines.allSatisfy { $0["outcome"]?.string == "refused" })
    }
}
