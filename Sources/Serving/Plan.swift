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
    ///   - failed: versions, as `branch/name/number`, of which a host knows that they cannot be
    ///     loaded.
    package func plan(
        against base: (revision: Int, configuration: HostConfiguration)?,
        keepsWeights: Bool,
        failed: Set<String> = []
    ) -> Plan {
        let reading = read()
        var errors = reading.contents.errors
        var warnings: [String] = []
        func find(
            _ reference: DeploymentReference
        ) throws(DeploymentError) -> Revision.ResolvedVersion {
            let (deployment, numbers) = try store.candidates(reference)
            let skipped =
                reference.version == .latest
                ? numbers.prefix { failed.contains("\(deployment)/\($0)") } : []
            if let first = skipped.first, skipped.count < numbers.count {
                warnings.append(
                    "latest of \(deployment) is not version \(first), which could not be loaded"
                )
            }
            let number = skipped.count < numbers.count ? numbers[skipped.count] : numbers[0]
            do {
                try store.verify(deployment, number)
            } catch let error as DeploymentError {
                throw error
            } catch {
                throw DeploymentError("\(error)")
            }
            return Revision.ResolvedVersion(
                reference: reference,
                number: number,
                pluginHash: try store.manifest(deployment, number).pluginHash
            )
        }
        var versions = resolveNamed(
            reading.contents.endpoints,
            reading.contents.texts,
            &errors,
            find
        )
        versions += resolveDirect(
            except: versions.map(\.reference),
            &errors,
            { reference, problem in
                warnings.append("latest of \(reference.branch)/\(reference.name): \(problem)")
            },
            find
        )
        let names = Set(reading.contents.endpoints.map(\.name))
        let live = keepsWeights ? base?.configuration.liveWeights ?? [] : []
        let next = HostConfiguration(
            endpoints: reading.contents.endpoints,
            liveWeights: live.filter { names.contains($0.endpoint) },
            versions: versions.map(\.found)
        )
        do {
            _ = try next.effectiveEndpoints()
        } catch {
            errors.append("\(error); reload without --keep-weights")
        }
        return Plan(
            revision: base?.revision,
            changes: errors.isEmpty
                ? StateDifference.changes(from: base?.configuration ?? .empty, to: next) : [],
            errors: errors,
            warnings: warnings
        )
    }
}
