package import Platform

/// How a host is set up. Every property has a default that a production host can keep.
package struct ServerConfiguration: Sendable {
    /// Folder of endpoint files.
    package var endpoints = "endpoints"
    /// Folder of the store.
    package var deployments = "deployments"
    /// Folder of request logs.
    package var logs = "logs"
    /// Folder of revisions, private copies and log rings.
    package var state = "state"
    /// Where clients connect.
    package var listen: [SocketAddress] = []
    /// Number of event loops; default: one per processor.
    package var loops = CurrentProcess.processors
    /// How much of everything.
    package var limits = ServerLimits()
    /// Whether a request may name the split that answers it.
    package var allowsForcing = true
    /// Whether log records carry inputs and outputs.
    package var logsPayloads = false
    /// Whether broken endpoint files refuse the start instead of serving the last revision.
    package var isStrict = false
    /// Bytes of each loop's log ring.
    package var ringBytes = 32 << 20
    /// Bytes of a log file before the next one is begun.
    package var logFileBytes = 256 << 20
    /// Nanoseconds that a log file is written to before the next one is begun: a day.
    package var logFileNanoseconds: UInt64 = 86_400_000_000_000
    /// What is kept of older log files.
    package var logKeep = LogKeep.files(64)
    /// Nanoseconds between saying "not ready" and closing the listeners.
    package var settleNanoseconds: UInt64 = 5_000_000_000
    /// Nanoseconds that draining may take.
    package var drainNanoseconds: UInt64 = 30_000_000_000
    /// Nanoseconds that the models of the state before are kept, so that going back loads nothing.
    package var graceNanoseconds: UInt64 = 600_000_000_000
    /// Nanoseconds between two times that a model is asked how it is.
    package var healthNanoseconds: UInt64 = 5_000_000_000
    /// Revisions that are kept.
    package var revisionsKept = 100
    /// Libraries that no version needs any more, and that a process may hold nevertheless.
    package var recycleImages = 64
    /// Bytes that a worker may hold before another one takes over; 0: any number.
    package var recycleBytes = 0
    /// When a version is not run again.
    package var quarantine = QuarantineRule()
    /// The program that probes plugins; default: this one.
    package var probeExecutable: String?

    package init() {}
}
