import JSON
import Platform
import Serving
import TestSupport
import Testing

/// A live server on a port that the kernel chose, asked over real sockets.
struct LiveTests {
    private static let coin =
        "schemaVersion: 1\nbackends: {a: {value: {score: 42}}, b: {value: {score: 42}}}\n"
    private static let sticky = """
        schemaVersion: 1
        backends:
          area: {deployment: {name: area, version: latest}, weight: 1}
          flat: {value: 7, weight: 0}
        experimentConfig: {subjectKey: user}
        """

    private func host() throws -> LiveHost {
        let host = try LiveHost(endpoints: ["coin": Self.coin, "sticky": Self.sticky])
        try host.deploy("area", "thirty_lines")
        try host.start()
        return host
    }

    @Test func `a model answers with the split that it answered for`() throws {
        let host = try host()
        let answer = try host.client().call(
            "POST",
            "/v1/sticky",
            fields: ["X-Request-Id: my-id"],
            body: #"{"data": {"user": 5.0, "width": 3, "height": 4}}"#
        )
        #expect(answer.status == 200)
        #expect(
            answer.text
                == #"{"data":12.0,"requestId":"my-id","split":{"endpointName":"sticky","#
                + #""backendName":"area","experimentId":"sticky","subjectId":"5","#
                + #""assignment":"only","deployment":{"branch":"main","name":"area","version":1,"#
                + #""alias":"latest"},"configRevision":1}}"#
        )
        #expect(answer.field("x-request-id") == "my-id")
        #expect(answer.field("x-switchyard-backend") == "area")
        #expect(answer.field("x-switchyard-deployment") == "main/area/1")
        #expect(answer.field("content-type") == "application/json")
    }

    @Test func `a coin divides requests and request ids are all different`() throws {
        let host = try host()
        let client = try host.client()
        var arms: [String: Int] = [:]
        var ids: Set<String> = []
        for _ in 0..<200 {
            let json = try client.call("POST", "/v1/coin", body: #"{"data": 1}"#).json
            arms[json["split"]?["backendName"]?.string ?? "", default: 0] += 1
            ids.insert(json["requestId"]?.string ?? "")
            #expect(json["split"]?["assignment"]?.string == "coin")
            #expect(json["data"]?["score"]?.unsigned == 42)
        }
        // Two fair arms: fewer than 50 of 200 has a probability below one in 10^12.
        #expect(arms.count == 2 && arms.values.allSatisfy { $0 > 50 })
        #expect(ids.count == 200)
    }

    @Test(arguments: [
        (
            "/v1/none", "{\"data\":1}", 404, "endpoint_not_found",
            "there is no endpoint and no deployment 'none'"
        ),
        ("/nothing", "", 404, "route_not_found", "there is nothing at this path"),
        ("/v1/coin", "{\"data\":", 400, "bad_json", "the text ends where a value should be"),
        ("/v1/coin", "", 400, "bad_json", "the body is empty"),
        ("/v1/coin", "{\"data\":1,\"data\":2}", 400, "bad_json", "stands twice in one object"),
        ("/v1/coin", "{}", 400, "bad_request", "the body has no member \"data\""),
        (
            "/v1/sticky", "{\"data\":{\"width\":1}}", 400, "bad_input",
            "the input \"height\" is missing"
        ),
        (
            "/v1/sticky", "{\"data\":{\"width\":1,\"height\":\"x\"}}", 400, "bad_input",
            "the input \"height\" is a string; the model wants a number"
        ),
    ])
    func `a request that cannot be answered gets a code and a sentence`(
        path: String,
        body: String,
        status: Int,
        code: String,
        sentence: String
    ) throws {
        let host = try host()
        let client = try host.client()
        let answer = try client.call("POST", path, body: body)
        #expect(answer.status == status)
        #expect(answer.json["code"]?.string == code)
        #expect(answer.json["error"]?.string?.contains(sentence) == true, "\(answer.text)")
        #expect(answer.json["requestId"]?.string?.isEmpty == false)
        // The connection goes on.
        #expect(try client.call("POST", "/v1/coin", body: "{\"data\":1}").status == 200)
    }

    @Test func `a failure after the assignment carries the split`() throws {
        let host = try host()
        let answer = try host.client().call("POST", "/v1/sticky", body: #"{"data":{"user":"u"}}"#)
        #expect(answer.status == 400)
        #expect(answer.json["split"]?["backendName"]?.string == "area")
        #expect(answer.json["split"]?["subjectId"]?.string == "u")
        #expect(answer.field("x-switchyard-backend") == "area")
    }

    @Test func `a subject of more than 1,024 bytes is refused`() throws {
        let host = try host()
        let ask = { (count: Int) in
            let user = String(repeating: "u", count: count)
            return try host.client().call(
                "POST",
                "/v1/sticky",
                body: #"{"data":{"user":"\#(user)","width":1,"height":1}}"#
            )
        }
        #expect(try ask(1024).status == 200)
        #expect(try ask(1025).json["code"]?.string == "bad_input")
    }

    @Test func `a caller may name the split, unless the host forbids it`() throws {
        let host = try host()
        let force = { (name: String) in
            try host.client().call(
                "POST",
                "/v1/sticky",
                fields: ["X-Switchyard-Force-Backend: \(name)"],
                body: #"{"data":{"user":1}}"#
            )
        }
        let flat = try force("flat")
        #expect(flat.json["data"]?.unsigned == 7)
        #expect(flat.json["split"]?["assignment"]?.string == "forced")
        #expect(flat.json["split"]?["deployment"] == nil)
        #expect(try force("nobody").json["code"]?.string == "backend_not_found")
        _ = host.stop()
        host.configuration.allowsForcing = false
        try host.start()
        #expect(try force("flat").status == 400)
    }

    @Test func `other methods get 405 with the methods that there are`() throws {
        let host = try host()
        let client = try host.client()
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let answer = try client.call(method, "/v1/coin")
            #expect(answer.status == 405 && answer.field("allow") == "POST")
        }
        #expect(try client.call("HEAD", "/v1/coin").status == 405)
        #expect(try client.call("POST", "/health/live").field("allow") == "GET, HEAD")
        #expect(try client.call("GET", "/health/live").text == "{\"live\":true}")
        let head = try client.call("HEAD", "/health/ready")
        #expect(head.status == 200 && head.body.isEmpty)
        #expect((head.field("content-length").flatMap { Int($0) } ?? 0) > 10)
    }

    @Test func `a host without endpoints is live and not ready`() throws {
        let host = try LiveHost()
        try host.start()
        let client = try host.client()
        #expect(try client.call("GET", "/health/live").status == 200)
        let answer = try client.call("GET", "/health/ready")
        #expect(answer.status == 503)
        #expect(answer.text.contains("there is no endpoint"))
    }

    @Test(arguments: [
        ("\"two\"", "more than one result"), ("\"none\"", "wrote no result"),
        ("\"invalid\"", "a result that is not JSON: expected a value at byte 6"),
        ("\"infinite\"", "which JSON cannot express"), ("100000000", "at most 67108864 count"),
        ("\"silent_error\"", "the model gave no reason"),
        ("\"unknown_status\"", "the model gave no reason"),
    ])
    func `a model that misbehaves costs one answer`(argument: String, reason: String) throws {
        let host = try LiveHost(
            endpoints: [
                "m": "schemaVersion: 1\nbackends: {m: {deployment: {name: m, version: 1}}}\n"
            ]
        )
        try host.deploy("m", "misfit_results")
        try host.start()
        let client = try host.client()
        let answer = try client.call("POST", "/v1/m", body: "{\"data\":\(argument)}")
        #expect(answer.status == 400)
        #expect(answer.json["code"]?.string == "model_failed")
        #expect(answer.json["error"]?.string?.contains(reason) == true, "\(answer.text)")
        let told = try client.call("POST", "/v1/m", body: "{\"data\":\"error\"}")
        #expect(told.status == 400 && told.json["code"]?.string == "bad_input")
        #expect(told.json["error"]?.string == "no such customer")
        let large = try client.call("POST", "/v1/m", body: "{\"data\":300000}")
        #expect(large.status == 200 && large.body.count > 300_000)
        #expect(
            try client.call("POST", "/v1/m", body: "{\"data\":3}").json["data"]?.string == "xxx"
        )
    }

    @Test func `a steady request allocates nothing in the host`() throws {
        // Shown on the loop itself: the same code that a thread of the host runs.
        // Three fresh loops: what a request really costs shows in all of them.
        let counts = try (0..<3).compactMap { _ in try SteadyLoop().allocations(requests: 500) }
        // An unoptimised build boxes what an optimised one keeps in registers: `make storm`, which
        // is optimised, allows none at all.
        var isOptimised = true
        assert(
            {
                isOptimised = false; return true
            }()
        )
        let allowed = isOptimised ? 0 : 500 * 30
        #expect((counts.min() ?? 0) <= allowed, "\(counts) allocations")
    }
}
