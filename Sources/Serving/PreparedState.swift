// Everything that a new state needs, loaded and checked: what the snapshot is built from.

import Deployments
import Endpoints
import Surfaces

/// A reference and the live model that it stands for.
typealias ResolvedModel = (reference: DeploymentReference, found: ServedModel)

/// A state that can be served.
struct PreparedState {
    let configuration: HostConfiguration
    /// The endpoints with the weights that count.
    let endpoints: [Endpoint]
    let resolved: [ResolvedModel]
    /// What is not as it was asked for, and no reason to refuse it.
    let notes: [StateChange]

    /// Every model, each once.
    var models: [ServedModel] { resolved.map(\.found).distinct }

    /// The snapshot that requests are answered from.
    func snapshot(
        revision: Int,
        degraded: String?,
        _ series: inout SeriesBook
    ) -> ServingSnapshot {
        series.beginState()
        let models = Dictionary(uniqueKeysWithValues: resolved.map { ($0.reference, $0.found) })
        return ServingSnapshot(
            revision: revision,
            endpoints: endpoints.map { endpoint in
                PreparedEndpoint(
                    endpoint: endpoint,
                    splits: endpoint.splits.map {
                        prepare($0, of: endpoint, models, revision, &series)
                    },
                    unassigned: series.unassigned(endpoint.name),
                    isDisabled: configuration.disabled.contains(endpoint.name)
                )
            },
            deployments: resolved.map {
                PreparedDeployment(
                    reference: $0.reference,
                    model: $0.found,
                    metrics: series.metrics(Self.key("", "", $0.found.version))
                )
            },
            degraded: degraded,
            unloaded: configuration.disabled.filter { $0.contains("/") }
        )
    }

    private func prepare(
        _ split: Split,
        of endpoint: Endpoint,
        _ models: [DeploymentReference: ServedModel],
        _ revision: Int,
        _ series: inout SeriesBook
    ) -> PreparedSplit {
        let backend: PreparedBackend
        var version: LoadedVersion?
        switch split.backend {
        case .value(let text):
            backend = .value(Array(text.utf8))
        case .deployment(let reference):
            guard let model = models[reference] else {
                preconditionFailure("every reference was resolved before anything is built")
            }
            backend = .model(model)
            version = model.version
        }
        return PreparedSplit(
            name: split.name,
            backend: backend,
            text: SplitText(
                endpoint: endpoint,
                split: split,
                version: version?.number,
                revision: revision,
                output: version?.description.output ?? .unknown
            ),
            metrics: series.metrics(Self.key(endpoint.name, split.name, version))
        )
    }

    private static func key(
        _ endpoint: String,
        _ split: String,
        _ version: LoadedVersion?
    ) -> SeriesKey {
        var key = SeriesKey(endpoint: endpoint, split: split)
        if let version {
            key.branch = version.deployment.branch
            key.deployment = version.deployment.name
            key.version = "\(version.number)"
        }
        return key
    }
}

extension Committed {
    /// Lines for the person who looks on while a host starts: one for each thing that is live.
    package var report: [String] {
        let names = snapshot.aliases
        var lines = models.map { model in
            let aliases = names[ObjectIdentifier(model), default: []]
            let version = model.version
            return "loaded \(version.deployment) version \(version.number) "
                + "(sha256 \(version.pluginHash.prefix(12)))"
                + (aliases.isEmpty ? "" : ": \(aliases.joined(separator: ", "))")
                + (model.currentPlace == .loop
                    ? "" : "; \(model.pool.threadsMaximum) thread(s) of its own")
        }
        let live = Dictionary(
            uniqueKeysWithValues: configuration.liveWeights.map { ($0.endpoint, $0) }
        )
        lines += configuration.effectiveEndpoints.map { endpoint in
            let splits = endpoint.splits.map { "\($0.name) \($0.weightText)" }
            return "endpoint \(endpoint.name): \(splits.joined(separator: ", "))"
                + (live[endpoint.name].map { "; live weights of \($0.author) since \($0.since)" }
                    ?? "")
        }
        lines.append(
            "revision \(revision.number), committed \(revision.created)"
                + (revision.rollbackOf.map { "; rolled back to revision \($0)" } ?? "")
        )
        return lines
    }
}
