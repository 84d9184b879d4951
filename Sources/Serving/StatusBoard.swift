// What is live, for those who look on: admins, metrics, the commit queue. The loops have the
// snapshot itself.

import Deployments
import Platform

/// What is live at a moment.
package struct LiveState: Sendable {
    package internal(set) var committed: Committed
    package internal(set) var shelf: ShelfState

    package init(committed: Committed, shelf: ShelfState = ShelfState()) {
        self.committed = committed
        self.shelf = shelf
    }
}

/// What is in memory beside what is live.
package struct ShelfState: Sendable {
    /// Models that are kept for a while, and until when on the monotonic clock.
    package var kept: [(model: ServedModel, until: UInt64)] = []
    /// Versions that could not be loaded when that was last tried.
    package var failures: [VersionFailure] = []
    /// Libraries that are in the process for good.
    package var images = 0
    /// What is known of the versions that are served, by `branch/name/number`.
    var served: [String: ServedVersion] = [:]

    package init() {}
}

/// What the files of a served version were when they were last looked at, and how it runs.
struct ServedVersion: Sendable {
    let settings: ExecutionSettings
    let traits: [FileFacts]?
}

/// Attempts of one kind that came to one end.
package struct CommitCount: Hashable, Sendable {
    package let request: String
    package let outcome: String

    package init(request: String, outcome: String) {
        self.request = request
        self.outcome = outcome
    }
}

/// The present state of the host. Any thread may read it; only the commit queue changes it.
package final class StatusBoard: Sendable {
    private let liveState: Guarded<LiveState>
    private let commits = Guarded<[CommitCount: Int]>([:])

    init(_ committed: Committed) {
        liveState = Guarded(LiveState(committed: committed))
    }

    /// What is live.
    package var live: LiveState { liveState.withLock { $0 } }
    func publish(_ committed: Committed) { liveState.withLock { $0.committed = committed } }
    func publish(_ shelf: ShelfState) { liveState.withLock { $0.shelf = shelf } }

    /// How many attempts to change what is live came to what.
    package var commitCounts: [CommitCount: Int] { commits.withLock { $0 } }
    func countCommit(_ request: String, _ outcome: String) {
        commits.withLock { $0[CommitCount(request: request, outcome: outcome), default: 0] += 1 }
    }
}
