// The thread that looks after a worker: it replaces threads of pools that are stuck in a model, and
// says when the process has grown so old that another one should take over.
//
// A loop that is stuck, and a worker that cannot even run this thread, are the supervisor's to see.

import Deployments
import Logging
import Platform
import PluginHost

/// Looks after the worker that it runs in.
final class WorkerMonitor: Sendable {
    private let state: HostState
    private let live: StatusBoard
    private let retirement: Retirement
    private let link: WorkerLink
    private let log: EventLog
    private let isStopped = Guarded(false)

    /// Between two looks at calls, while there are any and while there are none.
    private static let busyNanoseconds: UInt64 = 25_000_000
    private static let idleNanoseconds: UInt64 = 100_000_000
    /// Between two looks at the process, and between two wishes for another one.
    private static let ageNanoseconds: UInt64 = 2_000_000_000
    private static let patienceNanoseconds: UInt64 = 60_000_000_000

    init(
        _ state: HostState,
        _ live: StatusBoard,
        _ retirement: Retirement,
        _ link: WorkerLink,
        _ log: EventLog
    ) {
        self.state = state
        self.live = live
        self.retirement = retirement
        self.link = link
        self.log = log
    }

    func stop() {
        isStopped.withLock { $0 = true }
        isStopped.notify()
    }

    /// Runs on a thread of its own until `stop`.
    func run() {
        var (nextAge, nextWish) = (MonotonicClock.now() + Self.ageNanoseconds, UInt64(0))
        while true {
            let isBusy = lookAtCalls()
            let now = MonotonicClock.now()
            if now >= nextAge {
                nextAge = now + Self.ageNanoseconds
                if now >= nextWish, let reason = age() {
                    nextWish = now + Self.patienceNanoseconds
                    log.write(.info, "worker.recycle", "another worker is to take over: \(reason)")
                    link.beginRecycle()
                }
            }
            let next = now + (isBusy ? Self.busyNanoseconds : Self.idleNanoseconds)
            if isStopped.wait(by: next, until: { $0 ? true : nil }) == true { return }
        }
    }

    // MARK: Calls

    /// Replaces threads that are stuck; whether any thread of a pool is in a model.
    private func lookAtCalls() -> Bool {
        let board = link.board
        var isBusy = false
        for index in 0..<board.notesUsed {
            guard let note = board.note(index), note.activity == .predictingInPool,
                !note.isWrittenOff, let model = board.model(note.model)
            else { continue }
            isBusy = true
            let now = MonotonicClock.now()
            guard now - min(now, note.startedAt) > model.hangNanoseconds,
                board.note(index)?.call == note.call
            else { continue }
            replace(index, note, model)
        }
        return isBusy
    }

    private func replace(_ index: Int, _ note: WorkerBoard.Note, _ model: WorkerBoard.Model) {
        let shelf = live.live
        let known = shelf.committed.models + shelf.shelf.kept.map(\.model) + retirement.models
        let name = "\(model.deployment) version \(model.version)"
        let time = model.hangNanoseconds / 1_000_000
        let sentence =
            "\(name) had not come back after \(time) ms (hangAfter); another thread goes on with "
            + "other requests"
        let served = known.first { $0.boardEntry == note.model }
        switch served?.pool.replace(index, inCallSince: note.startedAt, sentence) ?? .useless {
        case .needless: return
        case .done:
            link.board.writeOff(index, call: note.call)
            log.write(
                .error,
                "model.stuck",
                "a call of \(sentence)",
                ["deployment": .text(model.deployment), "version": .number(model.version)]
            )
        case .useless:
            guard link.board.noteHang(of: index, at: MonotonicClock.now()) else { return }
            // Every thread of the pool is stuck: only another process helps.
            CurrentProcess.send(9, to: CurrentProcess.id)
        }
    }

    // MARK: Age

    /// Why another process should take over; nil: there is no reason to.
    private func age() -> String? {
        let configuration = state.configuration
        let shelf = live.live
        let inUse = Set(
            (shelf.committed.models + shelf.shelf.kept.map(\.model)).map(\.version.pluginHash)
        )
        let retired = shelf.shelf.images - inUse.count
        if retired > configuration.recycleImages {
            return "\(retired) libraries are in its memory that no version needs any more"
        }
        let bytes = CurrentProcess.usage().residentBytes
        if configuration.recycleBytes > 0, bytes > configuration.recycleBytes {
            return "it holds \(bytes >> 20) MiB of memory"
        }
        return nil
    }
}
