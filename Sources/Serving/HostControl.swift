// What the admin side has of a host: to look at it, and to ask for changes.

package import Deployments
package import Logging
package import Platform

/// A running host, for those who administer it. Any thread may use it.
package struct HostControl: Sendable {
    package let configuration: ServerConfiguration
    package let state: HostState
    package let board: StatusBoard
    package let commits: CommitQueue
    package let audit: AuditLog
    package let log: EventLog
    /// Where clients connect.
    package let addresses: [SocketAddress]
    /// The loops' log rings.
    package let rings: [LogRing]
    /// When the host was started.
    package let startedAt: WallTime
    let retirement: Retirement
    /// Which versions are not run.
    package let quarantine: QuarantineBook
    /// The line to the supervisor; nil: there is none.
    let link: WorkerLink?

    /// Models that wait for their last request.
    package var retiring: [ServedModel] { retirement.models }
    /// Models that were destroyed so far, after they had been served.
    package var retired: Int { retirement.destroyed }

    /// How many workers of this host have died.
    package var deaths: UInt64 { link?.deathCount ?? 0 }

    /// What is known of workers that have died.
    package var crashes: CrashReports { CrashReports(state: configuration.state, log: log) }

    /// Asks for another worker that takes over once it is ready; false: there is no supervisor.
    package func recycle() -> Bool {
        link?.beginRecycle()
        return link != nil
    }

    /// Why no other worker has taken over when that was last asked for; nil: nothing is known.
    package var recycleFailure: String? { link?.recycleFailure }

    package var store: DeploymentStore { DeploymentStore(root: configuration.deployments) }
    package var revisions: RevisionStore {
        RevisionStore(folder: "\(configuration.state)/revisions")
    }
    /// What a reload would change now. It may read much, so it is nothing for a loop, and it keeps
    /// no change waiting.
    package func plan(resetsWeights: Bool) -> Plan {
        let live = board.live
        return ConfigurationFiles(endpointsFolder: configuration.endpoints, store: store).plan(
            against: (live.committed.revision, live.committed.configuration),
            resetsWeights: resetsWeights,
            shelf: live.shelf
        )
    }

    package var versionUse: VersionUse {
        VersionUse(
            endpoints: configuration.endpoints,
            state: configuration.state,
            store: store
        )
    }
}

/// The host's own version.
package enum HostVersion {
    /// `0.1.0`
    package static let text = "0.1.0"
}
