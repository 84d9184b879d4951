// The one way to a new state: plan what is asked for, prepare it (read, resolve, load, warm, build)
// and only then write the revision down. Everything that is wrong is listed; nothing is changed by
// an attempt that fails. Who calls swaps the snapshot in afterwards, which cannot fail.

import Bytes
package import Deployments
import Endpoints
import JSON
package import Logging
package import Platform

/// Makes revisions. Used by one thread at a time.
package final class Committer {
    let files: ConfigurationFiles
    private let revisions: RevisionStore
    let log: EventLog
    private let revisionsKept: Int
    let shelf: ModelShelf
    var series: SeriesBook
    /// What loads the versions of a revision, where that is not the shelf alone.
    var loading:
        ((Revision.ResolvedVersion, DeploymentName) throws(DeploymentError) -> ServedModel)?
    /// What is live; nil before the start.
    private(set) var current: Committed?

    /// A committer.
    ///
    /// - Parameters:
    ///   - endpointsFolder: the folder of endpoint files.
    ///   - revisions: where revisions are.
    ///   - store: where versions are.
    ///   - loader: what makes versions live.
    ///   - log: where it says what could not be loaded.
    ///   - board: where the process tells of its models.
    ///   - quarantine: which versions are not run.
    ///   - configuration: how long a version may take for its examples, how long models are kept
    ///     that are not served any more, and how many revisions are kept.
    package init(
        endpointsFolder: String,
        revisions: RevisionStore,
        store: DeploymentStore,
        loader: DeploymentLoader,
        log: EventLog,
        board: WorkerBoard? = nil,
        quarantine: QuarantineBook? = nil,
        configuration: ServerConfiguration
    ) {
        let quarantine =
            quarantine
            ?? QuarantineBook(state: configuration.state, rule: configuration.quarantine, log: log)
        files = ConfigurationFiles(endpointsFolder: endpointsFolder, store: store)
        self.revisions = revisions
        self.log = log
        revisionsKept = configuration.revisionsKept
        series = SeriesBook(loops: configuration.loops)
        shelf = ModelShelf(
            store: store,
            loader: loader,
            log: log,
            board: board,
            quarantine: quarantine,
            warmUpNanoseconds: configuration.limits.loadNanoseconds,
            graceNanoseconds: configuration.graceNanoseconds
        )
    }

    // MARK: Starting

    /// The state to start with: the current revision where the files are what it was made from, a
    /// new one where they differ, and the current one, degraded, where they are broken and
    /// `isStrict` is not set.
    package func start(isStrict: Bool) throws -> Committed {
        let stored = try storedRevision(isStrict: isStrict)
        let read = files.readTexts()
        if let stored, !stored.files.isEmpty, stored.files == read.hash {
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
            return try carryOut(
                Proposal(
                    files.understood(read),
                    liveWeights: [],
                    disabled: stored?.disabled ?? []
                ),
                before: stored.map { ($0, files.configuration(of: $0)) },
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
        return try serve(stored, degraded: nil)
    }

    /// The state that a worker goes on with: the current revision as it was committed, whatever the
    /// files say by now; a crash is no reload.
    ///
    /// A build of it that cannot be loaded is left out. `progress` is called now and then with what
    /// can be served meanwhile.
    package func resume(_ progress: @escaping (Committed) -> Void = { _ in }) throws -> Committed {
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
        return try serve(stored, degraded: nil)
    }

    /// A revision with the models that are there.
    private func partial(_ stored: Revision, _ ready: [String: ServedModel]) -> Committed? {
        let before = loading
        defer { loading = before }
        loading = { pin, deployment in
            ready[ModelShelf.key(deployment, pin.number)]
                ?? ModelShelf.absent(deployment, pin.number, pin.pluginHash, .loading)
        }
        return try? serve(stored, degraded: nil)
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

    /// The revision that was committed last. One that cannot be read is told, and the files count.
    private func storedRevision(isStrict: Bool) throws -> Revision? {
        do {
            return try revisions.current()
        } catch {
            let sentence = "\(revisions.folder): the current revision cannot be read: \(error)"
            guard !isStrict else {
                throw CommitFailure(errors: ["\(sentence); start without --strict to go on"])
            }
            log.write(.error, "revision.unreadable", "\(sentence); the files make the next one")
            return nil
        }
    }

    /// Serves a revision as it was committed.
    private func serve(
        _ revision: Revision,
        degraded: String?,
        isNew: Bool = false
    ) throws(CommitFailure) -> Committed {
        let proposal = try proposal(of: revision)
        let prepared = try prepare(proposal)
        let committed = build(
            revision,
            prepared,
            changes: [],
            degraded: degraded,
            isNew: isNew
        )
        series.endState()
        current = committed
        return committed
    }

    // MARK: Committing

    /// Makes what is asked for the live state, or throws all that is wrong with it.
    package func commit(
        _ request: CommitRequest,
        author: String,
        mayCommit: () -> Bool = { true }
    ) throws(CommitFailure) -> Committed {
        guard let current else { preconditionFailure("a host is started before it is changed") }
        shelf.beginAttempt()
        let before = (current.revision, current.configuration)
        switch request {
        case .reload(let keepsWeights):
            let files = files.read()
            let endpoints = files.contents.endpoints
            let kept = keepsWeights ? current.configuration.liveWeights(keptFor: endpoints) : []
            let proposal = Proposal(
                files,
                liveWeights: kept,
                disabled: current.revision.disabled
            )
            return try carryOut(proposal, before: before, author: "reload by \(author)", mayCommit)
        case .weights(let endpoint, let weights):
            let proposal = try reweighted(endpoint, current) { old in
                old.adding(weights, author: author, since: Timestamp.text(.now()))
            }
            return try carryOut(proposal, before: before, author: "weights by \(author)", mayCommit)
        case .resetWeights(let endpoint):
            let proposal = try reweighted(endpoint, current) { _ in nil }
            return try carryOut(proposal, before: before, author: "weights by \(author)", mayCommit)
        case .mapping, .enable, .load, .unload:
            let proposal = try switched(request, current, author: author)
            return try carryOut(
                proposal,
                before: before,
                author: "\(request.name) by \(author)",
                mayCommit
            )
        case .rollback(let number):
            let target = try rollbackTarget(number, current.revision.number)
            var proposal = try proposal(of: target)
            proposal.files = current.revision.files
            proposal.rollbackOf = target.rollbackOf ?? target.number
            return try carryOut(
                proposal,
                before: before,
                author: "rollback to revision \(target.number) by \(author)",
                mayCommit
            )
        case .readmit(let deployment, let version):
            guard !shelf.quarantine.clear(deployment, version).isEmpty else {
                let name = deployment.map { " of \($0)" } ?? ""
                let number = version.map { " with number \($0)" } ?? ""
                throw CommitFailure(errors: [
                    "no version\(name)\(number) is in quarantine; 'switchyard quarantine' lists "
                        + "those that are"
                ])
            }
            return try serve(current.revision, degraded: current.degraded, isNew: true)
        }
    }

    /// The current state with other live weights for one endpoint.
    private func reweighted(
        _ name: String,
        _ current: Committed,
        _ change: (LiveWeights) -> LiveWeights?
    ) throws(CommitFailure) -> Proposal {
        guard current.configuration.endpoints.contains(where: { $0.name == name }) else {
            throw CommitFailure(errors: [current.configuration.missing(endpoint: name)])
        }
        var proposal = Proposal(current)
        let old =
            proposal.liveWeights.first { $0.endpoint == name }
            ?? LiveWeights(endpoint: name, weights: [], author: "", since: "")
        proposal.liveWeights.removeAll { $0.endpoint == name }
        if let new = change(old) {
            proposal.liveWeights.append(new)
            proposal.liveWeights.sort { $0.endpoint < $1.endpoint }
        }
        return proposal
    }

    func rollbackTarget(
        _ wanted: Int?,
        _ current: Int
    ) throws(CommitFailure) -> Revision {
        let numbers = revisions.numbers
        guard let number = wanted ?? numbers.last(where: { $0 < current }) else {
            throw CommitFailure(errors: [
                "there is no revision before revision \(current) in \(revisions.folder)"
            ])
        }
        guard numbers.contains(number) else {
            let list = Self.shown(numbers)
            throw CommitFailure(errors: [
                "there is no revision \(number) in \(revisions.folder); there are \(list)"
            ])
        }
        do {
            return try revisions.revision(number)
        } catch {
            throw CommitFailure(errors: ["revision \(number) cannot be read: \(error)"])
        }
    }

    /// `1, 2, 3`, or `1 to 90` where they are many.
    private static func shown(_ numbers: [Int]) -> String {
        guard let first = numbers.first, let last = numbers.last, numbers.count > 10 else {
            return numbers.map(String.init).joined(separator: ", ")
        }
        return "\(first) to \(last)"
    }

    /// A revision as it was committed.
    private func proposal(of revision: Revision) throws(CommitFailure) -> Proposal {
        var errors: [String] = []
        let endpoints = files.endpoints(of: revision, &errors)
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        return Proposal(revision, endpoints)
    }

    /// Prepares a proposal, writes its revision down, and makes it the current state; nothing of it
    /// happens if anything is wrong, and no revision is written for a state that is served already.
    private func carryOut(
        _ wanted: Proposal,
        before: (revision: Revision, configuration: HostConfiguration)?,
        author: String,
        _ mayCommit: () -> Bool = { true }
    ) throws(CommitFailure) -> Committed {
        var (proposal, prepared) = (wanted, try prepare(wanted))
        if current == nil, let stored = before?.revision, stored.rollbackOf == nil,
            !stored.liveWeights.isEmpty, stored.endpoints == proposal.texts,
            stored.versions == prepared.configuration.versions
        {
            // A start, and the files say what they said: it is no reload, and ends no live weights.
            proposal.liveWeights = stored.liveWeights
            prepared = try prepare(proposal)
        }
        let next = Revision(
            number: try nextNumber(after: before?.revision),
            created: Timestamp.text(.now()),
            author: author,
            changes: [],
            endpoints: proposal.texts,
            versions: prepared.configuration.versions,
            liveWeights: proposal.liveWeights,
            files: proposal.files,
            rollbackOf: proposal.rollbackOf,
            disabled: proposal.disabled
        )
        let otherModels = changedModels(prepared)
        if let before, before.revision.hasSameState(as: next), otherModels.isEmpty,
            current?.degraded == nil
        {
            return keep(before.revision, prepared, files: proposal.files)
        }
        var changes = StateDifference.changes(
            from: before?.configuration ?? .empty,
            to: prepared.configuration
        )
        if let before {
            changes += StateDifference.textChanges(before.revision, proposal.texts, changes)
        }
        changes += otherModels + prepared.notes
        let revision = next.with(changes: changes.map(\.text))
        let committed = build(
            revision,
            prepared,
            changes: changes,
            degraded: proposal.isOfFiles ? nil : current?.degraded,
            isNew: true
        )
        guard mayCommit() else {
            throw CommitFailure(errors: ["the host is shutting down; nothing is changed"])
        }
        try write(revision)
        series.endState()
        current = committed
        return committed
    }

    /// The number of the next revision. A file with a higher one was never live: it is overwritten.
    private func nextNumber(after revision: Revision?) throws(CommitFailure) -> Int {
        let number = (revision?.number ?? revisions.highestNumber) + 1
        guard number <= Revision.numberMaximum else {
            throw CommitFailure(errors: [
                "\(revisions.folder): found revision \(number - 1); wanted a number below "
                    + "\(Revision.numberMaximum), so that one can follow; end the host and remove "
                    + "the folder: the files make revision 1 at its next start"
            ])
        }
        return number
    }

    /// The commit itself.
    private func write(_ revision: Revision) throws(CommitFailure) {
        do {
            try revisions.commit(revision)
        } catch {
            throw CommitFailure(errors: [
                "the revision cannot be written, so nothing is changed: \(error); make room in the "
                    + "state folder, or let this user write there"
            ])
        }
        revisions.prune(keeping: revisionsKept)
    }

    /// What is served already; at a start it is built now. The files may be other ones that say the
    /// same: a later start must know them.
    private func keep(
        _ revision: Revision,
        _ prepared: PreparedState,
        files: String
    ) -> Committed {
        var revision = revision
        if revision.files != files {
            revision = revision.with(files: files)
            do {
                try revisions.rewrite(revision)
            } catch {
                log.write(
                    .warning,
                    "revision.not_noted",
                    "that the files of revision \(revision.number) say the same cannot be noted, "
                        + "so the next start takes them as a reload would: \(error)"
                )
            }
        }
        let committed =
            current?.unchanged(revision)
            ?? build(revision, prepared, changes: [], degraded: nil, isNew: false)
        if current == nil { series.endState() }
        current = committed
        return committed
    }

    /// Versions that stay and whose calls run in another way from now on.
    private func changedModels(_ prepared: PreparedState) -> [StateChange] {
        let served = (current?.models ?? []).map { (ModelShelf.key($0.version), $0) }
        let before = Dictionary(served, uniquingKeysWith: { first, _ in first })
        return prepared.models.compactMap { model in
            let version = model.version
            guard let was = before[ModelShelf.key(version)], was !== model else { return nil }
            return StateDifference.executionChange(version.deployment, version.number)
        }
    }

    /// Brings the models in memory into line with what is live; returns those that nobody wants any
    /// more, and what is kept beside what is live.
    func settle() -> (retired: [ServedModel], ShelfState) {
        shelf.forgetFailures()
        let retired = shelf.serve(current?.models ?? [], at: MonotonicClock.now())
        var state = ShelfState()
        state.kept = shelf.kept
        state.failures = shelf.failuresInOrder
        state.images = shelf.imageCount
        state.served = shelf.served
        return (retired, state)
    }
}
