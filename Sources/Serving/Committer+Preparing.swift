// The second step of a commit: everything that the new state needs is resolved, loaded and warmed,
// beside what is live and without touching it.

import Deployments
import Endpoints
import Logging

extension Committer {
    /// Resolves and loads what a proposal needs.
    func prepare(_ proposal: Proposal) throws(CommitFailure) -> PreparedState {
        var errors = proposal.errors
        var resolved: [ResolvedModel] = []
        if let pins = proposal.pins {
            resolved = files.resolveNamed(proposal.endpoints, proposal.texts, &errors) {
                reference throws(DeploymentError) in try loadPinned(reference, pins)
            }
            // What nobody names in an endpoint is not worth refusing a state that has worked.
            for pin in pins where !resolved.contains(where: { $0.reference == pin.reference }) {
                do {
                    resolved.append((pin.reference, try loadPinned(pin.reference, pins)))
                } catch {
                    warn(pin.reference, "\(error)")
                }
            }
        } else {
            resolved = files.resolveNamed(proposal.endpoints, proposal.texts, &errors) {
                reference throws(DeploymentError) in try load(reference)
            }
            resolved += files.resolveDirect(except: resolved.map(\.reference), &errors, warn) {
                reference throws(DeploymentError) in try load(reference)
            }
        }
        let configuration = HostConfiguration(
            endpoints: proposal.endpoints,
            liveWeights: proposal.liveWeights,
            versions: resolved.map {
                Revision.ResolvedVersion(
                    reference: $0.reference,
                    number: $0.found.version.number,
                    pluginHash: $0.found.version.pluginHash
                )
            },
            rollbackOf: proposal.rollbackOf
        )
        var effective: [Endpoint] = []
        do {
            effective = try configuration.effectiveEndpoints()
        } catch {
            errors.append(error.description)
        }
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        return PreparedState(
            configuration: configuration,
            endpoints: effective,
            resolved: resolved
        )
    }

    private func warn(_ reference: DeploymentReference, _ problem: String) {
        let name = "\(reference.branch)/\(reference.name)"
        log.write(
            .warning,
            "version.not_loaded",
            "'\(reference.version)' of \(name) cannot be called: \(problem)",
            ["deployment": .text(name)]
        )
    }

    /// The very build that a revision was committed with.
    private func loadPinned(
        _ reference: DeploymentReference,
        _ pins: [Revision.ResolvedVersion]
    ) throws(DeploymentError) -> ServedModel {
        guard let deployment = DeploymentName(branch: reference.branch, name: reference.name) else {
            throw DeploymentError("'\(reference.branch)/\(reference.name)' is no deployment")
        }
        guard let pin = pins.first(where: { $0.reference == reference }) else {
            throw DeploymentError("the revision does not say which version of \(deployment) it had")
        }
        return try shelf.model(deployment, pin.number, pluginHash: pin.pluginHash)
    }

    /// The best version that a reference stands for: the only one, or for `latest` the highest that
    /// can be loaded; those above it are named in the event log.
    private func load(_ reference: DeploymentReference) throws(DeploymentError) -> ServedModel {
        let (deployment, numbers) = try files.store.candidates(reference)
        guard reference.version == .latest else { return try shelf.model(deployment, numbers[0]) }
        var reasons: [String] = []
        for number in numbers {
            do {
                return try shelf.model(deployment, number)
            } catch {
                reasons.append(error.description)
                log.write(
                    .warning,
                    "version.skipped",
                    "latest of \(deployment) is not version \(number): \(error)",
                    ["deployment": .text("\(deployment)"), "version": .number(number)]
                )
            }
        }
        throw DeploymentError("no version can be loaded: \(reasons.joined(separator: "; "))")
    }

    func build(
        _ revision: Revision,
        _ prepared: PreparedState,
        changes: [StateChange],
        degraded: String?,
        isNew: Bool
    ) -> Committed {
        shelf.forgetFailures { (try? files.store.versions($0)) ?? [] }
        return Committed(
            revision: revision,
            snapshot: prepared.snapshot(
                revision: revision.number,
                degraded: degraded,
                failures: shelf.failuresInOrder,
                &series
            ),
            configuration: prepared.configuration,
            degraded: degraded,
            changes: changes,
            isNew: isNew
        )
    }
}
