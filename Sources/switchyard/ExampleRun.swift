// Test queries: the examples of the models behind an endpoint, sent to a running host.

import Bytes
import Deployments
import Endpoints
import JSON
import Platform
import PluginHost
import Serving

/// The test queries of one endpoint.
struct ExampleRun {
    private let source: EndpointSource
    private var endpoint: Endpoint { source.endpoint }
    private let queries: [JSONValue]
    private let force: String?
    private static let countMaximum = 100_000
    private static let answerCharacters = 60

    init(_ name: String, _ arguments: Arguments) throws {
        let wanted = try arguments.number("count", 1...Self.countMaximum)
        force = try Command.force(arguments)
        source = try EndpointSource(name, arguments)
        let endpoint = source.endpoint
        let examples = try Self.examples(of: endpoint, arguments)
        let count = wanted ?? examples.count
        let key = endpoint.experiment?.subjectKey
        queries = (0..<count).map { number in
            let example = examples[number % examples.count]
            guard number >= examples.count, let key else { return example }
            return Self.replacing(key, of: example, by: "example-\(number - examples.count + 1)")
        }
    }

    /// The distinct examples of the models of all splits; without any, one null.
    private static func examples(
        of endpoint: Endpoint,
        _ arguments: Arguments
    ) throws -> [JSONValue] {
        let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
        let probe = PluginProbe()
        var examples: [JSONValue] = []
        for split in endpoint.splits {
            guard case .deployment(let reference) = split.backend else { continue }
            let (deployment, numbers) = try store.candidates(reference)
            let description = try store.describe(deployment, numbers[0], probe)
            for example in description.examples.flatMap({ singles($0) })
            where !examples.contains(example) {
                examples.append(example)
            }
        }
        let isStatic = endpoint.splits.allSatisfy {
            if case .value = $0.backend { true } else { false }
        }
        guard !examples.isEmpty || isStatic else {
            throw DeploymentError(
                "endpoint \(endpoint.name): found models without examples; wanted at least one; "
                    + "add \"examples\" to what the model says of itself"
            )
        }
        return examples.isEmpty ? [.null] : examples
    }

    /// A query with another subject, where it has one.
    private static func replacing(
        _ key: SubjectKey,
        of query: JSONValue,
        by subject: String
    ) -> JSONValue {
        switch (key, query) {
        case (.member(let name), .object(let members)):
            return .object(
                members.map { $0.name == name ? .init(name, .string(subject)) : $0 }
            )
        case (.member, .array(var arguments)) where !arguments.isEmpty:
            arguments[0] = replacing(key, of: arguments[0], by: subject)
            return .array(arguments)
        case (.argument(let position), .array(var arguments)) where position < arguments.count:
            arguments[position] = .string(subject)
            return .array(arguments)
        case (.argument(0), .string), (.argument(0), .number):
            return .string(subject)
        default: return query
        }
    }

    /// An example as single requests: a batch is one for each row, without its id.
    private static func singles(_ example: JSONValue) -> [JSONValue] {
        guard let rows = example.array, rows.first?.array != nil else { return [example] }
        return rows.compactMap { $0.array?.dropFirst() }.map { arguments in
            guard arguments.count == 1, let only = arguments.first, only.array == nil else {
                return .array(Array(arguments))
            }
            return only
        }
    }

    /// Sends the queries and prints what came back.
    func run(_ host: HostClient) throws -> ExitStatus {
        var rows = [["QUERY", "ARM", "VERSION", "ANSWER"]]
        var counts: [String: Int] = [:]
        var failures = 0
        for (number, query) in queries.enumerated() {
            let answer = try host.predict(endpoint.name, data: query.text, force: force)
            let json = answer.json
            let arm = json["split"]?["backendName"]?.string ?? "-"
            counts[arm, default: 0] += 1
            if answer.status != 200 { failures += 1 }
            let text = json["data"]?.text ?? json["error"]?.string ?? "status \(answer.status)"
            let shown =
                text.count > Self.answerCharacters
                ? "\(text.prefix(Self.answerCharacters))…" : text
            rows.append([String(number + 1), arm, version(json), Visible.line(shown)])
        }
        StandardStream.output(TextTable.text(rows) + "\n" + shares(counts))
        return failures == 0 ? .success : .failure
    }

    private func version(_ answer: JSONValue) -> String {
        guard let deployment = answer["split"]?["deployment"],
            let branch = deployment["branch"]?.string, let name = deployment["name"]?.string,
            let version = deployment["version"]?.unsigned
        else { return "-" }
        return "\(branch)/\(name)/\(version)"
    }

    /// How many queries each split answered, beside its weight.
    private func shares(_ counts: [String: Int]) -> String {
        let total = endpoint.splits.reduce(0) { $0 + $1.weight }
        let from = source.revision == nil ? "IN FILE" : "WEIGHT"
        var rows = [["ARM", "ANSWERS", "SHARE", from]]
        for split in endpoint.splits {
            let count = counts[split.name, default: 0]
            rows.append([
                split.name, String(count),
                Share.text(Double(count) / Double(queries.count)),
                Share.text(split.weight / total),
            ])
        }
        if let count = counts["-"] {
            rows.append([
                "none", String(count), Share.text(Double(count) / Double(queries.count)), "-",
            ])
        }
        return TextTable.text(rows)
    }
}
