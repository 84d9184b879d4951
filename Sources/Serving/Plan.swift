// What a reload would do, found out without doing anything of it.

import Deployments
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
    /// What rollbacks have put aside, and a reload would leave out.
    package let leftOut: [StateChange]

    /// The plan as an answer: `configRevision`, `changes`, `errors`, `warnings`.
    package var json: JSONValue {
        var members: [JSONValue.Member] = []
        if let revision { members.append(.init("configRevision", .number("\(revision)"))) }
        members += [
            .init("changes", .array(changes.map(\.json))),
            .init("errors", .array(errors.map { .string($0) })),
            .init("warnings", .array(warnings.map { .string($0) })),
            .init("leftOut", .array(leftOut.map(\.json))),
        ]
        return .object(members)
    }
}

extension ConfigurationFiles {
    /// What a reload would change.
    ///
    /// - Parameters:
    ///   - base: what is live; nil: nothing.
    ///   - resetsWeights: whether live weights end.
    ///   - shelf: what a host knows of versions, those that could not be loaded included.
    package func plan(
        against base: (revision: Revision, configuration: HostConfiguration)?,
        resetsWeights: Bool,
        shelf: ShelfState = ShelfState()
    ) -> Plan {
        let held = held(read(), by: base?.revision.pins ?? [], isExplicit: true)
        let reading = held.reading
        let (endpoints, texts) = (reading.contents.endpoints, reading.contents.texts)
        var errors = reading.contents.errors
        var warnings: [String] = []
        func find(
            _ reference: DeploymentReference
        ) throws(DeploymentError) -> Revision.ResolvedVersion {
            if case .some(.some(let version)) = held.versions[reference] { return version }
            return try stored(reference, shelf, &warnings)
        }
        var versions = resolveNamed(endpoints, texts, &errors, find)
        versions += resolveDirect(
            except: versions.map(\.reference) + Array(held.versions.keys),
            unloaded: base?.configuration.disabled ?? [],
            &errors,
            { reference, problem in
                warnings.append("latest of \(reference.deployment): \(problem)")
            },
            find
        )
        let known = Set(versions.map(\.reference))
        versions += held.versions.values.compactMap { $0 }.filter { !known.contains($0.reference) }
            .sorted { "\($0.reference)" < "\($1.reference)" }
            .map { ($0.reference, $0) }
        let live = resetsWeights ? nil : base?.configuration.liveWeights(keptFor: endpoints)
        let next = HostConfiguration(
            endpoints: endpoints,
            liveWeights: live ?? [],
            versions: versions.map(\.found),
            rollbackOf: held.pins.isEmpty ? nil : base?.revision.rollbackOf,
            disabled: base.map {
                Proposal(reading, liveWeights: [], disabled: $0.configuration.disabled).disabled
            } ?? []
        )
        next.requireFittingWeights(&errors)
        var changes: [StateChange] = []
        if errors.isEmpty {
            changes = StateDifference.changes(from: base?.configuration ?? .empty, to: next)
            if let base {
                changes += StateDifference.textChanges(base.revision, texts, changes)
            }
            changes += held.ended
            changes += Revision.ResolvedVersion.distinct(next.versions).compactMap { version in
                let (branch, name) = (version.reference.branch, version.reference.name)
                guard let deployment = DeploymentName(branch: branch, name: name),
                    let served = shelf.served["\(deployment)/\(version.number)"],
                    let settings = try? store.file(deployment).execution,
                    settings != served.settings
                else { return nil }
                return StateDifference.executionChange(deployment, version.number)
            }
        }
        return Plan(
            revision: base?.revision.number,
            changes: changes,
            errors: errors,
            warnings: warnings,
            leftOut: held.leftOut
        )
    }

    /// What a reference stands for in the store, as far as that is known without loading it.
    private func stored(
        _ reference: DeploymentReference,
        _ shelf: ShelfState,
        _ warnings: inout [String]
    ) throws(DeploymentError) -> Revision.ResolvedVersion {
        let (deployment, numbers) = try store.candidates(reference)
        var number = numbers[0]
        let failures = shelf.failures.filter { $0.deployment == deployment }
        if let failure = failures.first(where: { $0.number == number }) {
            let other = numbers.first { number in !failures.contains { $0.number == number } }
            warnings.append(
                "\(deployment) version \(number) could not be loaded when that was last tried"
                    + (other.map { "; without it latest is version \($0)" } ?? "")
                    + ": \(failure.reason)"
            )
            number = other ?? number
        }
        let manifest = try store.manifest(deployment, number)
        let known = shelf.served["\(deployment)/\(number)"]?.traits
        // What a host serves was read whole, and is read again only if it may have changed.
        if known == nil || store.traits(deployment, manifest) != known {
            try store.requireUnchanged(deployment, number)
        }
        return Revision.ResolvedVersion(
            reference: reference,
            number: number,
            pluginHash: manifest.pluginHash
        )
    }
}
