// The thread that accepts: it takes connections, gives each a slot, and hands both to a loop in
// turn.
//
// One accepting thread spreads connections evenly and knows every slot, so a loop never has to ask
// for one. When descriptors or slots run out, accepting pauses; the kernel's queue keeps the
// clients.

import EventLoop
import Platform

/// Accepts for all listeners of a host.
final class Acceptor {
    private let eventLoop: EventLoop
    private let region: SlotRegion
    private let loops: [Mailbox<ServingLoop>]
    private var listeners: [Listener] = []
    private var freeSlots: [Int]
    /// Slots from here on were never used.
    private var usedSlots = 0
    private var handedSinceSweep = 0
    private var nextConnection: UInt64 = 1
    private var nextLoop = 0
    /// Connections at once of one address, and whose connection each slot has; empty while there is
    /// no such limit.
    private let addressMaximum: Int
    private var addressCounts: [[UInt8]: Int] = [:]
    private var addresses: [Int: [UInt8]] = [:]

    /// How long accepting pauses when there is nothing to accept with.
    private static let pauseNanoseconds: UInt64 = 50_000_000

    init(
        region: SlotRegion,
        loops: [Mailbox<ServingLoop>],
        addressMaximum: Int
    ) throws(SystemError) {
        eventLoop = try EventLoop()
        self.addressMaximum = addressMaximum
        self.region = region
        self.loops = loops
        freeSlots = Array((0..<region.count).reversed())
    }

    /// Accepts until `stop`. The sockets are listening already.
    ///
    /// Calls `started` once nothing can go wrong any more.
    func run(
        _ sockets: [CInt],
        _ mailbox: Mailbox<Acceptor>,
        started: () -> Void
    ) throws(SystemError) {
        _ = try mailbox.attach(to: eventLoop, self)
        for number in sockets {
            let listener = Listener(FileDescriptor(owning: number), self)
            try listener.start(eventLoop)
            listeners.append(listener)
        }
        started()
        try eventLoop.run()
    }

    /// Accepts whoever is waiting already, closes the listeners, and ends `run`.
    func stop() {
        for listener in listeners { listener.close(eventLoop) }
        listeners = []
        eventLoop.stop()
    }

    /// Takes every waiting connection. False: there is nothing to take one with at the moment.
    func acceptAll(from socket: borrowing FileDescriptor) -> Bool {
        while true {
            guard let index = freeSlot() else { return false }
            do {
                switch try Socket.accept(from: socket) {
                case .connection(let connection):
                    hand(connection, index)
                case .none:
                    freeSlots.append(index)
                    return true
                case .outOfDescriptors:
                    freeSlots.append(index)
                    return false
                }
            } catch {
                freeSlots.append(index)
                return false
            }
        }
    }

    private func hand(_ connection: consuming FileDescriptor, _ index: Int) {
        guard isWelcome(connection, index) else {
            freeSlots.append(index)
            return
        }
        Socket.disableDelay(connection)
        usedSlots = max(usedSlots, index + 1)
        let loop = nextLoop
        nextLoop = (nextLoop + 1) % loops.count
        region.slot(index).begin(
            connection: nextConnection,
            loop: loop,
            at: MonotonicClock.now()
        )
        nextConnection += 1
        let number = connection.release()
        loops[loop].post { $0.adopt(FileDescriptor(owning: number), slot: index, isFresh: true) }
    }

    /// Counts a connection for its address; false when the address has too many.
    private func isWelcome(_ connection: borrowing FileDescriptor, _ index: Int) -> Bool {
        guard addressMaximum < Int.max, let address = Socket.peerAddress(of: connection) else {
            return true
        }
        if addressCounts[address, default: 0] >= addressMaximum { sweep() }
        guard addressCounts[address, default: 0] < addressMaximum else { return false }
        addressCounts[address, default: 0] += 1
        addresses[index] = address
        return true
    }

    /// A slot that nobody uses: one that was used before, if there is one, so that a host with few
    /// connections at a time touches the memory of few slots.
    private func freeSlot() -> Int? {
        handedSinceSweep += 1
        if handedSinceSweep > 64 || freeSlots.isEmpty { sweep() }
        return freeSlots.popLast()
    }

    /// Takes back the slots of closed connections.
    private func sweep() {
        handedSinceSweep = 0
        for index in 0..<usedSlots where region.life(index) == .closed {
            region.slot(index).life = .free
            if let address = addresses.removeValue(forKey: index) {
                let left = addressCounts[address, default: 1] - 1
                addressCounts[address] = left > 0 ? left : nil
            }
            freeSlots.append(index)
        }
    }

    static var pause: UInt64 { pauseNanoseconds }
}

/// One listening socket.
private final class Listener: LoopClient {
    private let socket: FileDescriptor
    private unowned let owner: Acceptor
    private var token: LoopToken?
    private weak var eventLoop: EventLoop?

    init(_ socket: consuming FileDescriptor, _ owner: Acceptor) {
        self.socket = socket
        self.owner = owner
    }

    func start(_ eventLoop: EventLoop) throws(SystemError) {
        self.eventLoop = eventLoop
        token = try eventLoop.register(socket, .readable, for: self)
    }

    func ready(_ interest: Interest) { accept() }
    func deadlineReached(now: UInt64) { accept() }

    private func accept() {
        guard let eventLoop, let token else { return }
        let canGoOn = owner.acceptAll(from: socket)
        try? eventLoop.modify(socket, canGoOn ? .readable : Interest(rawValue: 0), token)
        if !canGoOn { eventLoop.setDeadline(eventLoop.now + Acceptor.pause, token) }
    }

    func close(_ eventLoop: EventLoop) {
        _ = owner.acceptAll(from: socket)
        if let token { eventLoop.unregister(socket, token) }
        token = nil
    }
}
