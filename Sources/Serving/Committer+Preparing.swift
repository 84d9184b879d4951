// The second step of a commit: everything that the new state needs is resolved, loaded and warmed,
// beside what is live and without touching it.

import Deployments
import Endpoints
import Logging

extension Committer {
    /// Resolves and loads what a proposal needs.
    func prepare(_ proposal: Proposal) throws(CommitFailure) -> PreparedState {
        warnings = []
        var errors = proposal.errors
        var notes: [StateChange] = []
        let resolved: [ResolvedModel]
        if let pins = proposal.pins {
            resolved = resolvePinned(proposal, pins, &errors, &notes)
        } else {
            // What is wrong already is told without loading anything for it.
            requireStored(proposal, &errors)
            guard errors.isEmpty else { throw CommitFailure(errors: errors) }
            resolved = resolveAnew(proposal, &errors)
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
            rollbackOf: proposal.rollbackOf,
            disabled: proposal.disabled
        )
        let effective = configuration.effectiveEndpoints(&errors)
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        return PreparedState(
            configuration: configuration,
            endpoints: effective,
            resolved: resolved,
            notes: notes
        )
    }

    /// Adds an error for each reference that names nothing in the store, and for live weights that
    /// do not fit.
    private func requireStored(_ proposal: Proposal, _ errors: inout [String]) {
        let named = files.resolveNamed(proposal.endpoints, proposal.texts, &errors) {
            reference throws(DeploymentError) in
            if proposal.heldVersions[reference] == nil { _ = try files.store.candidates(reference) }
        }
        _ = files.resolveDirect(
            except: named.map(\.reference) + Array(proposal.heldVersions.keys),
            unloaded: proposal.disabled,
            &errors,
            { _, _ in }
        ) { reference throws(DeploymentError) in _ = try files.store.candidates(reference)
        }
        HostConfiguration(
            endpoints: proposal.endpoints,
            liveWeights: proposal.liveWeights,
            versions: []
        ).requireFittingWeights(&errors)
    }

    private func resolveAnew(_ proposal: Proposal, _ errors: inout [String]) -> [ResolvedModel] {
        let named = files.resolveNamed(proposal.endpoints, proposal.texts, &errors) {
            reference throws(DeploymentError) in
            if case .some(.some(let held)) = proposal.heldVersions[reference] {
                return try loadPinned(held)
            }
            return try load(reference)
        }
        // What a rollback has put a name back to is served by that name alone, too.
        let known = Set(named.map(\.reference))
        var held: [ResolvedModel] = []
        for version in proposal.heldVersions.values.compactMap({ $0 })
        where !known.contains(version.reference) {
            do {
                held.append((version.reference, try loadPinned(version)))
            } catch {
                warn(version.reference, "\(error)")
            }
        }
        held.sort { "\($0.reference)" < "\($1.reference)" }
        return named + held
            + files.resolveDirect(
                except: named.map(\.reference) + Array(proposal.heldVersions.keys),
                unloaded: proposal.disabled,
                &errors,
                warn
            ) { reference throws(DeploymentError) in try load(reference) }
    }

    private func resolvePinned(
        _ proposal: Proposal,
        _ pins: [Revision.ResolvedVersion],
        _ errors: inout [String],
        _ notes: inout [StateChange]
    ) -> [ResolvedModel] {
        let byReference = Dictionary(pins.map { ($0.reference, $0) }, uniquingKeysWith: { $1 })
        var resolved = files.resolveNamed(proposal.endpoints, proposal.texts, &errors) {
            reference throws(DeploymentError) in
            guard let pin = byReference[reference] else {
                let name = "\(reference.deployment) \(reference.version)"
                throw DeploymentError("the revision does not say which version \(name) was")
            }
            return try loadPinned(pin)
        }
        let named = Set(resolved.map(\.reference))
        // What nobody names in an endpoint is not worth refusing a state that has worked.
        for pin in pins
        where !named.contains(pin.reference)
            && !proposal.disabled.contains(pin.reference.deployment)
        {
            do {
                resolved.append((pin.reference, try loadPinned(pin)))
            } catch {
                warn(pin.reference, "\(error)")
                // What is served by this name now goes on rather than go away.
                let now = current?.snapshot.deployments.first { $0.reference == pin.reference }
                if let now { resolved.append((pin.reference, now.model)) }
                notes.append(
                    StateDifference.missingVersion(pin, now?.version.number, "\(error)")
                )
            }
        }
        if let name = proposal.loads {
            let others = files.store.callable().references.map { "\($0.branch)/\($0.name)" }
            resolved += files.resolveDirect(
                except: resolved.map(\.reference),
                unloaded: others.filter { $0 != name },
                &errors,
                warn
            ) { reference throws(DeploymentError) in try load(reference) }
        }
        return resolved
    }

    /// Whether every build that a request needs is in memory.
    func hasInMemory(_ request: CommitRequest) -> Bool {
        guard let current, !request.readsFiles else { return false }
        if case .load = request { return false }
        var pins = current.revision.versions
        if case .rollback(let number) = request {
            guard let target = try? rollbackTarget(number, current.revision) else {
                return true
            }
            pins = target.versions
        }
        return pins.allSatisfy { pin in
            DeploymentName(branch: pin.reference.branch, name: pin.reference.name).map {
                shelf.inMemory($0, pin.number, pluginHash: pin.pluginHash) != nil
            } ?? true
        }
    }

    /// The builds of a state that are in memory.
    func inMemory(_ proposal: Proposal) -> Set<String> {
        let pins = proposal.pins ?? []
        return Set(
            pins.filter { pin in
                let (branch, name) = (pin.reference.branch, pin.reference.name)
                guard let deployment = DeploymentName(branch: branch, name: name) else {
                    return false
                }
                return shelf.inMemory(deployment, pin.number, pluginHash: pin.pluginHash) != nil
            }.map(\.build)
        )
    }

    private func warn(_ reference: DeploymentReference, _ problem: String) {
        let name = reference.deployment
        warnings.append("'\(reference.version)' of \(name) cannot be called: \(problem)")
        log.write(
            .warning,
            "version.not_loaded",
            "'\(reference.version)' of \(name) cannot be called: \(problem)",
            ["deployment": .text(name)]
        )
    }

    /// The very build that a revision was committed with.
    private func loadPinned(
        _ pin: Revision.ResolvedVersion
    ) throws(DeploymentError) -> ServedModel {
        let reference = pin.reference
        guard let deployment = DeploymentName(branch: reference.branch, name: reference.name) else {
            throw DeploymentError("'\(reference.deployment)' is no deployment")
        }
        if let loading { return try loading(pin, deployment) }
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
                warnings.append("latest of \(deployment) is not version \(number): \(error)")
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
        Committed(
            revision: revision,
            snapshot: prepared.snapshot(
                revision: revision.number,
                degraded: degraded,
                &series
            ),
            configuration: prepared.configuration,
            degraded: degraded,
            changes: changes,
            isNew: isNew
        )
    }
}
