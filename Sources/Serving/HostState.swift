// What all threads of a host share: what was configured, and a few words that change.

package import Platform
import Synchronization

/// Facts about the running host that any thread may read.
///
/// The words are counters and flags that stand alone: nobody concludes from one of them what
/// another thread has written elsewhere, so relaxed loads and stores are enough.
package final class HostState: Sendable {
    package let configuration: ServerConfiguration
    package let region: SlotRegion
    /// Failures of requests for which there is no endpoint.
    package let unassigned = ErrorCounters()
    private let draining = Atomic<Bool>(false)
    private let logFailing = Atomic<Bool>(false)
    private let lostRecords = Atomic<UInt64>(0)

    package init(configuration: ServerConfiguration, region: SlotRegion) {
        self.configuration = configuration
        self.region = region
    }

    /// Whether the host is on its way out: not ready, and every answer is the last of its
    /// connection.
    package var isDraining: Bool { draining.load(ordering: .relaxed) }
    func beginDraining() { draining.store(true, ordering: .relaxed) }

    private let versionFailures = Guarded<[VersionFailure]>([])
    /// Stored versions that could not be loaded when that was last tried.
    package var failures: [VersionFailure] { versionFailures.withLock { $0 } }
    func setFailures(_ failures: [VersionFailure]) { versionFailures.withLock { $0 = failures } }

    private let openConnections = Atomic<Int>(0)
    private let acceptedConnections = Atomic<UInt64>(0)
    /// Connections of clients at the moment, and how many there ever were.
    package var connections: (open: Int, accepted: UInt64) {
        (
            openConnections.load(ordering: .relaxed),
            acceptedConnections.load(ordering: .relaxed)
        )
    }
    func countOpened() {
        openConnections.wrappingAdd(1, ordering: .relaxed)
        acceptedConnections.wrappingAdd(1, ordering: .relaxed)
    }
    func countClosed() { openConnections.wrappingSubtract(1, ordering: .relaxed) }

    private let spilledBytes = Atomic<Int>(0)
    /// Whether further requests may be larger than a slot.
    var hasRoomForSpills: Bool {
        spilledBytes.load(ordering: .relaxed) < configuration.limits.bufferedBytes
    }
    /// Whether requests and answers hold more already than they may.
    var holdsTooMuch: Bool {
        spilledBytes.load(ordering: .relaxed) > configuration.limits.bufferedBytes
    }

    /// Bytes of requests and answers that lie on the heap.
    package var spilled: Int { spilledBytes.load(ordering: .relaxed) }
    func countSpilled(_ bytes: Int) {
        if bytes != 0 { spilledBytes.wrappingAdd(bytes, ordering: .relaxed) }
    }

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
