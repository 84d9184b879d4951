// What a reload would do, found out without doing anything of it.

package import Deployments
import Endpoints
package import JSON

/// The difference between what is live and what the files say.
package struct Plan: Sendable {
    /// The revision that is live; nil: there is none.
    package let revision: Int?
    package let changes: [StateChange]
    /// All that would refuse the reload.
    package let errors: [String]
    /// What a reload would pass over.
    package let warnings: [String]

    /// No plan, but why there is none.
    static func refused(_ failure: CommitFailure) -> Plan {
        Plan(revision: nil, changes: [], errors: failure.errors, warnings: [])
    }

    /// The plan as an answer: `configRevision`, `changes`, `errors`, `warnings`.
    package var json: JSONValue {
        var members: [JSONValue.Member] = []
        if let revision { members.append(.init("configRevision", .number("\(revision)"))) }
        members += [
            .init("changes", .array(changes.map(\.json))),
            .init("errors", .array(errors.map { .string($0) })),
            .init("warnings", .array(warnings.map { .string($0) })),
        ]
        return .object(members)
    }
}

extension ConfigurationFiles {
    /// What a reload would change.
    ///
    /// - Parameters:
    ///   - base: what is live; nil: nothing.
    ///   - keepsWeights: whether live weights stay.
    ///   - failures: versions, by `branch/name/number`, of which a host knows that they could not
    ///     be loaded.
    ///   - hasOtherSettings: whether a version that a host serves would run in another way.
    package func plan(
        against base: (revision: Revision, configuration: HostConfiguration)?,
        keepsWeights: Bool,
        failures: [String: VersionFailure] = [:],
        hasOtherSettings: (DeploymentName, Int) -> Bool = { _, _ in false }
    ) -> Plan {
        let reading = read()
        let (endpoints, texts) = (reading.contents.endpoints, reading.contents.texts)
        var errors = reading.contents.errors
        var warnings: [String] = []
        func find(
            _ reference: DeploymentReference
        ) throws(DeploymentError) -> Revision.ResolvedVersion {
            try stored(reference, failures, &warnings)
        }
        var versions = resolveNamed(endpoints, texts, &errors, find)
        versions += resolveDirect(
            except: versions.map(\.reference),
            &errors,
            { reference, problem in
                warnings.append("latest of \(reference.branch)/\(reference.name): \(problem)")
            },
            find
        )
        let names = Set(endpoints.map(\.name))
        let live = keepsWeights ? base?.configuration.liveWeights ?? [] : []
        let next = HostConfiguration(
            endpoints: endpoints,
            liveWeights: live.filter { names.contains($0.endpoint) },
            versions: versions.map(\.found)
        )
        next.requireFittingWeights(&errors)
        var changes: [StateChange] = []
        if errors.isEmpty {
            changes = StateDifference.changes(from: base?.configuration ?? .empty, to: next)
            if let base {
                changes += StateDifference.textChanges(base.revision, texts, changes)
            }
            changes += Revision.ResolvedVersion.distinct(next.versions).compactMap { version in
                let (branch, name) = (version.reference.branch, version.reference.name)
                guard let deployment = DeploymentName(branch: branch, name: name),
                    hasOtherSettings(deployment, version.number)
                else { return nil }
                return StateDifference.executionChange(deployment, version.number)
            }
        }
        return Plan(
            revision: base?.revision.number,
            changes: changes,
            errors: errors,
            warnings: warnings
        )
    }

    /// What a reference stands for in the store, as far as that is known without loading it.
    private func stored(
        _ reference: DeploymentReference,
        _ failures: [String: VersionFailure],
        _ warnings: inout [String]
    ) throws(DeploymentError) -> Revision.ResolvedVersion {
        let (deployment, numbers) = try store.candidates(reference)
        var number = numbers[0]
        if let failure = failures["\(deployment)/\(number)"] {
            let other = numbers.first { failures["\(deployment)/\($0)"] == nil }
            warnings.append(
                "\(deployment) version \(number) could not be loaded when that was last tried"
                    + (other.map { "; without it latest is version \($0)" } ?? "")
                    + ": \(failure.reason)"
            )
            number = other ?? number
        }
        try store.requireUnchanged(deployment, number)
        return Revision.ResolvedVersion(
            reference: reference,
            number: number,
            pluginHash: try store.manifest(deployment, number).pluginHash
        )
    }
}
