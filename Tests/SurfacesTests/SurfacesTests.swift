import Bytes
import Endpoints
import HTTP
import JSON
import Surfaces
import Testing

struct RouteTests {
    private func route(_ path: String) -> String {
        let text = Array(path.utf8)
        switch Route(text.span, path: 0..<text.count) {
        case .native(let target): return "native \(String(decoding: text[target], as: UTF8.self))"
        case .live: return "live"
        case .ready: return "ready"
        case .readyTarget(let target):
            return "ready \(String(decoding: text[target], as: UTF8.self))"
        case .description: return "description"
        case .isAlive: return "alive"
        case .dataiku(let verb, let target):
            return "dataiku \(verb) \(String(decoding: text[target], as: UTF8.self))"
        case .openInference(let verb, let model, let version):
            let parts = [model, version ?? 0..<0].map { String(decoding: text[$0], as: UTF8.self) }
            return "v2 \(verb) \(parts.joined(separator: " "))"
        case .unknown(let surface): return surface == .native ? "unknown" : "unknown \(surface)"
        }
    }

    @Test(arguments: [
        ("/v1/a", "native a"), ("/v1/a/", "native a"), ("/v1/", "unknown"), ("/v1", "unknown"),
        ("/v1/a/b", "native a/b"), ("/v1/a/b~c/latest/", "native a/b~c/latest"),
        ("/v1/a/b/c/d", "unknown"), ("/v1//a", "unknown"), ("/v1/a//b", "unknown"),
        ("/v1/a//", "unknown"), ("//v1/a", "unknown"), ("", "unknown"), ("/health/live", "live"),
        ("/health/ready/", "ready"), ("/health/ready/a", "ready a"),
        ("/health/ready/a/b~c/3/", "ready a/b~c/3"), ("/health/ready//a", "unknown"),
        ("/health/ready/a/b/c/d", "unknown"), ("/health/readya", "unknown"),
        ("/health", "unknown"), ("/", "unknown"), ("/V1/a", "unknown"),
        ("/openapi.json", "description"), ("/isAlive/", "alive"), ("/isAlive", "alive"),
        ("/public/api/v1/s/e/predict", "dataiku predict s/e"),
        ("/public/api/v1/s/e/predict-multi/", "dataiku predictMulti s/e"),
        ("/public/api/v1/s/e/forecast", "dataiku other s/e"),
        ("/public/api/v1/s/e", "unknown dataiku"), ("/public", "unknown dataiku"),
        ("/public/api/v1/s/e/predict/x", "unknown dataiku"),
        ("/admin/api/services", "unknown dataiku"),
        ("/v2", "v2 server  "), ("/v2/", "v2 server  "), ("/v2/health/live", "v2 live  "),
        ("/v2/health/ready", "v2 ready  "), ("/v2/models/stats", "v2 statistics  "),
        ("/v2/models/m", "v2 model m "), ("/v2/models/m/infer", "v2 infer m "),
        ("/v2/models/m/versions/3", "v2 model m 3"),
        ("/v2/models/b~m/versions/3/infer", "v2 infer b~m 3"),
        ("/v2/models/m/versions/3/ready", "v2 modelReady m 3"),
        ("/v2/models/m/config", "v2 configuration m "),
        ("/v2/models/m/stats", "v2 modelStatistics m "),
        ("/v2/models/m/versions", "unknown openInference"),
        ("/v2/models/m/versions/3/infer/x", "unknown openInference"),
        ("/v2/models/m/trace/setting", "unknown openInference"),
        ("/v2/models", "unknown openInference"), ("/v2/a", "unknown openInference"),
        ("/v2/repository/index", "v2 index  "),
        ("/v2/repository/models/m/load", "v2 control m "),
        ("/v2/repository/models/m/unload", "v2 control m "),
        ("/v2/repository/models/m/x", "unknown openInference"),
    ])
    func `a path means one thing`(path: String, meaning: String) {
        #expect(route(path) == meaning)
    }

    @Test(arguments: [
        ("//v1/a", "/v1/a"), ("/v2//models///m/", "/v2/models/m/"), ("///", "/"),
    ])
    func `doubled slashes are taken out`(path: String, plain: String) {
        var collapsed: [UInt8] = []
        #expect(Route.collapse(Array(path.utf8).span, 0..<path.utf8.count, to: &collapsed))
        #expect(String(decoding: collapsed, as: UTF8.self) == plain)
        var again: [UInt8] = []
        #expect(!Route.collapse(collapsed.span, 0..<collapsed.count, to: &again))
    }

    private func decoded(_ path: String) -> String? {
        let text = Array(path.utf8)
        var bytes: [UInt8] = []
        guard Route.decode(text.span, 0..<text.count, to: &bytes) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("/v1/%70ricing", "/v1/pricing"), ("/v1/a/team%7Ealice/3", "/v1/a/team~alice/3"),
        ("/v1/%2e%2e", "/v1/.."), ("/v1/%252e", "/v1/%2e"), ("/v1/%C3%A9", "/v1/é"),
    ])
    func `escapes in a path are taken out once`(path: String, plain: String) {
        #expect(decoded(path) == plain)
    }

    @Test(arguments: ["/v1/%2f", "/v1/a%00", "/v1/%0a", "/v1/%7f", "/v1/%", "/v1/%4", "/v1/%zz"])
    func `an escape that no name holds is refused`(path: String) {
        #expect(decoded(path) == nil)
    }
}

struct NativeSurfaceTests {
    /// A request's document, rows and text.
    private struct Decoded {
        let document: JSONDocument
        let call: PredictionCall
        let text: [UInt8]

        init(_ body: String, _ change: (inout CallLimits) -> Void = { _ in }) throws {
            let text = Array(body.utf8)
            var (document, call, limits) = (JSONDocument(), PredictionCall(), CallLimits())
            try document.parse(text.span)
            change(&limits)
            try NativeSurface.decode(document, in: text.span, limits: limits, to: &call)
            (self.document, self.call, self.text) = (document, call, text)
        }

        /// Each row as its id and its arguments.
        var rows: [[String]] {
            call.rows.map { row in
                let indices = (row.id >= 0 ? [row.id] : []) + call.arguments[row.arguments]
                return indices.map {
                    String(decoding: text[document.entries[$0].range], as: UTF8.self)
                }
            }
        }
    }

    @Test(arguments: [
        (#"{"data": {"a": 1}}"#, [#"{"a": 1}"#]), (#"{"data": 5, "more": true}"#, ["5"]),
        (#"{"data": null}"#, ["null"]), (#"{"data": [1, "b", {}]}"#, ["1", #""b""#, "{}"]),
        (#"{"data": []}"#, []), (#"{"data": [{}, [1]]}"#, ["{}", "[1]"]),
    ])
    func `the arguments of a single request are found`(body: String, arguments: [String]) throws {
        let decoded = try Decoded(body)
        #expect(!decoded.call.isBatch && decoded.rows == [arguments])
    }

    @Test func `the rows of a batch are found with their ids`() throws {
        let decoded = try Decoded(#"{"data": [["a", 1, {"b": [2]}], [7, [1]], [1.50]]}"#)
        #expect(decoded.call.isBatch)
        #expect(decoded.rows == [["\"a\"", "1", "{\"b\": [2]}"], ["7", "[1]"], ["1.50"]])
    }

    @Test(arguments: [
        ("[]", FailureCode.badRequest, "the body must be an object with the member \"data\""),
        ("{}", .badRequest, "the body has no member \"data\""),
        ("{\"data\": [[1], 2]}", .badInput, "row 1 of the batch is no list"),
        ("{\"data\": [[1], {}]}", .badInput, "row 1 of the batch is no list"),
        ("{\"data\": [[]]}", .badInput, "row 0 of the batch is empty"),
        ("{\"data\": [[null, 1]]}", .badInput, "row 0 of the batch does not begin with an id"),
        ("{\"data\": [[1], [[2]]]}", .badInput, "row 1 of the batch does not begin with an id"),
        (
            "{\"data\": [[\"\(String(repeating: "i", count: 1025))\"]]}", .badInput,
            "of at most 1024 characters"
        ),
        ("{\"data\": [[1], [2], [3], [4]]}", .badInput, "the batch has more than 3 rows"),
        ("{\"data\": [[1, 1, 1], [2, 1, 1, 1]]}", .badInput, "row 1 of the batch has more than 2"),
        ("{\"data\": [1, 2, 3]}", .badInput, "\"data\" has more than 2 arguments"),
    ])
    func `a body that is no request is refused`(
        body: String,
        code: FailureCode,
        sentence: String
    ) throws {
        let failure = try #require(throws: Failure.self) {
            try Decoded(body) {
                $0.rows = 3
                $0.arguments = 2
            }
        }
        #expect(failure.code == code && failure.sentence.contains(sentence), "\(failure)")
    }

    @Test func `what was executed never answers a status that clients send again`() {
        let unexecuted: [FailureCode] = [
            .notReady, .draining, .queueFull, .deploymentQuarantined, .endpointDisabled,
            .modelControlOff,
        ]
        for code in FailureCode.allCases where !unexecuted.contains(code) {
            let status = code.status(on: .native).rawValue
            #expect(![429, 500, 502, 503, 504].contains(status), "\(code)")
        }
    }

    private func fields(_ text: SplitText) -> String {
        var fields = ByteBuffer()
        text.appendFields(to: &fields)
        return fields.withSpan { Bytes.string($0, 0..<$0.count) }
    }

    private func text(_ experiment: Experiment?, _ backend: Backend, _ version: Int?) -> SplitText {
        let split = Split(name: "experiment", weight: 3, weightText: "3", backend: backend)
        let endpoint = Endpoint(
            name: "pricing",
            splits: [split],
            experiment: experiment,
            service: "pricing"
        )
        return SplitText(endpoint: endpoint, split: split, version: version, revision: 7)
    }

    private func answer(
        _ decoded: Decoded,
        _ rows: [(text: SplitText, assignment: AssignmentKind?, subject: String?, output: String)]
    ) -> String {
        var outcome = PredictionOutcome()
        for row in rows {
            outcome.beginRow()
            outcome.assign(row.text, row.assignment, subject: row.subject.map { Array($0.utf8) })
            outcome.finish(row: outcome.rows.count - 1, Array(row.output.utf8).span)
        }
        var body = ByteBuffer()
        var id = ByteBuffer()
        id.append("r-1")
        NativeSurface.appendAnswer(
            outcome,
            to: decoded.call,
            of: decoded.document,
            in: decoded.text.span,
            requestID: id,
            body: &body
        )
        return body.withSpan { Bytes.string($0, 0..<$0.count) }
    }

    private let latest = DeploymentReference(branch: "main", name: "m", version: .latest)
    private let foo = Experiment(id: "foo", subjectKey: .member("user_id"))

    @Test func `an answer is the design's literal record`() throws {
        let split = text(foo, .deployment(latest), 3)
        #expect(
            answer(try Decoded(#"{"data": 1}"#), [(split, .subject, "12\"3", "42.5")])
                == #"{"data":42.5,"requestId":"r-1","split":{"endpointName":"pricing","#
                + #""backendName":"experiment","experimentId":"foo","subjectId":"12\"3","#
                + #""assignment":"subject","deployment":{"branch":"main","name":"m","version":3,"#
                + #""alias":"latest"},"configRevision":7}}"#
        )
        #expect(
            fields(split)
                == "X-Switchyard-Backend: experiment\r\nX-Switchyard-Deployment: main/m/3\r\n"
        )
    }

    @Test func `a deployment that is called by its name has no endpoint and no split`() throws {
        let text = SplitText(direct: latest, version: 3, revision: 7)
        #expect(
            answer(try Decoded(#"{"data": 1}"#), [(text, nil, nil, "1")])
                == #"{"data":1,"requestId":"r-1","split":{"deployment":{"branch":"main","#
                + #""name":"m","version":3,"alias":"latest"},"configRevision":7}}"#
        )
        #expect(fields(text) == "X-Switchyard-Deployment: main/m/3\r\n")
    }

    @Test func `a batch is answered row by row with each split once`() throws {
        let (one, two) = (text(foo, .deployment(latest), 3), text(foo, .value("0"), nil))
        let decoded = try Decoded(#"{"data": [["x", 1], [1.50, 2], ["z", 3], ["z", 4]]}"#)
        let found = answer(
            decoded,
            [
                (one, .subject, "1", "10"), (two, .subject, "2", "0"),
                (one, .noSubject, nil, "[1]"), (one, .subject, "4", "{}"),
            ]
        )
        let deployment =
            #""deployment":{"branch":"main","name":"m","version":3,"alias":"latest"},"#
        let opening = #"{"endpointName":"pricing","backendName":"experiment","experimentId":"foo","#
        #expect(
            found
                == #"{"data":[["x",10],[1.50,0],["z",[1]],["z",{}]],"requestId":"r-1","splits":["#
                + opening + #""assignment":"subject","# + deployment + #""configRevision":7},"#
                + opening + #""assignment":"subject","configRevision":7},"#
                + opening + #""assignment":"noSubject","# + deployment + #""configRevision":7}],"#
                + #""rowSplits":[0,1,2,0],"subjectIds":["1","2",null,"4"]}"#
        )
    }

    @Test func `absent members are left out`() {
        var outcome = PredictionOutcome()
        outcome.assign(text(nil, .value("1"), nil), .coin, subject: nil)
        func failure() -> String {
            var body = ByteBuffer()
            var id = ByteBuffer()
            id.append("r")
            Surface.native.appendFailure(
                Failure(.badInput, "no \"a\""),
                outcome,
                requestID: id,
                body: &body
            )
            return body.withSpan { Bytes.string($0, 0..<$0.count) }
        }
        #expect(
            failure()
                == #"{"error":"no \"a\"","code":"bad_input","requestId":"r","split":{"#
                + #""endpointName":"pricing","backendName":"experiment","assignment":"coin","#
                + #""configRevision":7}}"#
        )
        // The next row failed before it had a split.
        outcome.beginRow()
        #expect(failure() == #"{"error":"no \"a\"","code":"bad_input","requestId":"r"}"#)
    }
}

/// What is said of bodies that are something else than JSON.
struct BodyWordsTests {
    private func sentence(_ body: [UInt8]) -> String {
        var document = JSONDocument()
        do throws(JSONError) {
            try document.parse(body.span)
            return "it is JSON"
        } catch {
            return BodyWords.sentence(body.span, error)
        }
    }

    @Test(arguments: [
        ("\u{feff}{\"data\": 1}", "byte order mark"), ("", "the body is empty"),
        ("data=1&x=2", "a form (name=value)"), ("a[b]=1", "a form (name=value)"),
        ("--abc\r\nContent-Disposition: form-data; name=\"data\"\r\n", "multipart/form-data"),
        ("{\"data\": {\"x\": NaN}}", "NaN is not JSON"),
        ("{\"data\": [1, -Infinity]}", "-Infinity"),
        ("{\"data\": Infinity}", "df.notna()"), ("{'data': 1}", "' is no quote in JSON"),
        ("{\"data\": None}", "None is Python's, JSON has null"),
        ("{\"data\": {\"x\": True}}", "True is Python's, JSON has true"),
        ("{\"data\": undefined}", "JavaScript's"), ("{\"data\": 1", "the body is not JSON: "),
        ("hello", "the body is not JSON: "),
    ])
    func `another form is named, with what to send`(body: String, words: String) {
        let sentence = sentence(Array(body.utf8))
        #expect(sentence.contains(words), "\(sentence)")
    }

    @Test func `compressed and wide texts are named`() {
        #expect(sentence([0x1f, 0x8b, 8, 0]).contains("gzip"))
        #expect(sentence([0x28, 0xb5, 0x2f, 0xfd, 0]).contains("zstd"))
        #expect(sentence([0xff, 0xfe, 0x7b, 0]).contains("UTF-16"))
        #expect(sentence([0, 0x7b, 0, 0x7d]).contains("UTF-16"))
        #expect(sentence([0x7b, 0, 0x7d, 0]).contains("UTF-16"))
    }

    @Test(arguments: [
        ("[{\"a\": 1}, {\"a\": 2}]", "orient=\"records\""),
        ("{\"columns\": [\"a\"], \"data2\": []}", "a table of pandas"),
        ("{\"instances\": [1]}", "TensorFlow Serving"),
        ("{\"inputs\": []}", "/v2/models/NAME/infer"),
        ("{\"features\": {}}", "/public/api/v1/"), ("{\"x\": 1}", "{\"data\": {…}}"),
        ("7", "must be an object"), ("[1, 2]", "[[id, …], …]"),
    ])
    func `a request of another server is named`(body: String, words: String) throws {
        var document = JSONDocument()
        let bytes = Array(body.utf8)
        try document.parse(bytes.span)
        var call = PredictionCall()
        var found = ""
        do throws(Failure) {
            try NativeSurface.decode(document, in: bytes.span, limits: CallLimits(), to: &call)
        } catch {
            found = error.sentence
        }
        #expect(found.contains(words), "\(found)")
    }
}
