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
    let revisions: RevisionStore
    let log: EventLog
    private let revisionsKept: Int
    let shelf: ModelShelf
    var series: SeriesBook
    /// What loads the versions of a revision, where that is not the shelf alone.
    var loading:
        ((Revision.ResolvedVersion, DeploymentName) throws(DeploymentError) -> ServedModel)?
    /// What is live; nil before the start.
    private(set) var current: Committed?
    /// What a worker before this one has left of what was live, in memory; nil: nothing.
    var liveCopy: () -> Revision? = { nil }
    /// Why the files are not what is served, as that worker knew.
    var knownDegraded: String?
    /// What the preparation at hand has passed over.
    var warnings: [String] = []

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

    // MARK: Committing

    /// Serves a revision as it was committed.
    func serve(
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

    /// Makes what is asked for the live state, or throws all that is wrong with it.
    package func commit(
        _ request: CommitRequest,
        author: String,
        terms: CommitTerms = CommitTerms(),
        mayCommit: () -> Bool = { true }
    ) throws(CommitFailure) -> Committed {
        guard let current else { preconditionFailure("a host is started before it is changed") }
        try requireTerms(terms, of: request, current.revision)
        shelf.beginAttempt()
        let before = (current.revision, current.configuration)
        let proposal: Proposal
        var what = request.name
        switch request {
        case .reload(let resetsWeights):
            proposal = ofFiles(files.read(), before, resetsWeights: resetsWeights, terms)
        case .weights(let endpoint, let weights):
            proposal = try reweighted(endpoint, current) { old in
                old.adding(weights, author: author, since: Timestamp.text(.now()))
            }
        case .resetWeights(let endpoint):
            proposal = try reweighted(endpoint, current) { _ in nil }
        case .mapping, .enable, .load, .unload:
            proposal = try switched(request, current, author: author)
        case .rollback(let number):
            let target = try rollbackTarget(number, current.revision)
            what = "rollback to revision \(target.number)"
            proposal = try rolledBack(to: target, current, author, terms)
        case .rollbackEndpoint(let name):
            proposal = try rolledBack(endpoint: name, current, author, terms)
            what = "rollback of \(name)"
        case .release(let word): proposal = try released(word, current)
        case .freeze(let text):
            var frozen = Proposal(current)
            frozen.frozen = Freeze(text: text, author: author, since: Timestamp.text(.now()))
            proposal = frozen
        case .unfreeze:
            var thawed = Proposal(current)
            thawed.frozen = nil
            proposal = thawed
        case .loadAgain:
            do {
                return try resume(isNew: true)
            } catch {
                throw CommitFailure(errors: ["\(error)"])
            }
        case .readmit(let deployment, let version):
            return try readmitted(deployment, version, current)
        }
        return try carryOut(proposal, before: before, author: "\(what) by \(author)", mayCommit)
    }

    private func readmitted(
        _ deployment: String?,
        _ version: Int?,
        _ current: Committed
    ) throws(CommitFailure) -> Committed {
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

    /// A revision as it was committed.
    func proposal(of revision: Revision) throws(CommitFailure) -> Proposal {
        var errors: [String] = []
        let endpoints = files.endpoints(of: revision, &errors)
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        return Proposal(revision, endpoints)
    }

    /// Prepares a proposal, writes its revision down, and makes it the current state; nothing of it
    /// happens if anything is wrong, and no revision is written for a state that is served already.
    func carryOut(
        _ wanted: Proposal,
        before: (revision: Revision, configuration: HostConfiguration)?,
        author: String,
        _ mayCommit: () -> Bool = { true }
    ) throws(CommitFailure) -> Committed {
        // Asked before anything is loaded.
        let kept = inMemory(wanted)
        let (proposal, prepared) = (wanted, try prepare(wanted))
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
            disabled: proposal.disabled,
            pins: proposal.heldBack,
            frozen: proposal.frozen
        )
        let otherModels = changedModels(prepared)
        if let before, before.revision.hasSameState(as: next), otherModels.isEmpty,
            current?.degraded == nil
        {
            var kept = keep(before.revision, prepared, files: proposal.files)
            (kept.leftOut, kept.warnings) = (proposal.leftOut, warnings)
            return kept
        }
        var changes = StateDifference.changes(
            from: before?.configuration ?? .empty,
            to: prepared.configuration,
            isKept: { kept.contains($0.build) }
        )
        if let before {
            changes += StateDifference.textChanges(before.revision, proposal.texts, changes)
        }
        changes += otherModels + prepared.notes + proposal.notes
        if let before {
            changes += StateDifference.freezeChanges(before.revision.frozen, proposal.frozen)
        }
        let revision = next.with(changes: changes.map(\.text))
        var committed = build(
            revision,
            prepared,
            changes: changes,
            degraded: proposal.isOfFiles ? nil : current?.degraded,
            isNew: true
        )
        (committed.leftOut, committed.warnings) = (proposal.leftOut, warnings)
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
        // A number is never given twice: also one whose file is gone counts.
        let known = max(revisions.highestNumber, revisions.pointedNumber)
        let number = (revision?.number ?? known) + 1
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
