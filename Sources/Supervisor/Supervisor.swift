// The process that stays: it accepts connections and keeps a duplicate of each, starts workers,
// notices when one dies or hangs, and gives everything that lives to the next one.
//
// One thread, which loads no plugin and parses nothing, and never waits for a worker: what cannot
// be sent now is sent with a later tick. (Each worker has a second thread here that sleeps until
// its loops have ended.) What a request is, and what its bytes mean, only workers know.

package import Platform

/// Keeps a host alive.
package final class Supervisor {
    private let house: SupervisorHouse
    private let region: SlotRegion
    private let tell: @Sendable (SupervisorEvent) -> Void
    private var configuration: SupervisorConfiguration { house.configuration }
    private var epoll: Epoll
    private var listeners: [Listener] = []
    private var areListenersPaused = false
    private var ledger: SlotLedger
    /// The supervisor's own descriptor of each slot's connection, and which worker it was sent to
    /// (0: none yet).
    private var connections: [Connection]
    private var live = 0
    private var unsent = false
    private var nextLoop = 0

    /// Who serves, who gets ready to, and who hands over.
    private var active: Worker?
    private var next: Worker?
    private var old: Worker?
    /// Dead workers whose process was not seen to end yet.
    private var ending: [Worker] = []
    private var workerCount = 0
    private var wantsRecycle = false
    /// Deaths that no worker has written down yet.
    private var deaths: [ProcessMessage] = []
    private var boards: [WorkerBoard] = []
    /// Workers in a row that have ended before they had served for a while.
    private var failures = 0
    private var startAt: UInt64?
    private var isEnding = false
    private var hasServed = false
    private var diedAt: UInt64 = 0

    private struct Connection {
        var descriptor: CInt = -1
        var worker = 0
    }

    /// A listening socket.
    private final class Listener {
        let socket: FileDescriptor
        let isLocal: Bool
        init(_ socket: consuming FileDescriptor, isLocal: Bool) {
            self.socket = socket
            self.isLocal = isLocal
        }
    }

    /// Between two looks at everything while there are connections, and while there are none.
    private static let tickMilliseconds = 20
    private static let idleMilliseconds = 500
    /// A worker that has served so long was none that cannot.
    private static let provenNanoseconds: UInt64 = 1_000_000_000
    private static let pauseMaximum: UInt64 = 5_000_000_000
    /// Workers that may die one after the other before any has served.
    private static let startsMaximum = 10
    /// How long a fault may be written down before the worker is ended.
    private static let faultNanoseconds: UInt64 = 200_000_000
    /// How long a worker has to replace a stuck thread of a pool before it is ended.
    private static let poolGraceNanoseconds: UInt64 = 100_000_000
    private static let acceptsMaximum = 64
    private static let deathsMaximum = 16

    /// Listens; throws when that is not possible.
    ///
    /// - Parameters:
    ///   - configuration: how it is set up.
    ///   - lock: what keeps others from the state folder, as long as it is open anywhere.
    ///   - refusal: how a listener that cannot be is told of.
    ///   - tell: is told what happens.
    package init(
        _ configuration: SupervisorConfiguration,
        lock: consuming FileDescriptor,
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
                let socket = try Socket.listen(on: address)
                addresses.append(try Socket.localAddress(of: socket, asked: address))
                listeners.append(Listener(socket, isLocal: address.isLocal))
            } catch {
                throw refusal(address, error)
            }
        }
        self.listeners = listeners
        house = SupervisorHouse(
            configuration: configuration,
            region: region,
            addresses: addresses,
            lock: lock
        )
    }

    // MARK: The loop

    /// What an epoll token stands for.
    private enum Source: UInt64 {
        case signals, listener, control, process, lifelines
    }

    private static func token(_ source: Source, _ number: Int) -> UInt64 {
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
        }
        next?.process.end()
        old?.process.end()
        return status ?? 0
    }

    private func worker(_ number: Int) -> Worker? {
        ([active, next, old].compactMap { $0 } + ending).first { $0.number == number }
    }

    private var waitTime: Int {
        if let startAt {
            let now = MonotonicClock.now()
            return startAt > now ? min(Int((startAt - now) / 1_000_000) + 1, 1000) : 0
        }
        return live > 0 || areListenersPaused || !ending.isEmpty
            ? Self.tickMilliseconds : Self.idleMilliseconds
    }

    /// What is looked at now and then, and whenever it wakes anyway.
    private func tick() {
        sweep()
        let now = MonotonicClock.now()
        if let startAt, startAt <= now {
            self.startAt = nil
            if next == nil {
                startWorker(active == nil ? (hasServed ? .takeover : .first) : .standby)
            }
        }
        if unsent, let active, active.hasGone { sendAll(to: active) }
        if areListenersPaused { resumeListeners() }
        for worker in [active, next, old].compactMap({ $0 }) { look(at: worker, now) }
    }

    // MARK: Signals

    private static let hangUp: CInt = 1

    /// Passes on what the host is asked to do; the exit status if there is nobody to pass it to.
    private func take(_ signal: CInt) -> Int32? {
        if signal == Self.hangUp {
            active?.tell(.reload)
            return nil
        }
        isEnding = true
        startAt = nil
        if let next, next !== active, !next.hasGone {
            next.process.end()
            forget(next)
            self.next = nil
        }
        guard let active else { return 0 }
        active.tell(.drain)
        return nil
    }

    // MARK: Accepting

    private func resumeListeners() {
        areListenersPaused = false
        for (index, listener) in listeners.enumerated() {
            try? epoll.modify(listener.socket, .readable, token: Self.token(.listener, index))
        }
    }

    private func pauseListeners() {
        areListenersPaused = true
        for (index, listener) in listeners.enumerated() {
            try? epoll.modify(
                listener.socket,
                Interest(rawValue: 0),
                token: Self.token(.listener, index)
            )
        }
    }

    /// Takes those who wait at a listener, some at a time, and sends them on.
    private func accept(_ number: Int) {
        guard listeners.indices.contains(number) else { return }
        var batches = [Batch](repeating: Batch(), count: configuration.loops)
        defer { for loop in batches.indices { flush(&batches[loop], loop) } }
        for _ in 0..<Self.acceptsMaximum {
            if ledger.isEmpty { sweep() }
            guard !ledger.isEmpty,
                let accepted = try? Socket.accept(from: listeners[number].socket)
            else { return pauseListeners() }
            switch consume accepted {
            case .connection(let connection):
                take(connection, isLocal: listeners[number].isLocal, &batches)
            case .none: return
            case .outOfDescriptors: return pauseListeners()
            }
        }
    }

    /// Connections for one loop.
    private struct Batch {
        var connections: [(slot: Int, isFresh: Bool)] = []
        var descriptors: [CInt] = []
    }

    private func take(
        _ connection: consuming FileDescriptor,
        isLocal: Bool,
        _ batches: inout [Batch]
    ) {
        let loop = nextLoop
        var index = ledger.take(for: connection, loop: loop, isLocal: isLocal)
        if index == nil {
            sweep()
            index = ledger.take(for: connection, loop: loop, isLocal: isLocal)
        }
        guard let index else { return }
        nextLoop = (nextLoop + 1) % configuration.loops
        if !isLocal { Socket.disableDelay(connection) }
        while connections.count <= index { connections.append(Connection()) }
        connections[index] = Connection(descriptor: connection.release(), worker: 0)
        live += 1
        batches[loop].connections.append((index, true))
        batches[loop].descriptors.append(connections[index].descriptor)
    }

    /// Sends a batch to its loop; what finds no room there is sent later.
    private func flush(_ batch: inout Batch, _ loop: Int) {
        guard !batch.connections.isEmpty else { return }
        defer { batch = Batch() }
        guard let active, active.hasGone,
            active.send(batch.connections, batch.descriptors, to: loop)
        else {
            unsent = true
            return
        }
        for connection in batch.connections { connections[connection.slot].worker = active.number }
    }

    /// Sends a worker every connection that nobody has.
    private func sendAll(to worker: Worker) {
        unsent = false
        var batches = [Batch](repeating: Batch(), count: configuration.loops)
        for index in 0..<connections.count
        where connections[index].descriptor >= 0 && !isHad(connections[index].worker) {
            guard region.life(index) == .live else { continue }
            let loop = Int(region.slot(index).loop) % configuration.loops
            batches[loop].connections.append((index, connections[index].worker == 0))
            batches[loop].descriptors.append(connections[index].descriptor)
            if batches[loop].descriptors.count == Consignment.connectionsMaximum {
                flush(&batches[loop], loop)
            }
        }
        for loop in batches.indices { flush(&batches[loop], loop) }
    }

    /// Whether a worker that lives has the connections that were sent to it.
    private func isHad(_ worker: Int) -> Bool {
        worker != 0 && (worker == active?.number || worker == old?.number)
    }

    /// Closes what workers have closed, and sends on what one has let go of.
    private func sweep() {
        ledger.sweep { index, isClosed in
            guard connections.indices.contains(index), connections[index].descriptor >= 0 else {
                return
            }
            if isClosed {
                _ = FileDescriptor(owning: connections[index].descriptor)
                connections[index] = Connection()
                live -= 1
            } else {
                connections[index].worker = -1
                unsent = true
            }
        }
    }

    private func stopListening() {
        for (index, listener) in listeners.enumerated() {
            accept(index)
            try? epoll.remove(listener.socket)
        }
        listeners = []
    }

    // MARK: Workers

    private func startWorker(_ role: WorkerRole) {
        workerCount += 1
        do {
            let worker = try Worker.start(
                number: workerCount,
                role: role,
                house,
                deaths: deaths
            )
            let token = Self.token(.control, worker.number)
            try worker.withLine { line throws(SystemError) in
                try epoll.add(line, .readable, token: token)
            }
            try epoll.add(
                worker.process.descriptor,
                .readable,
                token: Self.token(.process, worker.number)
            )
            try epoll.add(
                worker.lifelinesEnded.counter.descriptor,
                .readable,
                token: Self.token(.lifelines, worker.number)
            )
            next = worker
            if role == .takeover { activate(worker) }
        } catch {
            tell(.cannotStart(error))
            failures += 1
            backOff()
        }
    }

    /// Lets a worker serve, with every connection that there is.
    private func activate(_ worker: Worker) {
        active = worker
        next = nil
        worker.hasGone = true
        worker.tell(.go, number: old.map { UInt64($0.process.id) } ?? 0)
        sendAll(to: worker)
        if isEnding { worker.tell(.drain) }
    }

    private func receive(_ worker: Worker) {
        while let message = worker.hear() {
            message.drop()
            switch WorkerWord(rawValue: message.kind) {
            case .ready: ready(worker)
            case .serving: serving(worker)
            case .stopAccepting:
                stopListening()
                worker.tell(.acceptingEnded)
            case .committed: if let next, next.role == .standby { next.tell(.follow) }
            case .recycle: recycle()
            case .released: sweep()
            case .logReleased: logReleased(by: worker)
            case .reported:
                let count = min(Int(clamping: message.number), deaths.count)
                deaths.removeFirst(count)
                boards.removeFirst(count)
            case nil: break
            }
        }
    }

    private func ready(_ worker: Worker) {
        worker.isReady = true
        guard worker === next else { return }
        if active == nil { return activate(worker) }
        if wantsRecycle { handOver(to: worker) }
    }

    private func serving(_ worker: Worker) {
        let now = MonotonicClock.now()
        worker.servingSince = now
        try? worker.watchLifelines(configuration.loops + 2)
        if !hasServed {
            hasServed = true
            for (index, listener) in listeners.enumerated() {
                try? epoll.add(listener.socket, .readable, token: Self.token(.listener, index))
            }
        } else {
            let since = max(diedAt, worker.startedAt)
            tell(
                .workerServes(
                    process: worker.process.id,
                    isTakeover: worker.role != .first,
                    connections: live,
                    milliseconds: Int((now - min(now, diedAt == 0 ? since : diedAt)) / 1_000_000)
                )
            )
        }
        // The next one's start would take processors from the takeover that has just been.
        if configuration.keepsStandby, next == nil, !isEnding { startAt = now + 50_000_000 }
    }

    private func recycle() {
        guard !isEnding, old == nil else { return }
        wantsRecycle = true
        if let next {
            if next.isReady { handOver(to: next) }
        } else {
            startAt = nil
            startWorker(.standby)
        }
    }

    /// Lets the worker that serves give its connections to another one that is ready.
    private func handOver(to worker: Worker) {
        wantsRecycle = false
        guard let active else { return activate(worker) }
        active.handingOverSince = MonotonicClock.now()
        // It goes on serving until it has let go of the log.
        active.tell(.handOver)
    }

    /// A worker that hands over has let go of the log: the next one takes it, and then the
    /// connections.
    private func logReleased(by worker: Worker) {
        guard worker === active, let next, next.isReady else { return }
        diedAt = MonotonicClock.now()
        old = worker
        activate(next)
        worker.tell(.release)
    }

    // MARK: Deaths

    /// Ends a worker that hangs, or cannot even write down that it has crashed.
    private func look(at worker: Worker, _ now: UInt64) {
        if worker.isOver { return }
        if let since = worker.handingOverSince,
            now - min(now, since) > configuration.drainNanoseconds
        {
            return worker.process.end()
        }
        if worker.board.hasFault {
            if let fault = worker.board.fault, now - min(now, fault.moment) > Self.faultNanoseconds
            {
                worker.process.end()
            }
            return
        }
        guard worker.servingSince != nil else { return }
        for index in 0..<worker.board.notesUsed {
            guard let note = worker.board.note(index), note.activity.isPredicting,
                !note.isWrittenOff, let model = worker.board.model(note.model)
            else { continue }
            let grace = note.activity == .predictingInPool ? Self.poolGraceNanoseconds : 0
            let time = now - min(now, note.startedAt)
            guard time > model.hangNanoseconds + grace else { continue }
            // It may have come back while it was looked at.
            guard let again = worker.board.note(index), again.call == note.call else { continue }
            guard worker.board.noteHang(of: index, at: now) else { return }
            tell(
                .hang(
                    process: worker.process.id,
                    deployment: model.deployment,
                    version: model.version,
                    milliseconds: Int(time / 1_000_000)
                )
            )
            return worker.process.end()
        }
    }

    /// The threads of a worker have ended that touch what its successor needs: the process is gone,
    /// or what is left of it is of no use.
    private func lifelinesEnded(_ worker: Worker) {
        worker.lifelinesEnded.counter.clear()
        // At its end a worker's threads end one by one.
        guard !worker.isOver, !isEnding, worker.handingOverSince == nil else { return }
        worker.process.end()
        over(worker, end: nil)
    }

    /// A process has ended; the exit status if that was the host's end.
    private func reap(_ worker: Worker) -> Int32? {
        guard let end = worker.process.reap() else { return nil }
        let wasOver = worker.isOver
        let wasActive = worker === active
        let wasFirst = worker === next && !hasServed
        if !wasOver { over(worker, end: end) }
        forget(worker)
        if isEnding, wasActive {
            // It has ended as it was told to, or something has ended it on the way.
            if case .exited(let status) = end, worker.board.fault == nil { return status }
            if live == 0 { return 1 }
        }
        if wasFirst, case .exited(let status) = end, worker.board.fault == nil { return status }
        return !hasServed && failures >= Self.startsMaximum ? 1 : nil
    }

    /// Deals with the end of a worker, whose process may not be gone yet.
    private func over(_ worker: Worker, end: ProcessEnd?) {
        worker.isOver = true
        let now = MonotonicClock.now()
        if worker === old {
            old = nil
            // It has done what it was asked for, unless something was left.
            let left = connections.contains { $0.worker == worker.number && $0.descriptor >= 0 }
            if left || worker.board.fault != nil { bury(worker, end) }
            if let active { sendAll(to: active) }
            ending.append(worker)
            return
        }
        let isEnd = isEnding && worker.board.fault == nil && end.map { $0.isExit } ?? false
        if worker === active, !isEnd {
            diedAt = now
            bury(worker, end)
            active = nil
        } else if worker === next {
            next = nil
            if worker.board.fault != nil || end.map({ !$0.isExit }) ?? true { bury(worker, end) }
        }
        ending.append(worker)
        guard !isEnd else { return }
        failures = hasFailed(worker, now) ? failures + 1 : 1
        if !hasServed, case .exited = end, worker.board.fault == nil { return }
        replace()
    }

    /// Whether a worker has ended as one does that cannot serve, so that the next one will too.
    private func hasFailed(_ worker: Worker, _ now: UInt64) -> Bool {
        // One that was killed from outside has done nothing, and of one that has died in a call it
        // is known whose that was: that it does not go on for ever is seen to by the next one.
        guard let since = worker.servingSince else { return true }
        guard let fault = worker.board.fault, fault.note == nil else { return false }
        return now - min(now, since) < Self.provenNanoseconds
    }

    /// Puts somebody in the place of whoever has ended.
    private func replace() {
        sweep()
        if active == nil, let next, next.isReady {
            for death in deaths { next.tell(death) }
            return activate(next)
        }
        if active == nil, let next {
            // It is not ready, and so it serves what is loaded, as one does that starts now.
            for death in deaths { next.tell(death) }
            return
        }
        guard active == nil || configuration.keepsStandby, next == nil else { return }
        if isEnding, live == 0 { return }
        if failures <= 1 {
            startWorker(active == nil ? (hasServed ? .takeover : .first) : .standby)
        } else {
            backOff()
        }
    }

    private func backOff() {
        let pause = min(Self.pauseMaximum, 10_000_000 << UInt64(min(max(failures - 2, 0), 20)))
        startAt = MonotonicClock.now() + pause
        tell(.backingOff(milliseconds: Int(pause / 1_000_000), failures: failures))
    }

    /// Judges a death, and keeps it for the next worker to write down.
    private func bury(_ worker: Worker, _ end: ProcessEnd?) {
        let guilty = Judge(region: region).judge(worker.board)
        tell(.workerDied(process: worker.process.id, end: end, fault: worker.board.fault))
        guard deaths.count < Self.deathsMaximum else { return }
        boards.append(worker.board)
        deaths.append(
            ProcessMessage(
                .death,
                number: UInt64(worker.process.id),
                other: end.map { UInt64($0.waitStatus) } ?? .max,
                text: guilty.map { "\($0.slot) \($0.key)" } ?? "",
                descriptors: [worker.board.descriptor]
            )
        )
    }

    /// Lets go of a worker whose process is gone.
    private func forget(_ worker: Worker) {
        try? worker.withLine { line throws(SystemError) in try epoll.remove(line) }
        try? epoll.remove(worker.process.descriptor)
        try? epoll.remove(worker.lifelinesEnded.counter.descriptor)
        ending.removeAll { $0 === worker }
        if active === worker { active = nil }
    }
}
