// What admins do with the client of the Dataiku API node: a service is a group of endpoints, a
// generation is a split. Each verb that changes something is one commit.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Serving
import Surfaces

extension AdminRouter {
    /// Routes what stands behind `/admin/api/`.
    func routeDataiku(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        let isReading = request.method == .get || request.method == .head
        let isPosting = request.method == .post
        switch (parts.first, parts.count) {
        case ("services", 1) where isReading: return services()
        case ("services", 1) where isPosting:
            var answer = AdminAnswer(
                .methodNotAllowed,
                "method_not_allowed",
                "this path takes GET, HEAD; a service is a word in the files of its endpoints: "
                    + "write endpoints/NAME.yaml with 'service: ID' and run 'switchyard reload'"
            )
            answer.fields = "Allow: GET, HEAD\r\n"
            return answer
        case ("services", 1): return .notAllowed("GET, HEAD")
        case ("services", 2):
            guard request.method == .delete else { return .notAllowed("DELETE") }
            return notBuilt("remove the files of its endpoints and run 'switchyard reload'")
        case ("services", 3) where parts[2] == "generations":
            guard isReading else { return .notAllowed("GET, HEAD") }
            return generations(parts[1])
        case ("services", 5) where parts[2] == "generations" && parts[4] == "preload":
            return isPosting ? preload(parts[3], parts[1], request) : .notAllowed("POST")
        case ("services", 5) where parts[2] == "generations" && parts[4] == "importFromArchive":
            return notBuilt(Self.deployInstead)
        case ("services", 4) where parts[2] == "actions" && parts[3] != "switchTo":
            return isPosting ? act(parts[3], parts[1], request, later) : .notAllowed("POST")
        case ("services", 5) where parts[2] == "actions" && parts[3] == "switchTo":
            return isPosting ? switchTo(parts[4], parts[1], request, later) : .notAllowed("POST")
        case ("keys", _):
            return notBuilt("edit the file of --admin-key-file: a change counts at once")
        case ("metrics", 1): return notBuilt("GET /metrics has them, as Prometheus reads them")
        default:
            return AdminAnswer(
                .notFound,
                "route_not_found",
                "this host has no such verb; GET /openapi.json says what there is"
            )
        }
    }

    private static let deployInstead =
        "run 'switchyard deploy NAME PLUGIN.so' beside the host, then reload"

    private func notBuilt(_ advice: String) -> AdminAnswer {
        AdminAnswer(.notImplemented, "unsupported", "this host does not do that: \(advice)")
    }

    // MARK: Looking

    /// What is live of a service.
    private struct Service {
        let id: String
        /// With the weights that count, sorted by name, and as they are prepared.
        let endpoints: [(endpoint: Endpoint, prepared: PreparedEndpoint)]

        /// The names of its splits, each once, sorted.
        var generations: [String] {
            Set(endpoints.flatMap { $0.endpoint.splits.map(\.name) }).sorted()
        }
    }

    private func service(_ id: String) throws(AdminAnswer.Refusal) -> Service {
        let live = control.board.live.committed
        let prepared = Dictionary(
            live.snapshot.endpoints.map { ($0.name, $0) },
            uniquingKeysWith: { $1 }
        )
        let endpoints = live.configuration.effectiveEndpoints.filter { $0.service == id }
        guard !endpoints.isEmpty else {
            let known = Set(live.configuration.endpoints.map(\.service)).sorted()
                .joined(separator: ", ")
            throw AdminAnswer.Refusal.missing(
                "service_not_found",
                "there is no service '\(id.prefix(100))'; there are \(known)"
            )
        }
        return Service(
            id: id,
            endpoints: endpoints.compactMap { endpoint in
                prepared[endpoint.name].map { (endpoint, $0) }
            }
        )
    }

    private func services() -> AdminAnswer {
        let live = control.board.live.committed
        let ids = Set(live.configuration.endpoints.map(\.service)).sorted()
        let disabled = Set(live.configuration.disabled)
        return AdminAnswer(
            .ok,
            .array(
                ids.map { id in
                    let isOn = live.configuration.endpoints.contains {
                        $0.service == id && !disabled.contains($0.name)
                    }
                    return .object([
                        .init("serviceId", .string(id)), .init("enabled", .boolean(isOn)),
                    ])
                }
            )
        )
    }

    /// Every generation with its version and its probability, of each endpoint.
    private func generations(_ id: String) -> AdminAnswer {
        do throws(AdminAnswer.Refusal) {
            let service = try service(id)
            let list = service.generations.map { generation in
                var members: [JSONValue.Member] = [
                    .init("tag", .string(generation)), .init("generation", .string(generation)),
                    .init("mounted", .boolean(true)),
                ]
                if let created = created(generation, service) {
                    members.append(.init("createdOn", .string(created)))
                }
                let endpoints = service.endpoints.compactMap {
                    endpoint($0.endpoint, $0.prepared, generation)
                }
                members.append(.init("endpoints", .array(endpoints)))
                return JSONValue.object(members)
            }
            return AdminAnswer(.ok, .object([.init("generations", .array(list))]))
        } catch {
            return error.answer
        }
    }

    /// When the newest build of a generation was deployed; nil: it has none.
    private func created(_ generation: String, _ service: Service) -> String? {
        let times = service.endpoints.compactMap { pair -> String? in
            guard
                let split = pair.prepared.splits.first(where: {
                    $0.name.elementsEqual(generation.utf8)
                }),
                case .model(let model) = split.backend
            else { return nil }
            let version = model.version
            return try? control.store.manifest(version.deployment, version.number).created
        }
        return times.max()
    }

    private func endpoint(
        _ endpoint: Endpoint,
        _ prepared: PreparedEndpoint,
        _ generation: String
    ) -> JSONValue? {
        guard let index = endpoint.splits.firstIndex(where: { $0.name == generation }) else {
            return nil
        }
        var members: [JSONValue.Member] = [
            .init("endpointId", .string(endpoint.name)),
            .init("proba", .number("\(endpoint.shares[generation] ?? 0)")),
        ]
        if case .model(let model) = prepared.splits[index].backend {
            let version = model.version
            members.append(
                .init(
                    "deployment",
                    .object([
                        .init("branch", .string(version.deployment.branch)),
                        .init("name", .string(version.deployment.name)),
                        .init("version", .number("\(version.number)")),
                    ])
                )
            )
        }
        return .object(members)
    }

    // MARK: Changing

    private func act(
        _ verb: String,
        _ id: String,
        _ request: AdminRequest,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let service = try service(id)
            switch verb {
            case "setMapping":
                let mapping = try Self.mapping(request)
                return try commit(.mapping(service: id, mapping), request, Self.told(later))
            case "switchToNewest":
                let dated = service.generations.compactMap { generation in
                    created(generation, service).map { ($0, generation) }
                }
                guard let newest = dated.max(by: { $0 < $1 }) else {
                    throw Self.misfit("no generation of '\(id)' has a build: none is the newest")
                }
                return try switchAll(to: newest.1, id, request, later)
            case "enable", "disable":
                let names = service.endpoints.map(\.endpoint.name)
                return try commit(.enable(names, verb == "enable"), request, Self.told(later))
            case "importFromArchive":
                return notBuilt(Self.deployInstead)
            default:
                throw AdminAnswer.Refusal.missing(
                    "route_not_found",
                    "a service has the actions setMapping, switchToNewest, switchTo, enable and "
                        + "disable, not '\(verb.prefix(40))'"
                )
            }
        } catch {
            return refused(verb, request, error)
        }
    }

    private func switchTo(
        _ generation: String,
        _ id: String,
        _ request: AdminRequest,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            try require(generation, of: try service(id))
            return try switchAll(to: generation, id, request, later)
        } catch {
            return refused("switchTo", request, error)
        }
    }

    private func switchAll(
        to generation: String,
        _ id: String,
        _ request: AdminRequest,
        _ later: @escaping Completion
    ) throws(AdminAnswer.Refusal) -> AdminAnswer? {
        let weights = [(split: generation, weight: Weight.one)]
        return try commit(.mapping(service: id, weights), request, Self.told(later))
    }

    private func require(
        _ generation: String,
        of service: Service
    ) throws(AdminAnswer.Refusal) {
        guard !service.generations.contains(generation) else { return }
        throw AdminAnswer.Refusal.missing(
            "generation_not_found",
            "the service '\(service.id)' has no generation '\(generation.prefix(100))'; it has "
                + service.generations.joined(separator: ", ")
        )
    }

    /// Every build that a split names is loaded already; whether it can answer is said here.
    private func preload(
        _ generation: String,
        _ id: String,
        _ request: AdminRequest
    ) -> AdminAnswer {
        do throws(AdminAnswer.Refusal) {
            let service = try service(id)
            try require(generation, of: service)
            for (_, prepared) in service.endpoints {
                for split in prepared.splits where split.name.elementsEqual(generation.utf8) {
                    guard case .model(let model) = split.backend, let ailment = model.ailment
                    else { continue }
                    throw AdminAnswer.Refusal(
                        "the generation '\(generation)' cannot answer: \(ailment)",
                        status: .conflict,
                        code: "not_ready"
                    )
                }
            }
            control.audit.write(
                "preload",
                author: request.author,
                outcome: "unchanged",
                [.init("service", .string(id)), .init("generation", .string(generation))]
            )
            return AdminAnswer(.ok, .object([.init("ok", .boolean(true))]))
        } catch {
            return refused("preload", request, error)
        }
    }

    /// The shares of a mapping: `{"entries": [{"generation": …, "proba": …}, …]}`, or the list.
    private static func mapping(
        _ request: AdminRequest
    ) throws(AdminAnswer.Refusal) -> [(split: String, weight: Weight)] {
        let wanted =
            "wanted {\"entries\": [{\"generation\": \"v1\", \"proba\": 0.7}, …]}, or that list "
            + "alone"
        let value = try request.value(advice: "; \(wanted)")
        guard let entries = value["entries"]?.array ?? value.array else {
            throw AdminAnswer.Refusal(wanted)
        }
        var weights: [(split: String, weight: Weight)] = []
        for (index, entry) in entries.enumerated() {
            guard let generation = entry["generation"]?.string,
                case .number(let text) = entry["proba"] ?? .null, let number = Double(text),
                number >= 0, number <= 1
            else {
                throw AdminAnswer.Refusal(
                    "entry \(index) is \(entry.text.prefix(100)); \(wanted), each \"proba\" from 0 "
                        + "to 1"
                )
            }
            guard !weights.contains(where: { $0.split == generation }) else {
                throw misfit("the generation '\(generation.prefix(100))' is there twice")
            }
            guard let weight = Weight(text) else {
                throw misfit("the probability \(text.prefix(40)) is not \(Weight.rule)")
            }
            weights.append((generation, weight))
        }
        let sum = weights.reduce(0) { $0 + $1.weight.number }
        guard abs(sum - 1) <= 1e-6 else {
            throw misfit("the probabilities add up to \(sum); wanted 1, to a millionth")
        }
        return weights
    }

    /// A mapping that is understood, and cannot be.
    private static func misfit(_ sentence: String) -> AdminAnswer.Refusal {
        AdminAnswer.Refusal(sentence, status: .conflict, code: "commit_failed")
    }

    /// A commit as this client is told of it.
    private static func told(_ later: @escaping Completion) -> Completion {
        { answer in
            guard answer.failure == nil, let value = try? JSONValue(parsing: answer.body),
                let members = value.object
            else { return later(answer) }
            later(AdminAnswer(answer.status, .object([.init("ok", .boolean(true))] + members)))
        }
    }
}
