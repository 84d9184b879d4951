// The thread that changes what is live, one attempt after the other, and everything that an attempt
// is followed by: the loops take the new snapshot, somebody is told, what is not needed any more
// goes to the retirement.

import Deployments
import EventLoop
import Logging
import Platform

/// What an attempt came to.
package enum CommitOutcome: Sendable {
    /// Another state is live now.
    case committed(Committed)
    /// What was asked for is live already.
    case unchanged(Committed)
    /// Nothing was changed.
    case failed(CommitFailure)

    /// What is live, if it is what was asked for.
    var committed: Committed? {
        switch self {
        case .committed(let committed), .unchanged(let committed): committed
        case .failed: nil
        }
    }

    /// The word that logs and metrics have for it.
    package var name: String {
        switch self {
        case .committed: "committed"
        case .unchanged: "unchanged"
        case .failed: "failed"
        }
    }
}

/// Takes attempts from any thread and makes them, in order.
package final class CommitQueue: Sendable {
    private struct Job: Sendable {
        let request: CommitRequest
        let author: String
        let terms: CommitTerms
        let completion: @Sendable (CommitOutcome) -> Void
    }

    private struct Queue {
        var jobs: [Job] = []
        var isStopped = false
        var hasEnded = false
    }

    private let queue = Guarded(Queue())
    private let committer: Guarded<Committer>
    private let board: StatusBoard
    private let state: HostState
    private let loops: [Mailbox<ServingLoop>]
    private let retirement: Retirement
    private let audit: AuditLog
    private let link: WorkerLink?
    private let log: EventLog

    /// How long the loops may take to say that they have the new snapshot. One that a model holds
    /// has it in its next turn, whatever is said here.
    private static let swapNanoseconds: UInt64 = 1_000_000_000

    init(
        _ committer: Guarded<Committer>,
        board: StatusBoard,
        state: HostState,
        loops: [Mailbox<ServingLoop>],
        retirement: Retirement,
        audit: AuditLog,
        link: WorkerLink? = nil,
        log: EventLog
    ) {
        self.committer = committer
        self.board = board
        self.state = state
        self.loops = loops
        self.retirement = retirement
        self.audit = audit
        self.link = link
        self.log = log
    }

    /// Leaves with the supervisor what the next worker has to know.
    func tellNext() {
        link?.sendCommitted(LiveCopy(board.live.committed, failedReload: state.failedReload))
    }

    // MARK: For other threads

    /// Asks for a change; `completion` is called on the queue's thread, after every loop serves it.
    package func commit(
        _ request: CommitRequest,
        author: String,
        terms: CommitTerms = CommitTerms(),
        _ completion: @escaping @Sendable (CommitOutcome) -> Void = { _ in }
    ) {
        let isTaken = post(
            Job(request: request, author: author, terms: terms, completion: completion)
        )
        if !isTaken { completion(.failed(Self.ending)) }
    }

    /// Asks for a reload unless one waits already that has not begun to read the files.
    package func reloadOnce(author: String) {
        let hasOne = queue.withLock { queue in
            queue.jobs.contains {
                if case .reload(resetsWeights: false) = $0.request {
                    !$0.terms.isExplicit
                } else {
                    false
                }
            }
        }
        if !hasOne { commit(.reload(resetsWeights: false), author: author) }
    }

    private static let ending = CommitFailure(
        errors: ["the host is shutting down; ask again when it has started"]
    )

    private func post(_ job: Job) -> Bool {
        let isTaken = queue.withLock { queue in
            if !queue.isStopped { queue.jobs.append(job) }
            return !queue.isStopped
        }
        queue.notify()
        return isTaken
    }

    /// Takes nothing more, and ends the thread once it is done with what it does now.
    func stop() {
        let left = queue.withLock { queue in
            queue.isStopped = true
            let left = queue.jobs
            queue.jobs = []
            return left
        }
        queue.notify()
        for job in left {
            job.completion(.failed(Self.ending))
        }
    }

    /// Waits for the end of the thread; what is in memory then, or nil when it has not come back.
    func takeModels(by moment: UInt64) -> [ServedModel]? {
        let hasEnded: Bool? = queue.wait(by: moment) { $0.hasEnded ? true : nil }
        guard hasEnded == true else { return nil }
        return committer.withLock { $0.shelf.models }
    }

    // MARK: The thread

    /// Runs on a thread of its own until `stop`.
    func run() {
        // What the start has loaded is what is served.
        settle()
        tidy()
        var (loadAgainAt, pause) = (UInt64.max, Self.loadPause)
        while true {
            let expiry = committer.withLock { $0.shelf.nextExpiry } ?? .max
            let now = MonotonicClock.now()
            // What could not be loaded at a takeover: files or descriptors may have been away for a
            // moment.
            if !lacksModels {
                (loadAgainAt, pause) = (.max, Self.loadPause)
            } else if loadAgainAt == .max {
                loadAgainAt = now + pause
            } else if loadAgainAt <= now {
                loadAgain()
                pause = min(2 * pause, Self.loadPauseMaximum)
                loadAgainAt = now + pause
            }
            let next = min(expiry, loadAgainAt, now + 3_600_000_000_000)
            let job = queue.wait(by: next) {
                queue -> Job?? in
                if queue.isStopped { return .some(.none) }
                return queue.jobs.isEmpty ? .none : .some(queue.jobs.removeFirst())
            }
            switch job {
            case .some(.some(let job)): run(job)
            case .some(.none):
                queue.withLock { $0.hasEnded = true }
                return queue.notify()
            case .none: settle()
            }
        }
    }

    private static let loadPause: UInt64 = 1_000_000_000
    private static let loadPauseMaximum: UInt64 = 60_000_000_000

    /// Whether a version has no model that may be had another time.
    private var lacksModels: Bool {
        board.live.committed.models.contains { $0.version.absence?.isPassing == true }
    }

    /// Tries to load what a takeover could not; what can be had now is served.
    private func loadAgain() {
        let lacked = board.live.committed.models.filter { $0.version.absence?.isPassing == true }
            .map(\.name)
        guard case .committed(let committed) = attempt(.loadAgain, "takeover", CommitTerms()) else {
            return
        }
        swap(committed)
        settle()
        let still = Set(committed.models.filter(\.isAbsent).map(\.name))
        for name in lacked where !still.contains(name) {
            log.write(.info, "version.loaded_again", "\(name) is loaded, which failed at first")
        }
    }

    private func run(_ job: Job) {
        let (request, author) = (job.request, job.author)
        let before = board.live.committed.revision.number
        let outcome = attempt(request, author, job.terms)
        switch outcome {
        case .committed(let committed): swap(committed)
        case .unchanged(let committed): board.publish(committed)
        case .failed(let failure):
            log.write(
                .error,
                "commit.failed",
                "\(request.name) by \(author): nothing is changed: \(failure)",
                ["errors": .number(failure.errors.count)]
            )
        }
        for change in outcome.committed?.leftOut ?? [] where !job.terms.isExplicit {
            log.write(.warning, "reload.left_out", "\(request.name) by \(author): \(change.text)")
        }
        if case .reload = request {
            if case .failed(let failure) = outcome {
                // A refusal to change anything says nothing of the files.
                if failure.code == .failed { state.setFailedReload(failure.summary) }
            } else {
                state.setFailedReload(nil)
            }
            tellNext()
        }
        if case .reload = request, let live = outcome.committed {
            for model in live.models { model.forgetSlowCalls() }
        }
        settle()
        audit.write(request, author: author, before: before, outcome, job.terms)
        board.countCommit(request.name, outcome.name)
        job.completion(outcome)
        if request.readsFiles { tidy() }
    }

    /// Removes from the disk what nobody needs any more; nobody waits for it.
    private func tidy() {
        let hasMore = queue.withLock { $0.isStopped || !$0.jobs.isEmpty }
        let retiring = retirement.models
        if !hasMore { committer.aside { $0.shelf.removeUnusedCopies(retiring: retiring) } }
    }

    private func attempt(
        _ request: CommitRequest,
        _ author: String,
        _ terms: CommitTerms
    ) -> CommitOutcome {
        let mayCommit: @Sendable () -> Bool = { [queue] in queue.withLock { !$0.isStopped } }
        let body: @Sendable (Committer) -> CommitOutcome = { committer in
            do throws(CommitFailure) {
                let committed = try committer.commit(
                    request,
                    author: author,
                    terms: terms,
                    mayCommit: mayCommit
                )
                return committed.isNew ? .committed(committed) : .unchanged(committed)
            } catch {
                return .failed(error)
            }
        }
        // What is in memory already is changed at once; reading and loading gives way to the loops.
        let isInMemory = committer.withLock { $0.hasInMemory(request) }
        return isInMemory ? committer.withLock { body($0) } : committer.aside(body)
    }

    /// Lets every loop take the new snapshot, and waits until they have.
    private func swap(_ committed: Committed) {
        // The old one is given back here, and not on a loop: with thousands of endpoints that takes
        // a while.
        let old = board.live
        let countdown = Countdown(loops.count)
        for loop in loops {
            loop.post {
                $0.serve(committed.snapshot)
                countdown.countOne()
            }
        }
        board.publish(committed)
        tellNext()
        let number = committed.revision.number
        if !countdown.wait(by: MonotonicClock.now() + Self.swapNanoseconds) {
            log.write(
                .warning,
                "commit.loop_busy",
                "\(countdown.count) of \(loops.count) event loops have not taken revision "
                    + "\(number) yet: a model holds each; they take it with their next turn",
                ["configRevision": .number(number)]
            )
        }
        log.write(
            .info,
            "commit.done",
            "revision \(number) is live, \(committed.revision.author)",
            ["configRevision": .number(number), "changes": .number(committed.changes.count)]
        )
        withExtendedLifetime(old) {}
    }

    /// Brings what is kept up to date, and sends away what nobody wants any more.
    func settle() {
        let (retired, shelf) = committer.withLock { $0.settle() }
        board.publish(shelf)
        state.setFailures(shelf.failures)
        retirement.add(retired, after: board.live.committed.revision.number)
    }
}

extension Guarded where Value == Committer {
    /// Does something with the committer on a thread that gives way to the loops, as every thread
    /// does that is begun there.
    func aside<R: Sendable>(_ body: @escaping @Sendable (Committer) -> R) -> R {
        let result = Guarded<R?>(nil)
        let work: @Sendable () -> Void = {
            let value = self.withLock { body($0) }
            result.withLock { $0 = value }
        }
        do {
            let thread = try Thread(name: "prepare", stackBytes: 8 << 20) {
                CurrentThread.giveWay(steps: ModelPool.stepsBehindLoops)
                work()
            }
            thread.join()
        } catch {
            // No thread to be had: then here.
            work()
        }
        guard let value = result.withLock({ $0 }) else {
            preconditionFailure("the work was done")
        }
        return value
    }
}

/// Waits for several threads to have come to a place.
final class Countdown: Sendable {
    private let left: Guarded<Int>

    init(_ count: Int) {
        left = Guarded(count)
    }

    /// How many have not come yet.
    var count: Int { left.withLock { $0 } }

    func countOne() {
        left.withLock { $0 -= 1 }
        left.notify()
    }

    /// Whether all have come by a moment of the monotonic clock.
    func wait(by moment: UInt64) -> Bool {
        left.wait(by: moment) { $0 <= 0 ? true : nil } ?? false
    }
}
