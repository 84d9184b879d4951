// What all threads of a host share: what was configured, and a few words that change.

package import Logging
package import Platform
import Synchronization

/// Facts about the running host that any thread may read.
///
/// The words are counters and flags that stand alone: nobody concludes from one of them what
/// another thread has written elsewhere, so relaxed loads and stores are enough.
package final class HostState: Sendable {
    package let configuration: ServerConfiguration
    package let region: SlotRegion
    /// Where this process tells of itself; nil: nobody would read it.
    package let board: WorkerBoard?
    /// Events that clients cause.
    let rareEvents: RareEvents
    /// Failures of requests for which there is no endpoint.
    package let unassigned = ErrorCounters()
    private let draining = Atomic<Bool>(false)
    private let logFailing = Atomic<Bool>(false)
    private let lostRecords = Atomic<UInt64>(0)

    package init(
        configuration: ServerConfiguration,
        region: SlotRegion,
        board: WorkerBoard? = nil,
        log: EventLog = EventLog { _ in }
    ) {
        rareEvents = RareEvents(log)
        memory = LargeMemory(bytesMaximum: configuration.limits.bufferedBytes)
        self.configuration = configuration
        self.region = region
        self.board = board
    }

    /// Says, for as long as the calling thread lives, that it does.
    func holdLifeline(_ index: Int) { board?.holdLifeline(index) }

    /// The calling thread's note.
    func threadNote() -> ThreadNote? { board?.threadNote() }

    private let predecessor = Guarded<Death?>(nil)
    /// What the worker before this one has died of.
    package var death: Death? { predecessor.withLock { $0 } }
    package func setDeath(_ death: Death) { predecessor.withLock { $0 = death } }

    private let guiltyRequest = Guarded<(key: UInt64, CrashReports.Request)?>(nil)
    /// What is known of the request with a key that was found guilty: it is waited for a while,
    /// until it is answered.
    func awaitGuilty(_ key: UInt64) -> CrashReports.Request? {
        for _ in 0..<150 {
            let found = guiltyRequest.withLock { $0?.key == key ? $0?.1 : nil }
            if found != nil || !region.isExecuting(key) { return found }
            MonotonicClock.sleep(nanoseconds: 20_000_000)
        }
        return nil
    }
    func setGuilty(_ key: UInt64, _ request: CrashReports.Request) {
        guiltyRequest.withLock { $0 = (key, request) }
    }

    /// Whether the host is on its way out: not ready, and every answer is the last of its
    /// connection.
    package var isDraining: Bool { draining.load(ordering: .relaxed) }
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    private let versionFailures = Guarded<[VersionFailure]>([])
    /// Stored versions that could not be loaded when that was last tried.
    package var failures: [VersionFailure] { versionFailures.withLock { $0 } }
    func setFailures(_ failures: [VersionFailure]) { versionFailures.withLock { $0 = failures } }

    private let reloadFailure = Guarded<String?>(nil)
    /// Why the last reload has changed nothing; nil: it did what the files say.
    package var failedReload: String? { reloadFailure.withLock { $0 } }
    func setFailedReload(_ sentence: String?) { reloadFailure.withLock { $0 = sentence } }

    private let openConnections = Atomic<Int>(0)
    private let acceptedConnections = Atomic<UInt64>(0)
    /// Connections of clients at the moment, and how many there ever were.
    package var connections: (open: Int, accepted: UInt64) {
        (
            openConnections.load(ordering: .relaxed),
            acceptedConnections.load(ordering: .relaxed)
        )
    }
    func countOpened(isFresh: Bool) {
        openConnections.wrappingAdd(1, ordering: .relaxed)
        if isFresh { acceptedConnections.wrappingAdd(1, ordering: .relaxed) }
    }
    private let lostConnections = Atomic<UInt64>(0)
    /// Connections of a worker before this one that could not be gone on with and were closed.
    package var connectionsLost: UInt64 { lostConnections.load(ordering: .relaxed) }
    func countLostConnection() { lostConnections.wrappingAdd(1, ordering: .relaxed) }
    func countClosed() { openConnections.wrappingSubtract(1, ordering: .relaxed) }

    /// What large requests and answers hold.
    package let memory: LargeMemory

    /// Whether the request log cannot be written at the moment.
    package var isLogFailing: Bool { logFailing.load(ordering: .relaxed) }
    func setLogFailing(_ value: Bool) { logFailing.store(value, ordering: .relaxed) }

    private let auditFailing = Atomic<Bool>(false)
    /// Whether the audit log cannot be written at the moment.
    package var isAuditFailing: Bool { auditFailing.load(ordering: .relaxed) }
    func setAuditFailing(_ value: Bool) { auditFailing.store(value, ordering: .relaxed) }

    /// Records of the request log that found no room and are gone.
    package var recordsLost: UInt64 { lostRecords.load(ordering: .relaxed) }
    func countLostRecord() { lostRecords.wrappingAdd(1, ordering: .relaxed) }
}
