// The end of models: each is destroyed once no request can reach it any more, one after the other,
// on a thread that gives way to the loops.
//
// Requests that run on a loop are done within its turn; those that wait for a pool are asked for: a
// loop knows the oldest revision that a request of its is of. When every loop is past the revision
// that had the model last, nothing new can come to its pool, so the pool is stopped; when its
// threads have ended, nobody calls the model any more.

import Deployments
import EventLoop
import Logging
import Platform
import PluginHost

/// Destroys models that are not served any more.
final class Retirement: Sendable {
    private struct Item {
        let model: ServedModel
        /// The first revision that does not have it.
        let revision: Int
        var isStopped = false
    }

    private struct Queue {
        var items: [Item] = []
        /// The one whose `destroy` runs.
        var current: ServedModel?
        var isStopped = false
        /// Models that were destroyed so far.
        var done = 0
    }

    private let queue = Guarded(Queue())
    private let loops: [Mailbox<ServingLoop>]
    private let answers: [LoopAnswer]
    private let log: EventLog

    /// How long a model's `destroy` is waited for. One that takes longer goes on alone.
    private static let destroyNanoseconds: UInt64 = 5_000_000_000
    /// Pause between two looks, and between two models: another one's memory is given back then.
    private static let pauseNanoseconds: UInt64 = 20_000_000

    init(loops: [Mailbox<ServingLoop>], log: EventLog) {
        self.loops = loops
        answers = loops.map { _ in LoopAnswer() }
        self.log = log
    }

    /// Models that wait for their end.
    var models: [ServedModel] {
        queue.withLock { queue in queue.items.map(\.model) + (queue.current.map { [$0] } ?? []) }
    }
    /// How many came to their end.
    var destroyed: Int { queue.withLock { $0.done } }

    /// Sends models away that no revision from this one on has.
    func add(_ models: [ServedModel], after revision: Int) {
        guard !models.isEmpty else { return }
        queue.withLock { queue in
            queue.items += models.map { Item(model: $0, revision: revision) }
        }
        queue.notify()
    }

    /// Ends the thread; what still waits is for the caller to end.
    func stop() -> [ServedModel] {
        let left = queue.withLock { queue in
            queue.isStopped = true
            let left = queue.items.map(\.model)
            queue.items = []
            return left
        }
        queue.notify()
        return left
    }

    /// Runs on a thread of its own until `stop`.
    func run() {
        CurrentThread.giveWay(steps: ModelPool.stepsBehindLoops)
        while true {
            let isStopped: Bool = queue.wait { queue -> Bool? in
                queue.isStopped ? true : queue.items.isEmpty ? nil : false
            }
            if isStopped { return }
            if let model = nextFree() { destroy(model) }
            MonotonicClock.sleep(nanoseconds: Self.pauseNanoseconds)
        }
    }

    private func destroy(_ model: ServedModel) {
        let version = model.version
        let end = model.destroy(nanoseconds: Self.destroyNanoseconds)
        queue.withLock { queue in
            queue.current = nil
            if end == true { queue.done += 1 }
        }
        guard let isDone = end else {
            return log.write(
                .error,
                "version.destroy_late",
                "destroy() of \(version.deployment) version \(version.number) has not come back; "
                    + "its thread is left behind",
                [
                    "deployment": .text("\(version.deployment)"),
                    "version": .number(version.number),
                ]
            )
        }
        guard isDone else { return add([model], after: 0) }
        log.write(
            .info,
            "version.retired",
            "\(version.deployment) version \(version.number) is not in use any more: destroyed",
            [
                "deployment": .text("\(version.deployment)"), "version": .number(version.number),
            ]
        )
    }

    /// Takes a model that nobody calls any more; nil when there is none yet.
    private func nextFree() -> ServedModel? {
        guard let oldest = oldestRevisionInUse() else { return nil }
        let pools = queue.withLock { queue in
            var pools: [ModelPool] = []
            for index in queue.items.indices
            where !queue.items[index].isStopped && queue.items[index].revision <= oldest {
                queue.items[index].isStopped = true
                pools.append(queue.items[index].model.pool)
            }
            return pools
        }
        for pool in pools { pool.stop() }
        return queue.withLock { queue in
            let place = queue.items.firstIndex { item in
                item.isStopped && item.model.pool.hasEnded && !item.model.isAskedAside()
                    && item.model.version.instance?.plugin.isBusy != true
            }
            queue.current = place.map { queue.items.remove(at: $0).model }
            return queue.current
        }
    }

    /// The oldest revision that a request on a loop is of; nil when a loop does not say: it is in
    /// the middle of a long call. It is asked once until it has answered; an answer to an earlier
    /// question is never too young.
    private func oldestRevisionInUse() -> Int? {
        for (loop, answer) in zip(loops, answers) where answer.ask() {
            loop.post { answer.give($0.oldestRevision) }
        }
        let limit = MonotonicClock.now() + 1_000_000_000
        var oldest = Int.max
        for answer in answers {
            guard let revision = answer.wait(by: limit) else { return nil }
            oldest = min(oldest, revision)
        }
        return oldest
    }
}

/// What one loop was asked, and has said.
private final class LoopAnswer: Sendable {
    private let state = Guarded<(isAsked: Bool, revision: Int)>((false, 0))

    /// Whether the loop has to be asked: no question of before is open.
    func ask() -> Bool {
        state.withLock { state in
            defer { state.isAsked = true }
            return !state.isAsked
        }
    }

    func give(_ revision: Int) {
        state.withLock { $0 = (false, revision) }
        state.notify()
    }

    func wait(by moment: UInt64) -> Int? {
        state.wait(by: moment) { $0.isAsked ? nil : $0.revision }
    }
}
