// What a refusal says of a name that means nothing. Whoever asks for such names again and again is
// answered as quickly as anybody else, so nothing here looks through all that there is.

import Bytes
import Deployments
import Endpoints
package import Surfaces

/// The names of a snapshot, by what they are looked up for.
struct KnownNames: Sendable {
    /// Endpoints by their names.
    let endpoints: [String: PreparedEndpoint]
    /// Loaded versions by their deployment, as `branch/name`.
    let versions: [String: [PreparedDeployment]]
    /// Names of endpoints by their service.
    let services: [String: [String]]
    /// The names that can be asked for, and those of services.
    let callable: SuggestionIndex
    let serviceNames: SuggestionIndex

    init(_ endpoints: [PreparedEndpoint], _ deployments: [PreparedDeployment]) {
        self.endpoints = Dictionary(
            endpoints.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        versions = Dictionary(grouping: deployments) { $0.reference.deployment }
        services = Dictionary(grouping: endpoints) { $0.service }.mapValues { $0.map(\.name) }
        var names = endpoints.map(\.name)
        for list in versions.values where self.endpoints[list[0].reference.name] == nil {
            names.append(list[0].reference.name)
        }
        callable = SuggestionIndex(names)
        serviceNames = SuggestionIndex(Array(services.keys))
    }

    /// How many names one sentence lists.
    private static let listed = 10

    /// `a, b and 3 more`
    static func list(_ names: [String]) -> String {
        guard names.count > listed else { return names.joined(separator: ", ") }
        return "\(names.prefix(listed).joined(separator: ", ")) and \(names.count - listed) more"
    }

    /// `; did you mean 'x'?`, or nothing.
    static func hint(_ guess: String?) -> String { guess.map { "; did you mean '\($0)'?" } ?? "" }
}

extension ServingSnapshot {
    /// Why a service and an endpoint, with a slash between them, name nothing.
    func missing(service path: String) -> Failure {
        let parts = path.split(separator: "/", maxSplits: 1).map(String.init)
        let (service, name) = (parts.first ?? "", parts.last ?? "")
        if let inService = names.services[service] {
            return Failure(
                .endpointNotFound,
                "the service '\(service)' has no endpoint '\(name.prefix(Names.lengthMaximum))'; "
                    + "it has \(KnownNames.list(inService))"
            )
        }
        return Failure(
            .endpointNotFound,
            "there is no service '\(service.prefix(Names.lengthMaximum))'"
                + KnownNames.hint(names.serviceNames.nearest(to: service))
        )
    }

    /// Why Open Inference's name of a model, and of a version, names nothing.
    func missing(model name: String, version: String?) -> Failure {
        guard let version else {
            guard name.contains("~") else { return missing(name) }
            return missing(model: name, version: "latest")
        }
        if let endpoint = names.endpoints[name] {
            let arms = endpoint.splits.map { String(decoding: $0.name, as: UTF8.self) }
            return Failure(
                .backendNotFound,
                "the endpoint '\(name)' has no split '\(version.prefix(Names.lengthMaximum))'; its "
                    + "versions are its splits: \(arms.joined(separator: ", "))"
            )
        }
        let parts = name.split(separator: "~")
        guard parts.count > 1, let last = parts.last else {
            return missing("\(name)/\(version)")
        }
        return missing("\(last)/\(parts.dropLast().joined(separator: "~"))/\(version)")
    }

    /// Why a path, without its `/v1/`, names nothing.
    package func missing(_ path: String) -> Failure {
        let parts = path.split(separator: "/").map { String($0.prefix(Names.lengthMaximum)) }
        guard parts.count > 1, let name = parts.first, let version = parts.last else {
            guard !unloaded.contains("main/\(path)") else { return Self.isUnloaded("main/\(path)") }
            return Failure(
                .endpointNotFound,
                "there is no endpoint and no deployment '\(parts.first ?? "")'"
                    + KnownNames.hint(names.callable.nearest(to: path))
            )
        }
        let branch = parts.count == 3 ? Names.branch(ofFolder: parts[1]) : "main"
        let deployment = "\(branch)/\(name)"
        guard !unloaded.contains(deployment) else { return Self.isUnloaded(deployment) }
        guard let loaded = names.versions[deployment] else {
            guard names.endpoints[name] == nil else {
                return Failure(
                    .deploymentNotFound,
                    "'\(name)' is an endpoint, which has no versions: leave '\(version)' out, or "
                        + "name a deployment"
                )
            }
            return Failure(
                .deploymentNotFound,
                "there is no deployment '\(deployment)' with a version that can be loaded"
            )
        }
        let versions = loaded.map { deployment in
            let number = deployment.version.number
            return deployment.reference.version.alias.map { "\(number) (\($0))" } ?? "\(number)"
        }
        return Failure(
            .versionNotLoaded,
            "the version '\(version)' of \(deployment) is not loaded; loaded are "
                + "\(KnownNames.list(versions)); a version is loaded once an endpoint or an alias "
                + "names it"
        )
    }

    private static func isUnloaded(_ deployment: String) -> Failure {
        Failure(.versionNotLoaded, "\(deployment) is switched off at the moment")
    }
}
