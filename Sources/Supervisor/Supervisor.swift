// The process that stays: it accepts connections and keeps a duplicate of each, starts workers,
// notices when one dies or hangs, and gives everything that lives to the next one.
//
// One thread, which loads no plugin and parses nothing, and never waits for a worker: what cannot
// be sent now is sent with a later tick. (Each worker has a second thread here that sleeps until
// its loops have ended.) What a request is, and what its bytes mean, only workers know.

package import Platform

/// Keeps a host alive.
package final class Supervisor {
    let house: SupervisorHouse
    let region: SlotRegion
    let tell: @Sendable (SupervisorEvent) -> Void
    var configuration: SupervisorConfiguration { house.configuration }
    var epoll: Epoll
    var listeners: [Listener] = []
    /// Until when nobody is accepted for want of slots or descriptors; 0: everybody is.
    var pausedUntil: UInt64 = 0
    /// Whether a worker waits to hear that everybody who was accepted is in its channels.
    var owesAcceptingEnded = false
    /// Whether the files are to be taken by the next worker that serves.
    var wantsReload = false
    var ledger: SlotLedger
    /// The supervisor's own descriptor of each slot's connection, and which worker it was sent to
    /// (0: none yet).
    var connections: [Connection]
    var live = 0
    var unsent = false
    var nextLoop = 0

    /// Who serves, who gets ready to, and who hands over.
    var active: Worker?
    var next: Worker?
    var old: Worker?
    /// Dead workers whose process was not seen to end yet.
    var ending: [Worker] = []
    var workerCount = 0
    var wantsRecycle = false
    /// Deaths that no worker has written down yet.
    var deaths: [ProcessMessage] = []
    var boards: [WorkerBoard] = []
    /// How many workers have died.
    var died: UInt64 = 0
    /// Workers in a row that have ended before they had served for a while.
    var failures = 0
    var startAt: UInt64?
    /// The same of workers that were to get ready beside one that serves: they are none of its
    /// doing.
    var standbyFailures = 0
    var standbyAt: UInt64?
    /// When this process was last seen to have been stopped for a while, on the monotonic clock.
    var thawedAt: UInt64 = 0
    var tickedAt: UInt64 = 0
    /// What was last live, in memory; nil: no worker has said so.
    var liveCopy: LiveCopyFile?
    /// What ends the host: a listener that cannot be; nil: nothing does.
    var endStatus: Int32?
    var isEnding = false
    var hasServed = false
    var diedAt: UInt64 = 0

    /// A descriptor that can be replaced.
    final class LiveCopyFile {
        let descriptor: FileDescriptor
        init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    }

    struct Connection {
        var descriptor: CInt = -1
        var worker = 0
    }

    /// A listening socket.
    final class Listener {
        let socket: FileDescriptor
        let address: SocketAddress
        var isLocal: Bool { address.isLocal }
        init(_ socket: consuming FileDescriptor, _ address: SocketAddress) {
            self.socket = socket
            self.address = address
        }
    }

    /// Between two looks at everything while there are connections, and while there are none.
    static let tickMilliseconds = 20
    static let idleMilliseconds = 500
    /// A worker that has served so long was none that cannot.
    static let provenNanoseconds: UInt64 = 1_000_000_000
    static let pauseMaximum: UInt64 = 5_000_000_000
    /// Workers that may die one after the other before any has served.
    static let startsMaximum = 10
    /// How long a fault may be written down before the worker is ended.
    static let faultNanoseconds: UInt64 = 200_000_000
    /// How long a worker has to replace a stuck thread of a pool before it is ended.
    static let poolGraceNanoseconds: UInt64 = 100_000_000
    static let acceptsMaximum = 64
    /// How long a worker may write a core, where that is allowed.
    static let coreNanoseconds: UInt64 = 60_000_000_000
    /// What a worker that hands over gets beyond the time that it knows of.
    static let handoverGraceNanoseconds: UInt64 = 2_000_000_000
    /// How long nobody is accepted when there is nothing to accept with.
    static let pauseNanoseconds: UInt64 = 50_000_000
    static let deathsMaximum = 16
    /// How long a process that has closed its line may take to end.
    static let silenceNanoseconds: UInt64 = 300_000_000
    /// Standbys that may end before they are ready until a recycling is given up.
    static let recycleAttempts = 3
    /// A gap between two looks that only a process has that was stopped.
    static let gapNanoseconds: UInt64 = 1_500_000_000

    /// Listens; throws when that is not possible.
    ///
    /// - Parameters:
    ///   - configuration: how it is set up.
    ///   - locks: what keeps others from the host's folders, as long as it is open anywhere.
    ///   - refusal: how a listener that cannot be is told of.
    ///   - tell: is told what happens.
    package init(
        _ configuration: SupervisorConfiguration,
        locks: [CInt],
        refusal: (SocketAddress, SystemError) -> any Error,
        tell: @escaping @Sendable (SupervisorEvent) -> Void
    ) throws {
        self.tell = tell
        epoll = try Epoll()
        region = try SlotRegion(count: configuration.connections)
        ledger = SlotLedger(region, addressMaximum: configuration.connectionsPerAddress)
        connections = []
        var addresses: [SocketAddress] = []
        var listeners: [Listener] = []
        for address in configuration.listen {
            do {
                // Whoever connects is answered: nobody can before a worker serves.
                let socket = try Socket.bound(to: address)
                let found = try Socket.localAddress(of: socket, asked: address)
                addresses.append(found)
                listeners.append(Listener(socket, found))
            } catch {
                throw refusal(address, error)
            }
        }
        self.listeners = listeners
        house = SupervisorHouse(
            configuration: configuration,
            region: region,
            addresses: addresses,
            locks: locks
        )
    }

    // MARK: The loop

    /// What an epoll token stands for.
    enum Source: UInt64 {
        case signals, listener, control, process, lifelines
    }

    static func token(_ source: Source, _ number: Int) -> UInt64 {
        source.rawValue << 32 | UInt64(number)
    }

    /// Serves until the host has ended; returns the exit status.
    package func run(_ signals: borrowing SignalDescriptor) throws -> Int32 {
        try epoll.add(signals.descriptor, .readable, token: Self.token(.signals, 0))
        startWorker(.first)
        var status: Int32?
        while status == nil {
            let count = try epoll.wait(milliseconds: waitTime)
            for index in 0..<count {
                let token = epoll.event(index).token
                let number = Int(token & 0xffff_ffff)
                switch Source(rawValue: token >> 32) {
                case .signals: while let signal = signals.next() { status = take(signal) ?? status }
                case .listener: accept(number)
                case .control: worker(number).map { receive($0) }
                case .process: if let found = worker(number) { status = reap(found) ?? status }
                case .lifelines: worker(number).map { lifelinesEnded($0) }
                case nil: break
                }
            }
            tick()
            status = status ?? endStatus
        }
        next?.process.end()
        old?.process.end()
        return status ?? 0
    }

    /// Those that live, as far as is known.
    var workers: [Worker] { [active, next, old].compactMap { $0 } }

    func worker(_ number: Int) -> Worker? {
        (workers + ending).first { $0.number == number }
    }

    var waitTime: Int {
        let isBusy =
            live > 0 || pausedUntil > 0 || owesAcceptingEnded || !ending.isEmpty
            || workers.contains { $0.hasBacklog }
        let usual = isBusy ? Self.tickMilliseconds : Self.idleMilliseconds
        guard let at = [startAt, standbyAt].compactMap({ $0 }).min() else { return usual }
        let now = MonotonicClock.now()
        return at > now ? min(Int((at - now) / 1_000_000) + 1, usual) : 0
    }

    /// What is looked at now and then, and whenever it wakes anyway.
    func tick() {
        sweep()
        let now = MonotonicClock.now()
        if tickedAt > 0, now - tickedAt > Self.gapNanoseconds { thawedAt = now }
        tickedAt = now
        if let startAt, startAt <= now {
            self.startAt = nil
            if next == nil {
                startWorker(active == nil ? (hasServed ? .takeover : .first) : .standby)
            }
        }
        if let standbyAt, standbyAt <= now {
            self.standbyAt = nil
            if next == nil, active != nil, !isEnding { startWorker(.standby) }
        }
        for worker in workers { worker.sendBacklog() }
        CurrentProcess.reapOthers(than: (workers + ending).map { $0.process.id })
        if unsent, let active, active.hasGone { sendAll(to: active) }
        if pausedUntil > 0, pausedUntil <= now { resumeListeners() }
        if owesAcceptingEnded, !unsent {
            owesAcceptingEnded = false
            active?.tell(.acceptingEnded)
        }
        for worker in workers { look(at: worker, now) }
    }

    // MARK: Signals

    static let hangUp: CInt = 1

    /// Passes on what the host is asked to do; the exit status if there is nobody to pass it to.
    func take(_ signal: CInt) -> Int32? {
        if signal == Self.hangUp {
            guard let active, active.handingOverSince == nil else {
                wantsReload = true
                return nil
            }
            active.tell(.reload)
            return nil
        }
        let isForced = isEnding
        isEnding = true
        // Whoever takes over at the moment is told once it has everything.
        let isHandingOver = old != nil || active?.handingOverSince != nil
        if isHandingOver, !isForced { return nil }
        // Connections that nobody has are answered by a worker yet.
        if active == nil, hasServed, live > 0, !isForced {
            startAt = nil
            if next == nil { startWorker(.takeover) }
            return nil
        }
        startAt = nil
        if let next, !next.hasGone {
            self.next = nil
            next.isOver = true
            next.process.end()
            ending.append(next)
        }
        old?.tell(.drain)
        guard let active else { return 0 }
        active.tell(.drain)
        return nil
    }
}
