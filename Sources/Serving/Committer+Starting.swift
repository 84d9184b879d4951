// What a host begins with: at its start, and when a worker goes on after another one.

import Deployments
import Endpoints
import Logging
import Platform

extension Committer {
    // MARK: Starting

    /// The state to start with: the current revision where the files are what it was made from, a
    /// new one where they differ, and the current one, degraded, where they are broken and
    /// `isStrict` is not set.
    package func start(isStrict: Bool) throws -> Committed {
        let stored = try storedRevision(isStrict: isStrict)
        let read = files.readTexts()
        if let stored, !stored.files.isEmpty, stored.files == read.hash || stored.frozen != nil {
            if let frozen = stored.frozen, stored.files != read.hash {
                log.write(
                    .warning,
                    "start.frozen",
                    "the files say something else than revision \(stored.number), which is served: "
                        + frozen.sentence
                )
            }
            do {
                return try serve(stored, degraded: nil)
            } catch {
                log.write(
                    .error,
                    "revision.unservable",
                    "revision \(stored.number) cannot be served as it was committed, so the files "
                        + "are taken: \(error)"
                )
            }
        }
        if let stored { revisions.removeAbove(stored.number) }
        do throws(CommitFailure) {
            let before = stored.map { ($0, files.configuration(of: $0)) }
            let proposal = ofFiles(
                files.understood(read),
                before,
                resetsWeights: false,
                CommitTerms()
            )
            for change in proposal.leftOut {
                log.write(.warning, "start.left_out", change.text)
            }
            return try carryOut(
                proposal,
                before: before,
                author: "start by user \(CurrentProcess.user)"
            )
        } catch {
            guard let stored, !isStrict else { throw error }
            return try startDegraded(stored, error)
        }
    }

    private func startDegraded(
        _ stored: Revision,
        _ failure: CommitFailure
    ) throws(CommitFailure) -> Committed {
        let sentence =
            "the files are broken, so revision \(stored.number) is served instead:\n\(failure)"
        do throws(CommitFailure) {
            let committed = try serve(stored, degraded: sentence)
            log.write(
                .error,
                "start.degraded",
                sentence,
                ["configRevision": .number(stored.number)]
            )
            return committed
        } catch {
            throw CommitFailure(
                errors: failure.errors
                    + ["revision \(stored.number) cannot be served either:"] + error.errors
            )
        }
    }

    /// What a worker that takes over begins with: the current revision, of which no model is loaded
    /// yet; nil: there is none.
    package func outline() throws -> Committed? {
        guard let stored = try storedRevision(isStrict: false) else { return nil }
        loading = { pin, deployment in
            ModelShelf.absent(deployment, pin.number, pin.pluginHash, .loading)
        }
        defer { loading = nil }
        return try serve(stored, degraded: knownDegraded)
    }

    /// The state that a worker goes on with: the current revision as it was committed, whatever the
    /// files say by now; a crash is no reload.
    ///
    /// A build of it that cannot be loaded is left out. `progress` is called now and then with what
    /// can be served meanwhile.
    package func resume(
        isNew: Bool = false,
        _ progress: @escaping (Committed) -> Void = { _ in }
    ) throws -> Committed {
        guard let stored = try storedRevision(isStrict: false) else {
            return try start(isStrict: false)
        }
        var ready: [String: ServedModel] = [:]
        var (last, cost) = (MonotonicClock.now(), UInt64(0))
        loading = { [self] pin, deployment throws(DeploymentError) in
            let model: ServedModel
            do throws(DeploymentError) {
                model = try shelf.model(deployment, pin.number, pluginHash: pin.pluginHash)
            } catch {
                log.write(
                    .error,
                    "version.not_loaded",
                    "\(deployment) version \(pin.number) cannot be loaded again: \(error)",
                    ["deployment": .text("\(deployment)"), "version": .number(pin.number)]
                )
                model = ModelShelf.absent(
                    deployment,
                    pin.number,
                    pin.pluginHash,
                    .unloadable("it cannot be loaded again: \(error)")
                )
            }
            ready[ModelShelf.key(model.version)] = model
            // Building a state takes a while where there are many endpoints.
            let now = MonotonicClock.now()
            if now - last > max(10_000_000, 4 * cost) {
                partial(stored, ready).map(progress)
                last = MonotonicClock.now()
                cost = last - now
            }
            return model
        }
        defer { loading = nil }
        return try serve(stored, degraded: current?.degraded ?? knownDegraded, isNew: isNew)
    }

    /// A revision with the models that are there.
    private func partial(_ stored: Revision, _ ready: [String: ServedModel]) -> Committed? {
        let before = loading
        defer { loading = before }
        loading = { pin, deployment in
            ready[ModelShelf.key(deployment, pin.number)]
                ?? ModelShelf.absent(deployment, pin.number, pin.pluginHash, .loading)
        }
        return try? serve(stored, degraded: current?.degraded ?? knownDegraded)
    }

    /// The current revision once more, for a worker that has waited, or after somebody has come
    /// into quarantine or out of it; nil: what it has is what is live.
    package func follow(isForced: Bool) throws -> Committed? {
        let isOther = shelf.quarantine.refresh()
        guard let stored = try storedRevision(isStrict: false),
            isForced || isOther || stored.number != current?.revision.number
        else { return nil }
        shelf.beginAttempt()
        return try resume()
    }

    /// The revision that was committed last. One that cannot be read is told; then the copy counts
    /// that a worker before this one has left, or else the files.
    private func storedRevision(isStrict: Bool) throws -> Revision? {
        let copy = liveCopy()
        do {
            let stored = try revisions.current()
            // A disk that went away and came back older does not count either.
            guard let copy, copy.number > stored?.number ?? 0 else { return stored }
            log.write(
                .error,
                "revision.unreadable",
                "\(revisions.folder): found revision \(stored?.number ?? 0), and revision "
                    + "\(copy.number) was live: that goes on from a copy in memory"
            )
            return copy
        } catch {
            let sentence = "\(revisions.folder): the current revision cannot be read: \(error)"
            if let copy {
                log.write(
                    .error,
                    "revision.unreadable",
                    "\(sentence); revision \(copy.number) goes on from a copy in memory"
                )
                return copy
            }
            guard !isStrict else {
                throw CommitFailure(errors: ["\(sentence); start without --strict to go on"])
            }
            log.write(.error, "revision.unreadable", "\(sentence); the files make the next one")
            return nil
        }
    }
}
