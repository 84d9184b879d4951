// What Open Inference asks beside inferences: how the server and its models are, what they take.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Platform
import Surfaces

extension ServingLoop {
    /// Answers a question about the server, or about one of its models.
    func answerModel(
        _ exchange: Exchange,
        _ verb: Route.OpenInferenceVerb,
        _ text: Span<UInt8>,
        _ name: Range<Int>,
        _ version: Range<Int>?,
        _ content: Span<UInt8>
    ) {
        do throws(Failure) {
            switch verb {
            case .server: answerPlain(exchange) { $0.body.append($0.serverMetadata.text) }
            case .live: answerPlain(exchange) { _ = $0.writeHealth(isLive: true) }
            case .ready:
                answerReadiness(exchange, Readiness.host(state, snapshot))
            case .index:
                guard exchange.head.method == .post else { return refuseMethod("POST", exchange) }
                let index = try RepositoryIndex(snapshot, content)
                body.append(index.json.text)
                finishAnswer(.ok, exchange.connection)
            case .control:
                throw Failure(
                    .modelControlOff,
                    "model control is off on the clients' listener; admins load and unload on the "
                        + "admin listener"
                )
            case .statistics:
                let value = ModelStatistics.json(snapshot, nil)
                answerPlain(exchange) { $0.body.append(value.text) }
            case .model, .modelReady, .configuration, .modelStatistics, .infer:
                let model = try findModel(text, name, version)
                answer(exchange, verb, model, Bytes.string(text, name))
            }
        } catch {
            fail(error, exchange)
        }
    }

    private func answer(
        _ exchange: Exchange,
        _ verb: Route.OpenInferenceVerb,
        _ model: ModelTarget,
        _ name: String
    ) {
        switch verb {
        case .modelReady: answerReadiness(exchange, model.readiness(name))
        case .configuration:
            answerPlain(exchange) { $0.body.append(model.configuration(name).text) }
        case .modelStatistics:
            let value = ModelStatistics.json(snapshot, (name, model))
            answerPlain(exchange) { $0.body.append(value.text) }
        default:
            answerPlain(exchange) { $0.body.append(model.metadata(name, $0.snapshot).text) }
        }
    }

    private func answerReadiness(_ exchange: Exchange, _ readiness: Readiness) {
        let method = exchange.head.method
        guard method == .get || method == .head else { return refuseMethod("GET, HEAD", exchange) }
        body.append(readiness.json.text)
        finishAnswer(
            readiness.isReady ? .ok : .serviceUnavailable,
            exchange.connection,
            withBody: method != .head
        )
    }

    private var serverMetadata: JSONValue {
        .object([
            .init("name", .string("switchyard")),
            .init("version", .string(HostVersion.text)),
            .init(
                "extensions",
                .array(
                    [
                        "binary_tensor_data", "model_configuration", "model_repository",
                        "parameters", "statistics",
                    ].map { .string($0) }
                )
            ),
        ])
    }
}

extension ModelTarget {
    /// Whether it can answer.
    func readiness(_ name: String) -> Readiness {
        switch target {
        case .endpoint(let endpoint):
            guard let arm, !endpoint.isDisabled,
                case .model(let model) = endpoint.splits[arm].backend
            else { return Readiness.endpoint(endpoint) }
            return Readiness.version(model)
        case .deployment(let split):
            guard case .model(let model) = split.backend else { return Readiness() }
            return Readiness.version(model)
        }
    }

    /// Its tensors, or those of the split that is meant.
    var facts: TensorFacts {
        if case .endpoint(let endpoint) = target, let arm {
            TensorFacts(endpoint.splits[arm])
        } else {
            TensorFacts(target)
        }
    }

    /// `{"name": …, "versions": […], "platform": …, "inputs": […], "outputs": […]}`
    func metadata(_ name: String, _ snapshot: ServingSnapshot) -> JSONValue {
        let facts = facts
        return .object([
            .init("name", .string(name)),
            .init("versions", .array(versions(snapshot).map { .string($0) })),
            .init("platform", .string("switchyard")),
            .init("inputs", .array(facts.inputs.map(\.json))),
            .init("outputs", .array(facts.outputs.map(\.json))),
        ])
    }

    /// The splits of an endpoint, the loaded numbers of a deployment.
    private func versions(_ snapshot: ServingSnapshot) -> [String] {
        switch target {
        case .endpoint(let endpoint):
            return endpoint.splits.map { String(decoding: $0.name, as: UTF8.self) }
        case .deployment(let split):
            guard case .model(let model) = split.backend else { return [] }
            let numbers = snapshot.models.filter {
                $0.version.deployment == model.version.deployment
            }
            return numbers.map(\.version.number).sorted().map(String.init)
        }
    }

    /// What Triton calls a model's configuration, as far as there is such a thing here.
    func configuration(_ name: String) -> JSONValue {
        let facts = facts
        return .object([
            .init("name", .string(name)), .init("platform", .string("switchyard")),
            .init("backend", .string("switchyard")), .init("max_batch_size", .number("0")),
            .init("input", .array(facts.inputs.map(\.configuration))),
            .init("output", .array(facts.outputs.map(\.configuration))),
        ])
    }
}

extension TensorDescription {
    fileprivate var shapeJSON: JSONValue { .array(shape.map { .number("\($0)") }) }

    /// `{"name": …, "datatype": …, "shape": […]}`
    var json: JSONValue {
        .object([
            .init("name", .string(name)), .init("datatype", .string("\(datatype.name)")),
            .init("shape", shapeJSON),
        ])
    }

    /// `{"name": …, "data_type": …, "dims": […]}`
    fileprivate var configuration: JSONValue {
        let type = datatype == .bytes ? "STRING" : "\(datatype.name)"
        return .object([
            .init("name", .string(name)), .init("data_type", .string("TYPE_\(type)")),
            .init("dims", shapeJSON),
        ])
    }
}
