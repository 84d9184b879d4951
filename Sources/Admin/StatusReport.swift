// What an admin sees of a host: its state, its endpoints with the weights that count, its versions
// and where they are in their lives.

import Deployments
import Endpoints
import HTTP
import JSON
import Logging
import Platform
import Serving

/// The state of a host at a moment, as JSON.
struct StatusReport {
    private let control: HostControl
    private let live: LiveState
    private let effective: [String: Endpoint]

    /// The last crashes that are shown; all are under `/admin/v1/crashes`.
    private static let crashesShown = 5

    init(_ control: HostControl) {
        self.control = control
        live = control.board.live
        let endpoints = live.committed.configuration.effectiveEndpoints
        effective = Dictionary(endpoints.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }

    /// Everything.
    var json: JSONValue {
        let (committed, state) = (live.committed, control.state)
        let readiness = Readiness.host(state, committed.snapshot)
        let seconds = (WallTime.now().microseconds - control.startedAt.microseconds) / 1_000_000
        var members: [JSONValue.Member] = [
            .init("version", .string(HostVersion.text)),
            .init("processId", .number("\(CurrentProcess.id)")),
            .init("startedAt", .string(Timestamp.text(control.startedAt))),
            .init("uptimeSeconds", .number("\(max(0, seconds))")),
            .init("ready", .boolean(readiness.isReady)),
            .init("reasons", .array(readiness.reasons.map { .string($0) })),
            .init("configRevision", .number("\(committed.revision.number)")),
            .init("committedAt", .string(committed.revision.created)),
            .init("committedBy", .string(committed.revision.author)),
        ]
        if let number = committed.revision.rollbackOf {
            members.append(.init("rollbackOf", .number("\(number)")))
        }
        if !committed.revision.pins.isEmpty {
            members.append(.init("pins", .array(committed.revision.pins.map(\.json))))
        }
        if let frozen = committed.revision.frozen { members.append(.init("frozen", frozen.json)) }
        if let reason = control.recycleFailure {
            members.append(.init("recycleFailed", .string(reason)))
        }
        let connections = state.connections
        members += [
            .init("listeners", .array(control.addresses.map { .string("\($0)") })),
            .init("loops", .number("\(control.configuration.loops)")),
            .init("connections", .number("\(connections.open)")),
            .init("pluginImages", .number("\(live.shelf.images)")),
            .init("requestLog", requestLog),
            .init("quarantine", .array(control.quarantine.entries.map(\.json))),
            .init("crashes", .array(control.crashes.summaries(Self.crashesShown))),
            .init("endpoints", .array(endpoints)),
            .init("deployments", .array(deployments)),
        ]
        let unloaded = committed.revision.disabled.filter { $0.contains("/") }
        if !unloaded.isEmpty {
            members.append(.init("unloaded", .array(unloaded.map { .string($0) })))
        }
        return .object(members)
    }

    private var requestLog: JSONValue {
        .object([
            .init("failing", .boolean(control.state.isLogFailing)),
            .init("recordsLost", .number("\(control.state.recordsLost)")),
            .init(
                "waitingBytes",
                .number("\(control.rings.reduce(0) { $0 + $1.waitingBytes })")
            ),
        ])
    }

    // MARK: Endpoints

    /// Every endpoint, sorted by name.
    var endpoints: [JSONValue] {
        let prepared = Dictionary(
            live.committed.snapshot.endpoints.map { ($0.name, $0) },
            uniquingKeysWith: { $1 }
        )
        return live.committed.configuration.endpoints.compactMap { endpoint in
            prepared[endpoint.name].map { json(endpoint, $0) }
        }
    }

    /// One endpoint by its name.
    func endpoint(_ name: String) -> AdminAnswer {
        guard
            let endpoint = live.committed.configuration.endpoints.first(where: { $0.name == name }),
            let prepared = live.committed.snapshot.endpoints.first(where: { $0.name == name })
        else {
            return AdminAnswer(
                .notFound,
                "endpoint_not_found",
                live.committed.configuration.missing(endpoint: name)
            )
        }
        return AdminAnswer(.ok, json(endpoint, prepared))
    }

    private func json(_ endpoint: Endpoint, _ prepared: PreparedEndpoint) -> JSONValue {
        let now = effective[endpoint.name] ?? endpoint
        var members: [JSONValue.Member] = [
            .init("endpointName", .string(endpoint.name)),
            .init("service", .string(endpoint.service)),
            .init("ready", .boolean(Readiness.endpoint(prepared).isReady)),
        ]
        if let experiment = endpoint.experiment {
            let key: JSONValue =
                switch experiment.subjectKey {
                case .member(let name): .string(name)
                case .argument(let position): .number("\(position)")
                }
            members += [
                .init("experimentId", .string(experiment.id)), .init("subjectKey", key),
            ]
        }
        members.append(.init("configRevision", .number("\(live.committed.revision.number)")))
        let pins = live.committed.revision.pins.filter { $0.isMeant(by: endpoint.name) }
        if !pins.isEmpty { members.append(.init("pins", .array(pins.map(\.json)))) }
        if prepared.isDisabled { members.append(.init("disabled", .boolean(true))) }
        if let fallback = endpoint.fallback { members.append(.init("fallback", .string(fallback))) }
        let weights = live.committed.configuration.liveWeights
        if let weights = weights.first(where: { $0.endpoint == endpoint.name }) {
            members.append(.init("liveWeights", weights.json))
        }
        let shares = now.shares
        let splits = zip(zip(now.splits, endpoint.splits), prepared.splits).map { pair, prepared in
            split(pair.0, inFile: pair.1, prepared, shares[pair.0.name] ?? 0)
        }
        return .object(members + [.init("splits", .array(splits))])
    }

    private func split(
        _ split: Split,
        inFile file: Split,
        _ prepared: PreparedSplit,
        _ share: Double
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("backendName", .string(split.name)),
            .init("weight", .number(split.weightText)),
            .init("fileWeight", .number(file.weightText)),
            .init("share", .number("\(share)")),
        ]
        switch split.backend {
        case .value(let value):
            members.append(.init("value", (try? JSONValue(parsing: Array(value.utf8))) ?? .null))
        case .deployment(let reference):
            var deployment: [JSONValue.Member] = [
                .init("branch", .string(reference.branch)), .init("name", .string(reference.name)),
            ]
            if case .model(let model) = prepared.backend {
                deployment.append(.init("version", .number("\(model.version.number)")))
            }
            if let alias = reference.version.alias {
                deployment.append(.init("alias", .string(alias)))
            }
            members.append(.init("deployment", .object(deployment)))
        }
        let counts = prepared.metrics.counts
        members += [
            .init("requests", .number("\(counts.requests)")),
            .init("errors", .number("\(prepared.metrics.errors.total)")),
        ]
        return .object(members)
    }

    // MARK: Versions

    /// Every version in memory, and those that could not be loaded: `ready`, `unhealthy`, `kept`
    /// (served until a moment ago), `draining` (waits for its last request), `failed`.
    var deployments: [JSONValue] {
        let snapshot = live.committed.snapshot
        var seen = Set(snapshot.models.map { ObjectIdentifier($0) })
        let aliases = snapshot.aliases
        var list = snapshot.models.map { model in
            let state = Self.state(model)
            let names = aliases[ObjectIdentifier(model), default: []]
            return version(model, state, reason: model.ailment, aliases: names)
        }
        for (model, until) in live.shelf.kept
        where seen.insert(ObjectIdentifier(model)).inserted {
            let left = until - min(until, MonotonicClock.now())
            list.append(
                version(model, "kept", reason: "kept for \(left / 1_000_000_000) s more")
            )
        }
        for model in control.retiring where seen.insert(ObjectIdentifier(model)).inserted {
            list.append(version(model, "draining", reason: "waits for its last request"))
        }
        list += live.shelf.failures.map { failure in
            .object([
                .init("branch", .string(failure.deployment.branch)),
                .init("name", .string(failure.deployment.name)),
                .init("version", .number("\(failure.number)")),
                .init("state", .string("failed")), .init("reason", .string(failure.reason)),
            ])
        }
        return list
    }

    /// The word for what a version that is served is.
    private static func state(_ model: ServedModel) -> String {
        switch model.version.absence {
        case .loading: "loading"
        case .quarantined: "quarantined"
        case .unloadable: "failed"
        case nil: model.ailment == nil ? "ready" : "unhealthy"
        }
    }

    private func version(
        _ model: ServedModel,
        _ state: String,
        reason: String?,
        aliases: [String] = []
    ) -> JSONValue {
        let version = model.version
        var members: [JSONValue.Member] = [
            .init("branch", .string(version.deployment.branch)),
            .init("name", .string(version.deployment.name)),
            .init("version", .number("\(version.number)")),
            .init("state", .string(state)),
        ]
        if let reason { members.append(.init("reason", .string(reason))) }
        let load = model.pool.load
        members += [
            .init("aliases", .array(aliases.map { .string($0) })),
            .init("sha256", .string(version.pluginHash)),
            .init(
                "execution",
                .object([
                    .init("mode", .string(version.execution.mode.rawValue)),
                    .init("runsOn", .string(model.currentPlace == .loop ? "loops" : "pool")),
                    .init("threads", .number("\(version.execution.threads)")),
                    .init("queue", .number("\(version.execution.queue)")),
                    .init("waiting", .number("\(load.waiting)")),
                    .init("refused", .number("\(load.refused)")),
                ])
            ),
        ]
        return .object(members)
    }
}
