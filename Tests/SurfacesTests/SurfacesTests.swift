import Endpoints
import HTTP
import JSON
import Surfaces
import Testing

struct RouteTests {
    private func route(_ path: String) -> String {
        let text = Array(path.utf8)
        switch Route(text.span, path: 0..<text.count) {
        case .native(let name): return "native \(String(decoding: text[name], as: UTF8.self))"
        case .live: return "live"
        case .ready: return "ready"
        case .unknown: return "unknown"
        }
    }

    @Test(arguments: [
        ("/v1/a", "native a"), ("/v1/a/", "native a"), ("/v1/", "unknown"), ("/v1", "unknown"),
        ("/v1/a/b", "unknown"), ("/health/live", "live"), ("/health/ready/", "ready"),
        ("/health", "unknown"), ("/", "unknown"), ("/v2/a", "unknown"), ("/V1/a", "unknown"),
    ])
    func `a path means one thing`(path: String, meaning: String) {
        #expect(route(path) == meaning)
    }
}

struct NativeSurfaceTests {
    private func decode(_ body: String) throws -> [String] {
        let text = Array(body.utf8)
        var document = JSONDocument()
        try document.parse(text.span)
        var arguments: [Int] = []
        try NativeSurface.decode(document, in: text.span, arguments: &arguments)
        return arguments.map { String(decoding: text[document.entries[$0].range], as: UTF8.self) }
    }

    @Test(arguments: [
        (#"{"data": {"a": 1}}"#, [#"{"a": 1}"#]), (#"{"data": 5, "more": true}"#, ["5"]),
        (#"{"data": null}"#, ["null"]), (#"{"data": [1, "b", {}]}"#, ["1", #""b""#, "{}"]),
        (#"{"data": []}"#, []),
    ])
    func `the arguments are found`(body: String, arguments: [String]) throws {
        #expect(try decode(body) == arguments)
    }

    @Test(arguments: [
        ("[]", "the body must be an object with the member \"data\""),
        ("{}", "the body has no member \"data\""),
    ])
    func `a body without data is refused`(body: String, sentence: String) {
        #expect(throws: Failure(.badRequest, sentence)) { try decode(body) }
    }

    @Test func `what was executed never answers a status that clients send again`() {
        for code in FailureCode.allCases where ![.notReady, .draining].contains(code) {
            #expect(code.nativeStatus.rawValue < 429, "\(code)")
        }
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

    @Test func `an answer is the design's literal record`() {
        let reference = DeploymentReference(branch: "main", name: "m", version: .latest)
        let split = text(
            Experiment(id: "foo", subjectKey: .member("user_id")),
            .deployment(reference),
            3
        )
        var body: [UInt8] = []
        NativeSurface.appendAnswer(
            Array("42.5".utf8).span,
            requestID: Array("r-1".utf8),
            split: split,
            assignment: .subject,
            subject: Array("12\"3".utf8),
            to: &body
        )
        #expect(
            String(decoding: body, as: UTF8.self)
                == #"{"data":42.5,"requestId":"r-1","split":{"endpointName":"pricing","#
                + #""backendName":"experiment","experimentId":"foo","subjectId":"12\"3","#
                + #""assignment":"subject","deployment":{"branch":"main","name":"m","version":3,"#
                + #""alias":"latest"},"configRevision":7}}"#
        )
        #expect(
            String(decoding: split.fields, as: UTF8.self)
                == "X-Switchyard-Backend: experiment\r\nX-Switchyard-Deployment: main/m/3\r\n"
        )
    }

    @Test func `absent members are left out`() {
        var body: [UInt8] = []
        NativeSurface.appendFailure(
            Failure(.badInput, "no \"a\""),
            requestID: Array("r".utf8),
            split: (text(nil, .value("1"), nil), .coin, nil),
            to: &body
        )
        #expect(
            String(decoding: body, as: UTF8.self)
                == #"{"error":"no \"a\"","code":"bad_input","requestId":"r","split":{"#
                + #""endpointName":"pricing","backendName":"experiment","assignment":"coin","#
                + #""configRevision":7}}"#
        )
    }
}
