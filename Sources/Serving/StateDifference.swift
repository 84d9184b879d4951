// What is different between two states of a host, for people and for tools: what a commit changes,
// or would.

import Bytes
import Deployments
package import Endpoints
package import JSON

/// A state of a host: what is served, or would be.
package struct HostConfiguration: Sendable {
    /// As the files say, sorted by name.
    package var endpoints: [Endpoint]
    package var liveWeights: [LiveWeights]
    package var versions: [Revision.ResolvedVersion]
    /// The revision that was gone back to; nil where the files count.
    package var rollbackOf: Int?
    /// See `Revision.disabled`.
    package var disabled: [String]

    package init(
        endpoints: [Endpoint],
        liveWeights: [LiveWeights],
        versions: [Revision.ResolvedVersion],
        rollbackOf: Int? = nil,
        disabled: [String] = []
    ) {
        self.disabled = disabled
        self.rollbackOf = rollbackOf
        self.endpoints = endpoints
        self.liveWeights = liveWeights
        self.versions = versions
    }

    /// The state before anything was committed.
    package static let empty = HostConfiguration(endpoints: [], liveWeights: [], versions: [])

    /// The endpoints with the weights that count; one whose live weights do not fit has its own,
    /// and a sentence in `errors`.
    package func effectiveEndpoints(_ errors: inout [String]) -> [Endpoint] {
        guard !liveWeights.isEmpty else { return endpoints }
        return endpoints.map { endpoint in
            guard let live = liveWeights.first(where: { $0.endpoint == endpoint.name }) else {
                return endpoint
            }
            do {
                return try endpoint.with(live.weights)
            } catch {
                errors.append("live weights: \(error)")
                return endpoint
            }
        }
    }

    /// That there is no such endpoint, and what was probably meant.
    package func missing(endpoint name: String) -> String {
        let guess = Suggestion.nearest(to: name, in: endpoints.map(\.name))
        return "there is no endpoint '\(name.prefix(100))'"
            + (guess.map { "; did you mean '\($0)'?" } ?? "")
    }

    /// The live weights that a reload keeps: those of endpoints whose files give the weights that
    /// they gave before.
    func liveWeights(keptFor endpoints: [Endpoint]) -> [LiveWeights] {
        func weights(_ endpoint: Endpoint?) -> [String: Weight]? {
            endpoint.map { endpoint in
                Dictionary(
                    endpoint.splits.map { ($0.name, Weight($0.weightText) ?? .zero) },
                    uniquingKeysWith: { $1 }
                )
            }
        }
        return liveWeights.filter { live in
            let after = endpoints.first { $0.name == live.endpoint }
            let before = self.endpoints.first { $0.name == live.endpoint }
            return after != nil && weights(after) == weights(before)
        }
    }

    /// Adds a sentence for live weights that the endpoints do not fit any more.
    func requireFittingWeights(_ errors: inout [String]) {
        var misfits: [String] = []
        _ = effectiveEndpoints(&misfits)
        errors += misfits.map { "\($0); reload with --reset-weights" }
    }

    /// The same where it is known that they fit.
    package var effectiveEndpoints: [Endpoint] {
        var errors: [String] = []
        return effectiveEndpoints(&errors)
    }
}

/// One thing that is different.
package struct StateChange: Equatable, Sendable {
    /// A sentence without its full stop.
    package let text: String
    /// The same for machines; `change` says what kind it is, `text` is the sentence.
    package let json: JSONValue

    init(_ kind: String, _ text: String, _ members: [JSONValue.Member]) {
        self.text = text
        json = .object(
            [.init("change", .string(kind)), .init("text", .string(text))] + members
        )
    }
}

/// Everything that is different between two states, in the order of endpoints and names.
package enum StateDifference {
    /// The changes from one state to another.
    ///
    /// - Parameter isKept: whether a build is in memory, so that nothing is loaded for it.
    package static func changes(
        from old: HostConfiguration,
        to new: HostConfiguration,
        isKept: (Revision.ResolvedVersion) -> Bool = { _ in false }
    ) -> [StateChange] {
        let (before, after) = (old.effectiveEndpoints, new.effectiveEndpoints)
        var changes: [StateChange] = []
        let known = Dictionary(before.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        let wanted = Set(after.map(\.name))
        for endpoint in after {
            if let was = known[endpoint.name] {
                changes += self.changes(from: was, to: endpoint)
            } else {
                changes.append(added(endpoint))
            }
        }
        for endpoint in before where !wanted.contains(endpoint.name) {
            changes.append(
                StateChange(
                    "endpointRemoved",
                    "endpoint \(endpoint.name) is gone",
                    [.init("endpointName", .string(endpoint.name))]
                )
            )
        }
        changes += liveWeightChanges(old.liveWeights, new.liveWeights, wanted)
        changes += versionChanges(old.versions, new.versions, isKept)
        for name in Set(old.disabled).symmetricDifference(new.disabled).sorted() {
            changes.append(switched(name, isOff: new.disabled.contains(name)))
        }
        if old.rollbackOf != new.rollbackOf { changes.append(rollbackChange(old, new)) }
        return changes
    }

    /// Endpoints whose files say the same in other words.
    static func textChanges(
        _ old: Revision,
        _ texts: [Revision.EndpointText],
        _ changes: [StateChange]
    ) -> [StateChange] {
        let known = Dictionary(old.endpoints.map { ($0.name, $0.text) }, uniquingKeysWith: { $1 })
        let changed = Set(changes.compactMap { $0.json["endpointName"]?.string })
        return texts.compactMap { endpoint in
            guard let text = known[endpoint.name], text != endpoint.text,
                !changed.contains(endpoint.name)
            else { return nil }
            return StateChange(
                "textChanged",
                "endpoint \(endpoint.name) says the same in other words",
                [.init("endpointName", .string(endpoint.name))]
            )
        }
    }

    /// A version that stays and whose calls run in another way from now on.
    static func executionChange(_ deployment: DeploymentName, _ number: Int) -> StateChange {
        StateChange(
            "executionChanged",
            "\(deployment) version \(number) has other execution settings",
            [
                .init("branch", .string(deployment.branch)),
                .init("name", .string(deployment.name)), .init("version", .number("\(number)")),
            ]
        )
    }

    /// A build that a revision had and that cannot be had any more.
    static func missingVersion(
        _ pin: Revision.ResolvedVersion,
        _ present: Int?,
        _ reason: String
    ) -> StateChange {
        let reference = pin.reference
        let name = "\(reference.deployment) \(reference.version)"
        return StateChange(
            "versionMissing",
            "\(name) was version \(pin.number), which cannot be had any more (\(reason)); "
                + (present.map { "it stays version \($0)" } ?? "it cannot be called"),
            [
                .init("branch", .string(reference.branch)), .init("name", .string(reference.name)),
                .init("reference", .string("\(reference.version)")),
                .init("version", .number("\(pin.number)")),
            ]
        )
    }

    /// Something that an admin has switched on or off.
    private static func switched(_ name: String, isOff: Bool) -> StateChange {
        guard name.contains("/") else {
            return StateChange(
                isOff ? "endpointDisabled" : "endpointEnabled",
                "endpoint \(name) is switched \(isOff ? "off" : "on")",
                [.init("endpointName", .string(name))]
            )
        }
        return StateChange(
            isOff ? "deploymentUnloaded" : "deploymentLoaded",
            "\(name) is \(isOff ? "unloaded" : "loaded again")",
            [.init("deployment", .string(name))]
        )
    }

    private static func rollbackChange(
        _ old: HostConfiguration,
        _ new: HostConfiguration
    ) -> StateChange {
        if let number = new.rollbackOf {
            return StateChange(
                "rolledBack",
                "revision \(number) counts instead of the files",
                [.init("configRevision", .number("\(number)"))]
            )
        }
        return StateChange(
            "rollbackEnded",
            "the files count again instead of revision \(old.rollbackOf ?? 0)",
            [.init("configRevision", .number("\(old.rollbackOf ?? 0)"))]
        )
    }

    private static func added(_ endpoint: Endpoint) -> StateChange {
        let splits = endpoint.splits.map { "\($0.name) \($0.weightText)" }
        return StateChange(
            "endpointAdded",
            "endpoint \(endpoint.name) is new: \(splits.joined(separator: ", "))",
            [
                .init("endpointName", .string(endpoint.name)),
                .init("weights", .object(endpoint.splits.map(weightMember))),
            ]
        )
    }

    private static func weightMember(_ split: Split) -> JSONValue.Member {
        .init(split.name, .number(split.weightText))
    }

    // MARK: One endpoint

    private static func changes(from old: Endpoint, to new: Endpoint) -> [StateChange] {
        guard old != new else { return [] }
        var changes: [StateChange] = []
        let (before, after) = (old.shares, new.shares)
        let name = JSONValue.Member("endpointName", .string(new.name))
        for split in new.splits {
            let place: [JSONValue.Member] = [name, .init("backendName", .string(split.name))]
            let here = "endpoint \(new.name): split \(split.name)"
            guard let was = old.splits.first(where: { $0.name == split.name }) else {
                changes.append(
                    StateChange(
                        "splitAdded",
                        "\(here) is new: weight \(split.weightText), \(text(split.backend))",
                        place + [
                            .init("weight", .number(split.weightText)),
                            .init("backend", .string(text(split.backend))),
                        ]
                    )
                )
                continue
            }
            if was.weightText != split.weightText {
                let shares = [before, after].map { Share.text($0[split.name] ?? 0) }
                    .joined(separator: " → ")
                changes.append(
                    StateChange(
                        "weightChanged",
                        "\(here): weight \(was.weightText) → \(split.weightText) (\(shares))",
                        place + fromTo(.number(was.weightText), .number(split.weightText))
                    )
                )
            }
            if was.backend != split.backend {
                let (from, to) = (text(was.backend), text(split.backend))
                changes.append(
                    StateChange(
                        "backendChanged",
                        "\(here): \(from) → \(to)",
                        place + fromTo(.string(from), .string(to))
                    )
                )
            }
        }
        for split in old.splits where !new.splits.contains(where: { $0.name == split.name }) {
            changes.append(
                StateChange(
                    "splitRemoved",
                    "endpoint \(new.name): split \(split.name) is gone",
                    [name, .init("backendName", .string(split.name))]
                )
            )
        }
        return changes + experimentChanges(from: old, to: new)
    }

    private static func experimentChanges(from old: Endpoint, to new: Endpoint) -> [StateChange] {
        var changes: [StateChange] = []
        let name = JSONValue.Member("endpointName", .string(new.name))
        if old.fallback != new.fallback {
            changes.append(
                StateChange(
                    "fallbackChanged",
                    "endpoint \(new.name): its fallback is \(new.fallback ?? "none"), it was "
                        + "\(old.fallback ?? "none")",
                    [
                        .init("endpointName", .string(new.name)),
                        .init("from", old.fallback.map { .string($0) } ?? .null),
                        .init("to", new.fallback.map { .string($0) } ?? .null),
                    ]
                )
            )
        }
        if old.experiment != new.experiment {
            let (from, to) = (text(old.experiment), text(new.experiment))
            changes.append(
                StateChange(
                    "experimentChanged",
                    "endpoint \(new.name): \(from) → \(to)",
                    [name] + fromTo(.string(from), .string(to))
                )
            )
        }
        if old.service != new.service {
            changes.append(
                StateChange(
                    "serviceChanged",
                    "endpoint \(new.name): service \(old.service) → \(new.service)",
                    [name] + fromTo(.string(old.service), .string(new.service))
                )
            )
        }
        if let moved = old.movedSubjects(to: new), moved > 0 {
            changes.append(
                StateChange(
                    "subjectsMoved",
                    "endpoint \(new.name): \(Share.text(moved)) of subjects get another split",
                    [name, .init("fraction", .number("\(moved)"))]
                )
            )
        }
        return changes
    }

    private static func fromTo(_ from: JSONValue, _ to: JSONValue) -> [JSONValue.Member] {
        [.init("from", from), .init("to", to)]
    }

    private static func text(_ backend: Backend) -> String {
        switch backend {
        case .value(let value):
            value.utf8.count > 60 ? "value \(value.prefix(60))…" : "value \(value)"
        case .deployment(let reference):
            "\(reference.deployment) \(reference.version)"
        }
    }

    private static func text(_ experiment: Experiment?) -> String {
        guard let experiment else { return "a coin" }
        switch experiment.subjectKey {
        case .member(let name): return "experiment \(experiment.id) by \(name)"
        case .argument(let position): return "experiment \(experiment.id) by argument \(position)"
        }
    }

    // MARK: Live weights and versions

    private static func liveWeightChanges(
        _ old: [LiveWeights],
        _ new: [LiveWeights],
        _ endpoints: Set<String>
    ) -> [StateChange] {
        old.compactMap { was in
            guard endpoints.contains(was.endpoint),
                !new.contains(where: { $0.endpoint == was.endpoint })
            else { return nil }
            return StateChange(
                "liveWeightsDropped",
                "endpoint \(was.endpoint): the live weights (\(was.text)) end that "
                    + "\(was.author) had set at \(was.since)",
                [.init("endpointName", .string(was.endpoint)), .init("liveWeights", was.json)]
            )
        }
    }

    private static func versionChanges(
        _ old: [Revision.ResolvedVersion],
        _ new: [Revision.ResolvedVersion],
        _ isKept: (Revision.ResolvedVersion) -> Bool
    ) -> [StateChange] {
        var changes: [StateChange] = []
        let before = Dictionary(old.map { ($0.reference, $0) }, uniquingKeysWith: { $1 })
        let after = Dictionary(new.map { ($0.reference, $0) }, uniquingKeysWith: { $1 })
        for version in new where before[version.reference]?.number != version.number {
            changes.append(moved(version.reference, before[version.reference], version))
        }
        for version in old where after[version.reference] == nil {
            changes.append(moved(version.reference, version, nil))
        }
        func isIn(_ list: [Revision.ResolvedVersion]) -> Set<String> { Set(list.map(\.build)) }
        let (loaded, wanted) = (isIn(old), isIn(new))
        for version in Revision.ResolvedVersion.distinct(new) where !loaded.contains(version.build)
        {
            let verb = isKept(version) ? "serves again" : "loads"
            changes.append(instance("load", verb, version))
        }
        for version in Revision.ResolvedVersion.distinct(old) where !wanted.contains(version.build)
        {
            changes.append(instance("retire", "retires", version))
        }
        return changes
    }

    private static func moved(
        _ reference: DeploymentReference,
        _ old: Revision.ResolvedVersion?,
        _ new: Revision.ResolvedVersion?
    ) -> StateChange {
        let name = "\(reference.deployment) \(reference.version)"
        let was = old.map { "was \($0.number)" }
        var members: [JSONValue.Member] = [
            .init("branch", .string(reference.branch)), .init("name", .string(reference.name)),
            .init("reference", .string("\(reference.version)")),
        ]
        if let old { members.append(.init("from", .number("\(old.number)"))) }
        if let new { members.append(.init("to", .number("\(new.number)"))) }
        let text =
            new.map { "\(name) is version \($0.number)\(was.map { ", \($0)" } ?? "")" }
            ?? "\(name) is not named any more, \(was ?? "")"
        return StateChange("versionChanged", text, members)
    }

    private static func instance(
        _ kind: String,
        _ verb: String,
        _ version: Revision.ResolvedVersion
    ) -> StateChange {
        let reference = version.reference
        return StateChange(
            kind,
            "\(verb) \(reference.deployment) version \(version.number)",
            [
                .init("branch", .string(reference.branch)), .init("name", .string(reference.name)),
                .init("version", .number("\(version.number)")),
                .init("sha256", .string(version.pluginHash)),
            ]
        )
    }
}

/// Shares, for people.
package enum Share {
    /// `25.0 %`
    package static func text(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
