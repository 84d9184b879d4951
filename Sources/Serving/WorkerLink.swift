// What a worker has of its supervisor: the memory that it shares with its predecessors and its
// successor, where its connections come from, and the words that go to and fro.

package import Platform
import Synchronization

/// The worker's end of the line to its supervisor.
///
/// One thread, the process's first, receives (`run`); any thread may send.
package final class WorkerLink: Sendable {
    package let region: SlotRegion
    package let board: WorkerBoard
    /// What the worker was started for.
    package let role: WorkerRole
    /// Where clients connect.
    package let addresses: [SocketAddress]
    /// The listeners for admins, in the order of the configuration; the first is the Unix socket.
    package let adminListeners: [InheritedListener]
    /// Where each loop gets its connections from.
    let channels: [CInt]
    /// Workers that have died and are not written down yet.
    private let deaths: Guarded<Deaths>
    /// Workers that had died before this one was started.
    let deathCount: UInt64

    private let control: MessageSocket
    private let locks: [CInt]
    private let state = Guarded(State())

    private struct State {
        var mayGo = false
        var handingOver: Int32 = 0
        var mayRelease = false
        var mustFollow = false
        var hasAcceptingEnded = false
        var isOrphan = false
        var isListening = false
        var recycleFailure: String?
        var liveCopy: [UInt8]?
        /// What could not be told yet, in order.
        var backlog: [ProcessMessage] = []
    }

    private struct Deaths {
        var all: [Death]
        var counted = 0
        var reported = 0
        var written = 0
    }

    /// Deaths that were not asked for before.
    func takeNewDeaths() -> [Death] {
        deaths.withLock { deaths in
            defer { deaths.counted = deaths.all.count }
            return Array(deaths.all[deaths.counted...])
        }
    }

    /// Says that a death is written down.
    func noteWritten(_ death: Death) {
        deaths.withLock { $0.written += 1 }
        deaths.notify()
        send(.reported, number: UInt64(death.process))
    }

    /// Waits until every death is written down, or the moment has come.
    func awaitReports(by moment: UInt64) {
        _ = deaths.wait(by: moment) { $0.written >= $0.all.count ? true : nil }
    }

    /// The next death that is to be written down; waits for it.
    func nextReport() -> Death? {
        deaths.wait { deaths in
            guard deaths.reported < deaths.all.count else { return nil }
            deaths.reported += 1
            return deaths.all[deaths.reported - 1]
        }
    }

    /// What the supervisor wants of a worker that serves.
    package enum Wish: Sendable {
        case handOver
        case drain
        case reload
        /// There is no supervisor any more.
        case orphaned
    }

    /// Why a worker cannot be one.
    package struct LinkError: Error, CustomStringConvertible {
        package let description: String
    }

    /// Takes what the supervisor has for a new worker; waits for it.
    ///
    /// - Parameter control: the socket that the worker was started with.
    package init(_ control: consuming FileDescriptor) throws {
        let socket = MessageSocket(control)
        var (region, board): (SlotRegion?, WorkerBoard?) = (nil, nil)
        var (channels, admins): ([CInt], [InheritedListener]) = ([], [])
        var (addresses, deaths): ([SocketAddress], [Death]) = ([], [])
        var (role, locks): (WorkerRole?, [CInt]) = (nil, [])
        var died: UInt64 = 0
        var liveCopy: [UInt8]?
        var epoll = try Epoll()
        try epoll.add(socket.descriptor, .readable, token: 0)
        while role == nil {
            let message: ProcessMessage
            switch socket.receive() {
            case .message(let received): message = received
            case .nothing:
                _ = try epoll.wait(milliseconds: -1)
                continue
            case .end: throw LinkError(description: "the supervisor has gone")
            }
            let descriptor = message.descriptors.first
            switch SupervisorWord(rawValue: message.kind) {
            case .region:
                region = try descriptor.flatMap { try SlotRegion(adopting: .init(owning: $0)) }
            case .board:
                board = try descriptor.flatMap { try WorkerBoard(adopting: .init(owning: $0)) }
            case .lock: locks = message.descriptors
            case .channel: channels += message.descriptors
            case .adminListener:
                descriptor.map { admins.append(.init(number: $0, text: message.text)) }
            case .address: SocketAddress(message.text).map { addresses.append($0) }
            case .liveCopy:
                liveCopy = descriptor.map { MemoryFile.read($0) }
                message.drop()
            case .death:
                if let death = try Self.death(message) { Self.add(death, to: &deaths) }
            case .begin:
                role = WorkerRole(rawValue: message.number)
                died = message.other
            default: message.drop()
            }
        }
        try epoll.remove(socket.descriptor)
        guard let region, let board, let role else {
            throw LinkError(
                description: "the supervisor is of another version; end it and start it again"
            )
        }
        (self.region, self.board, self.role) = (region, board, role)
        (self.channels, adminListeners, self.addresses) = (channels, admins, addresses)
        self.deaths = Guarded(Deaths(all: deaths))
        state.withLock { $0.liveCopy = liveCopy }
        self.locks = locks
        deathCount = died
        self.control = socket
    }

    /// Notes a death, once: what nobody has written down is told again.
    private static func add(_ death: Death, to deaths: inout [Death]) {
        if !deaths.contains(where: { $0.process == death.process }) { deaths.append(death) }
    }

    /// What a message tells of a death.
    private static func death(_ message: ProcessMessage) throws -> Death? {
        guard let descriptor = message.descriptors.first,
            let board = try WorkerBoard(adopting: FileDescriptor(owning: descriptor))
        else { return nil }
        let words = message.text.split(separator: " ").compactMap { UInt64($0) }
        return Death(
            process: Int32(truncatingIfNeeded: message.number),
            end: message.other == .max
                ? nil : ProcessEnd(waitStatus: CInt(truncatingIfNeeded: message.other)),
            time: .now(),
            board: board,
            guilty: words.count == 2 ? (Int(clamping: words[0]), words[1]) : nil
        )
    }

    // MARK: Receiving

    /// Receives until the supervisor is gone; `wish` is told what a worker that serves is to do.
    /// Runs on the process's first thread.
    package func run(_ wish: (Wish) -> Void) throws {
        var epoll = try Epoll()
        try epoll.add(control.descriptor, .readable, token: 0)
        while true {
            switch control.receive() {
            case .nothing: _ = try epoll.wait(milliseconds: sendBacklog() ? 1000 : 5)
            case .message(let message): try take(message, wish)
            case .end:
                state.withLock { $0.isOrphan = true }
                state.notify()
                wish(.orphaned)
                return
            }
        }
    }

    private func take(_ message: ProcessMessage, _ wish: (Wish) -> Void) throws {
        switch SupervisorWord(rawValue: message.kind) {
        case .death:
            if let death = try Self.death(message) {
                deaths.withLock { Self.add(death, to: &$0.all) }
                deaths.notify()
            }
        case .go:
            state.withLock { state in
                state.mayGo = true
                state.handingOver = Int32(truncatingIfNeeded: message.number)
            }
            state.notify()
        case .acceptingEnded:
            state.withLock { $0.hasAcceptingEnded = true }
            state.notify()
        case .handOver: wish(.handOver)
        case .release:
            state.withLock { $0.mayRelease = true }
            state.notify()
        case .drain: wish(.drain)
        case .reload: wish(.reload)
        case .liveCopy:
            let copy = message.descriptors.first.map { MemoryFile.read($0) }
            message.drop()
            state.withLock { $0.liveCopy = copy }
        case .listening:
            state.withLock { $0.isListening = true }
            state.notify()
        case .recycleFailed:
            state.withLock { $0.recycleFailure = message.text }
        case .follow:
            state.withLock { $0.mustFollow = true }
            state.notify()
        default: message.drop()
        }
    }

    /// The process of the worker that hands over to this one; 0: none does.
    var handingOver: Int32 { state.withLock { $0.handingOver } }

    /// Says that the log is not written any more, and waits until the next worker has it.
    func releaseLog() {
        send(.logReleased)
        _ = state.wait { $0.mayRelease || $0.isOrphan ? true : nil } as Bool
    }

    /// Waits until the worker is to serve; the death of the worker before it, if there was one.
    ///
    /// `follow` is called whenever something else is live meanwhile.
    func awaitGo(_ follow: () -> Void) -> Death? {
        while true {
            let wish: (mayGo: Bool, isOrphan: Bool) = state.wait { state in
                guard state.mayGo || state.isOrphan || state.mustFollow else { return nil }
                state.mustFollow = false
                return (state.mayGo, state.isOrphan)
            }
            if wish.mayGo { return deaths.withLock { $0.all.last } }
            // Without a supervisor nobody will ever say so.
            if wish.isOrphan { CurrentProcess.exitNow(0) }
            follow()
        }
    }

    // MARK: Sending

    /// Tells the supervisor something, now or as soon as there is room.
    package func send(_ word: WorkerWord, number: UInt64 = 0) {
        state.withLock { $0.backlog.append(ProcessMessage(word, number: number)) }
        _ = sendBacklog()
    }

    /// Sends what could not be sent before, in order; whether nothing is left.
    private func sendBacklog() -> Bool {
        state.withLock { state in
            while let message = state.backlog.first, control.send(message) != .full {
                state.backlog.removeFirst()
                message.drop()
            }
            return state.backlog.isEmpty
        }
    }

    /// What was last live, as the worker that served it has left it with the supervisor.
    package var liveCopy: LiveCopy? {
        state.withLock { $0.liveCopy }.flatMap { LiveCopy(parsing: $0) }
    }

    /// Tells the supervisor what is live, for the worker that comes next.
    func sendCommitted(_ copy: LiveCopy) {
        // Without the copy the next worker asks the disk, as it does anyway.
        guard let number = try? MemoryFile.make(copy.bytes).release() else {
            return send(.committed)
        }
        state.withLock { state in
            state.backlog.append(ProcessMessage(.committed, descriptors: [number]))
        }
        _ = sendBacklog()
    }

    /// Waits until clients can connect.
    package func awaitListening() {
        _ = state.wait { $0.isListening || $0.isOrphan ? true : nil } as Bool
    }

    /// Why no other worker has taken over since `beginRecycle`; nil: nothing is known against it.
    package var recycleFailure: String? { state.withLock { $0.recycleFailure } }

    /// Asks for another worker to take over.
    package func beginRecycle() {
        state.withLock { $0.recycleFailure = nil }
        send(.recycle)
    }

    /// Lets nobody more be accepted, and waits until whoever was is in the channels.
    func stopAccepting() {
        send(.stopAccepting)
        let limit = MonotonicClock.now() + 2_000_000_000
        _ = state.wait(by: limit) { $0.hasAcceptingEnded || $0.isOrphan ? true : nil }
    }
}
