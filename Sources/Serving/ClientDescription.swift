// The document at `/openapi.json` of the clients' listener: what there is to ask at this moment,
// made from the live snapshot and from what the models say of themselves.
//
// It is written out on a loop, so it is kept as long as the snapshot lives, and names at most so
// many endpoints and deployments.

import Bytes
import Deployments
import Endpoints
import JSON
import Surfaces

/// Describes a snapshot in OpenAPI 3.1.
struct ClientDescription {
    private typealias Member = JSONValue.Member

    /// Endpoints and deployments that one document describes.
    static let targetsMaximum = 100

    private let snapshot: ServingSnapshot
    private var paths: [JSONValue.Member] = []

    init(_ snapshot: ServingSnapshot) {
        self.snapshot = snapshot
        for path in ClientSchemas.fixedPaths { paths.append(path) }
        var left = Self.targetsMaximum
        for endpoint in snapshot.endpoints.prefix(left) { add(endpoint) }
        left -= min(left, snapshot.endpoints.count)
        let named = Set(snapshot.endpoints.map(\.name))
        let direct = snapshot.deployments.filter {
            $0.reference.version == .latest && $0.reference.branch == "main"
                && !named.contains($0.reference.name)
        }
        for deployment in direct.prefix(left) { add(deployment) }
    }

    /// The document.
    var json: JSONValue {
        let all = snapshot.endpoints.count
        let note =
            all > Self.targetsMaximum
            ? " Of \(all) endpoints the first \(Self.targetsMaximum) are described." : ""
        return .object([
            .init("openapi", .string("3.1.0")),
            .init(
                "info",
                .object([
                    .init("title", .string("Switchyard")),
                    .init("version", .string("\(HostVersion.text)+revision.\(snapshot.revision)")),
                    .init("description", .string(ClientSchemas.about + note)),
                ])
            ), .init("servers", .array([.object([.init("url", .string("/"))])])),
            .init("paths", .object(paths)),
            .init(
                "components",
                .object([
                    .init("schemas", .object(ClientSchemas.shared)),
                    .init("responses", .object(ClientSchemas.failures)),
                ])
            ),
        ])
    }

    // MARK: Targets

    private mutating func add(_ endpoint: PreparedEndpoint) {
        let models = endpoint.splits.map(TargetModel.init)
        let target = DescribedTarget(endpoint.name, models, subject: endpoint.subjectMember)
        addNative("/v1/\(endpoint.name)", target)
        let base = "/public/api/v1/\(endpoint.service)/\(endpoint.name)"
        let generations = endpoint.splits.map { String(decoding: $0.name, as: UTF8.self) }
        addPost("\(base)/predict", "dataiku", target.dataiku(generations, isMulti: false))
        addPost("\(base)/predict-multi", "dataiku", target.dataiku(generations, isMulti: true))
        addModel(endpoint.name, target)
    }

    private mutating func add(_ deployment: PreparedDeployment) {
        let name = deployment.reference.name
        let target = DescribedTarget(name, [TargetModel(deployment.version)], subject: nil)
        addNative("/v1/\(name)", target)
        addModel(name, target)
    }

    private mutating func addNative(_ path: String, _ target: DescribedTarget) {
        addPost(path, "native", target.native)
    }

    private mutating func addModel(_ name: String, _ target: DescribedTarget) {
        addPost("/v2/models/\(name)/infer", "v2", target.openInference)
        for (suffix, schema) in [
            ("", "ModelMetadata"), ("/config", "ModelConfiguration"), ("/stats", "ModelStatistics"),
        ] {
            paths.append(ClientSchemas.get("/v2/models/\(name)\(suffix)", "v2", schema))
        }
        paths.append(ClientSchemas.readiness("/v2/models/\(name)/ready"))
    }

    private mutating func addPost(_ path: String, _ tag: String, _ operation: DescribedOperation) {
        let error = tag == "dataiku" ? "DataikuFailure" : "Failure"
        var content = [Member("application/json", .object([.init("schema", operation.answer)]))]
        if tag == "v2" {
            content.append(
                .init("application/octet-stream", .object([]))
            )
        }
        let body: JSONValue = .object([
            .init("required", .boolean(true)),
            .init(
                "content",
                .object([
                    .init(
                        "application/json",
                        .object(
                            [.init("schema", operation.request)]
                                + (operation.examples.isEmpty
                                    ? [] : [.init("examples", .object(operation.examples))])
                        )
                    )
                ])
            ),
        ])
        let responses: JSONValue = .object([
            .init(
                "200",
                .object([
                    .init("description", .string("The prediction, and which split made it.")),
                    .init("content", .object(content)),
                ])
            ),
            .init(
                "default",
                .object([.init("$ref", .string("#/components/responses/\(error)"))])
            ),
        ])
        paths.append(
            .init(
                path,
                .object([
                    .init(
                        "post",
                        .object([
                            .init("tags", .array([.string(tag)])),
                            .init("summary", .string(operation.summary)),
                            .init("requestBody", body), .init("responses", responses),
                        ])
                    )
                ])
            )
        )
    }
}

/// What a document says of one way to ask.
struct DescribedOperation {
    let summary: String
    let request: JSONValue
    let answer: JSONValue
    let examples: [JSONValue.Member]
}

extension PreparedEndpoint {
    /// The member of an argument that says whose request it is.
    fileprivate var subjectMember: String? {
        if case .member(let name) = subjectKey { name } else { nil }
    }
}

extension ServingLoop {
    /// Writes the description of what is live.
    func writeDescription() {
        if description.isEmpty {
            description = Array(ClientDescription(snapshot).json.text.utf8)
        }
        body.append(contentsOf: description)
    }
}
