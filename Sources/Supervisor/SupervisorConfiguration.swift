package import Platform

/// How a supervisor is set up.
package struct SupervisorConfiguration: Sendable {
    /// Where clients connect.
    package var listen: [SocketAddress] = []
    /// Event loops of each worker.
    package var loops = 1
    /// Connections at once, in all and of one address.
    package var connections = 1024
    package var connectionsPerAddress = Int.max
    /// The listeners for admins, which the workers answer on.
    package var adminListeners: [InheritedListener] = []
    /// What `ps` shows as the program of a worker.
    package var workerName = "switchyard-worker"
    /// What a worker is started with, behind that name.
    package var workerArguments: [String] = []
    /// Bytes that a worker may have; 0: no limit.
    package var workerMemoryBytes: UInt64 = 0
    /// The control group that counts them; nil: its data is bounded instead (`RLIMIT_DATA`).
    package var memoryGroup: MemoryGroup?
    /// Whether a worker that has crashed may take its time to write a core.
    package var allowsCoreDumps = false
    /// Whether a second worker is kept loaded, for the case that the first one dies.
    package var keepsStandby = false
    /// How long a worker that hands over may go on with what it has begun.
    package var drainNanoseconds: UInt64 = 30_000_000_000

    package init() {}
}

/// What a supervisor tells of what happens.
package enum SupervisorEvent: Sendable {
    /// A worker has ended that nobody had asked to: its process, how (nil: it is not known yet),
    /// and what it has said of it.
    case workerDied(process: Int32, end: ProcessEnd?, fault: WorkerBoard.Fault?)
    /// A worker serves. `isTakeover`: it goes on with the connections of another one.
    case workerServes(process: Int32, isTakeover: Bool, connections: Int, milliseconds: Int)
    /// The next worker is started only after a while.
    case backingOff(milliseconds: Int, failures: Int)
    /// A worker cannot be started.
    case cannotStart(SystemError)
    /// Workers that were to take over have ended before they were ready, and it is given up.
    case recycleFailed(attempts: Int, reason: String)
    /// A worker has closed its end of what the supervisor tells it by.
    case fallenSilent(process: Int32)
    /// An address that was bound cannot be listened on.
    case cannotListen(SystemError)
    /// A call of a model has not come back.
    case hang(process: Int32, deployment: String, version: Int, milliseconds: Int)
}

/// What all workers of a supervisor are given.
struct SupervisorHouse: ~Copyable {
    let configuration: SupervisorConfiguration
    let region: SlotRegion
    let addresses: [SocketAddress]
    let locks: [CInt]
}
