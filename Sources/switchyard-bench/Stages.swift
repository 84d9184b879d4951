// The stages of a request, each through the entry that the host itself uses, with the README's
// request. Nothing here knows how a stage works: it only begins it and takes something of its
// result, so that the work cannot be left out.

import Bytes
import Endpoints
import HTTP
import JSON
import Platform
import PluginHost
import Serving
import Surfaces

/// One stage.
struct Stage: Sendable {
    let name: String
    /// What one operation is.
    let what: String
    /// Does so many operations.
    let run: @Sendable (Int) throws -> Int

    init(_ name: String, _ what: String, _ run: @escaping @Sendable (Int) throws -> Int) {
        self.name = name
        self.what = what
        self.run = run
    }
}

/// The request that every stage works on, and what comes of it on the way.
private enum Sample {
    static let argument =
        #"{"user_id": 123, "category": "shopping", "price": 19.99, "quantity": 3}"#
    static let body = Array(#"{"data": \#(argument)}"#.utf8)
    static let head = Array(
        """
        POST /v1/pricing_optimizer HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
        Content-Length: \(body.count)\r\nContent-Type: application/json\r\n\r\n
        """.utf8
    )
    static let requestID = Array("55b735b450d90-1".utf8)
    static let result = Array(#"{"total":48.48,"unit":16.16}"#.utf8)
    static let date = Array("Sat, 21 Nov 2026 10:16:28 GMT".utf8)

    /// An endpoint with so many splits, all of them of one deployment.
    static func endpoint(splits: Int) -> Endpoint {
        let reference = DeploymentReference(
            branch: "main",
            name: "pricing_model_v2",
            version: .latest
        )
        return Endpoint(
            name: "pricing_optimizer",
            splits: (1...splits).map {
                Split(
                    name: "split\($0)",
                    weight: Double($0),
                    weightText: "\($0)",
                    backend: .deployment(reference)
                )
            },
            experiment: Experiment(id: "foo", subjectKey: .member("user_id")),
            service: "pricing_optimizer"
        )
    }

    /// The argument's place in the laid-out body: behind the name `data`.
    static func document() throws -> JSONDocument {
        var document = JSONDocument()
        try document.parse(body.span)
        return document
    }
}

/// Every stage, in the order of a request.
enum Stages {
    /// The stages; a log ring is made in `folder`.
    static func all(in folder: String) throws -> [Stage] {
        [head, route, json, decode, subject, coin, assign(2), assign(8), bind]
            + [
                try model("model-c", "echo", "a model in C"),
                try model("model-swift", "pricing_model_v2", "a model in Swift"),
                try model("model-codable", "codable_pricing", "a Codable model"),
                check, answer, responseHead, try record(folder),
            ]
    }

    // MARK: Reading

    private static let head = Stage("head", "parse the HTTP head") { count in
        let text = Sample.head
        let limits = HTTPLimits()
        var sum = 0
        for _ in 0..<count {
            var parser = RequestParser()
            let outcome = try parser.parse(text.span, limits: limits)
            if case .head(let head) = outcome { sum &+= head.length }
        }
        return sum
    }

    private static let route = Stage("route", "find the endpoint of the path") { count in
        let endpoint = PreparedEndpoint(endpoint: Sample.endpoint(splits: 2), splits: [])
        let snapshot = ServingSnapshot(revision: 1, endpoints: [endpoint])
        let path = "POST ".utf8.count..<"POST /v1/pricing_optimizer".utf8.count
        let text = Sample.head
        var sum = 0
        for _ in 0..<count {
            guard case .native(let name) = Route(text.span, path: path),
                case .endpoint = snapshot.target(text.span, name)
            else { throw StageError("the path names nothing") }
            sum &+= name.count
        }
        return sum
    }

    private static let json = parsing("json", "check and lay out the body", Sample.body)

    private static func parsing(_ name: String, _ what: String, _ text: [UInt8]) -> Stage {
        Stage(name, what) { count in
            var document = JSONDocument()
            var sum = 0
            for _ in 0..<count {
                try document.parse(text.span)
                sum &+= document.entries.count
            }
            return sum
        }
    }

    private static let decode = Stage("decode", "find the rows in the body") { count in
        let document = try Sample.document()
        let body = Sample.body
        let limits = CallLimits()
        var call = PredictionCall()
        var sum = 0
        for _ in 0..<count {
            try NativeSurface.decode(document, in: body.span, limits: limits, to: &call)
            sum &+= call.rows.count
        }
        return sum
    }

    // MARK: Choosing

    private static let subject = Stage("subject", "find and write the subject") { count in
        let document = try Sample.document()
        let body = Sample.body
        let name = Array("user_id".utf8)
        var subject: [UInt8] = []
        var sum = 0
        for _ in 0..<count {
            subject.removeAll(keepingCapacity: true)
            guard let value = document.member(name, of: argument, in: body.span),
                Subject.append(document.entries[value], in: body.span, to: &subject)
            else { throw StageError("the request has no subject") }
            sum &+= subject.count
        }
        return sum
    }

    private static let coin = Stage("coin", "choose among 2 splits by a coin") { count in
        let assigner = Assigner(experiment: "foo", splits: Sample.endpoint(splits: 2).splits)
        var coin = CoinGenerator(seed: 1)
        var sum = 0
        for _ in 0..<count { sum &+= assigner.split(random: coin.next()) }
        return sum
    }

    private static func assign(_ splits: Int) -> Stage {
        Stage("assign-\(splits)", "choose among \(splits) splits by the subject") { count in
            let assigner = Assigner(
                experiment: "foo",
                splits: Sample.endpoint(splits: splits).splits
            )
            let subject = Array("123".utf8)
            var sum = 0
            for _ in 0..<count { sum &+= assigner.split(subject: subject.span) }
            return sum
        }
    }

    // MARK: Asking

    /// Where the argument stands in the laid-out body: behind the body itself and the name `data`.
    private static let argument = 2

    private static let bind = Stage("bind", "bind 4 declared inputs") { count in
        let document = try Sample.document()
        let inputs = ["price", "quantity", "category", "user_id"].map { name in
            InputDescription(
                name: name,
                type: name == "category" ? .string : name == "user_id" ? .json : .number,
                isRequired: true
            )
        }
        let binding = InputBinding(inputs)
        let body = Sample.body
        let arguments = [argument]
        var values: [JSONReference] = []
        var sum = 0
        for _ in 0..<count {
            try binding.bind(arguments.span, of: document, in: body.span, to: &values)
            sum &+= values.count
        }
        return sum
    }

    /// Asking a model of the build that this program is of.
    private static func model(
        _ name: String,
        _ plugin: String,
        _ what: String
    ) throws -> Stage {
        let path = try "\(Path.folder(of: CurrentProcess.executable()))/lib\(plugin).so"
        let instance = try ModelInstance(
            plugin: Plugin(path: path, bytes: File.read(path, limit: 1 << 28), shownAs: path),
            name: plugin,
            version: 1,
            settings: "{}",
            resources: "",
            log: { _, _, _ in }
        )
        let inputs = try ModelDescription(json: instance.plugin.description).inputs
        return Stage(name, "ask \(what) (\(plugin))") { count in
            let body = Sample.body
            let requestID = Sample.requestID
            var values: [JSONReference] = []
            let document = try Sample.document()
            try InputBinding(inputs).bind([argument].span, of: document, in: body.span, to: &values)
            let frame = CallFrame()
            var sum = 0
            for _ in 0..<count {
                let end = instance.predict(
                    values.span,
                    in: body.span,
                    requestID: requestID.span,
                    deadline: 0,
                    frame: frame
                )
                guard end == .answered else { throw StageError("\(plugin): \(end)") }
                sum &+= frame.withResult { $0.count }
            }
            return sum
        }
    }

    private static let check = parsing("check", "check the model's JSON", Sample.result)

    // MARK: Answering

    private static let answer = Stage("answer", "note the outcome, write the body") { count in
        let endpoint = Sample.endpoint(splits: 2)
        let split = endpoint.splits[0]
        let text = SplitText(endpoint: endpoint, split: split, version: 1, revision: 1)
        let document = try Sample.document()
        let (request, result) = (Sample.body, Sample.result)
        var requestID = ByteBuffer()
        requestID.append(contentsOf: Sample.requestID)
        var call = PredictionCall()
        try NativeSurface.decode(document, in: request.span, limits: CallLimits(), to: &call)
        let subject = Array("123".utf8)
        var outcome = PredictionOutcome()
        var body = ByteBuffer()
        var sum = 0
        for _ in 0..<count {
            outcome.clear()
            outcome.beginRow()
            outcome.assign(text, .subject, subject: subject)
            outcome.finish(row: outcome.rows.count - 1, result.span)
            body.clear()
            NativeSurface.appendAnswer(
                outcome,
                to: call,
                of: document,
                in: request.span,
                requestID: requestID,
                body: &body
            )
            sum &+= body.count
        }
        return sum
    }

    private static let responseHead = Stage("response", "write the head") { count in
        var fields = ByteBuffer()
        fields.append(literal: "X-Switchyard-Backend: split1\r\n")
        fields.append(literal: "X-Switchyard-Deployment: main/pricing_model_v2/1\r\n")
        let date = Sample.date
        var bytes = ByteBuffer()
        var sum = 0
        for _ in 0..<count {
            bytes.clear()
            ResponseHead.write(
                .ok,
                bodyBytes: 306,
                date: date,
                connection: .none,
                fields: fields,
                to: &bytes
            )
            sum &+= bytes.count
        }
        return sum
    }

    /// A record of 500 bytes; a full ring is emptied without a look at it.
    private static func record(_ folder: String) throws -> Stage {
        let ring = try LogRing(creating: "\(folder)/ring", capacity: 32 << 20)
        let payload = [UInt8](repeating: 0x20, count: 500)
        return Stage("record", "leave a record of 500 bytes in the ring") { count in
            for number in 0..<count where !ring.append(payload.span, key: UInt64(number)) {
                ring.discardAll()
            }
            return count
        }
    }
}

/// A stage that does not do what it shall.
struct StageError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
