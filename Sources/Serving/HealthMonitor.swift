// Asks the models how they are, one after the other, away from the path of any request.

import Platform

/// Asks every model that is live, again and again.
final class HealthMonitor: Sendable {
    private let board: StatusBoard
    private let isStopped = Guarded(false)

    /// How long an answer may take.
    private static let answerNanoseconds: UInt64 = 2_000_000_000

    init(_ board: StatusBoard) {
        self.board = board
    }

    func stop() {
        isStopped.withLock { $0 = true }
        isStopped.notify()
    }

    /// Runs on a thread of its own until `stop`.
    func run(roundNanoseconds: UInt64) {
        CurrentThread.giveWay(steps: ModelPool.stepsBehindLoops)
        while true {
            for model in board.live.committed.models {
                model.askHealth(nanoseconds: Self.answerNanoseconds)
            }
            let next = MonotonicClock.now() + roundNanoseconds
            if isStopped.wait(by: next, until: { $0 ? true : nil }) == true { return }
        }
    }
}
