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
    private let loops: [Mailbox<ServingLoop>]
    private var listeners: [Listener] = []
    private var ledger: SlotLedger
    private var handedSinceSweep = 0
    private var nextLoop = 0

    /// How long accepting pauses when there is nothing to accept with.
    private static let pauseNanoseconds: UInt64 = 50_000_000

    init(
        region: SlotRegion,
        loops: [Mailbox<ServingLoop>],
        addressMaximum: Int
    ) throws(SystemError) {
        eventLoop = try EventLoop()
        self.loops = loops
        ledger = SlotLedger(region, addressMaximum: addressMaximum)
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
            handedSinceSweep += 1
            if handedSinceSweep > 64 || ledger.isEmpty {
                handedSinceSweep = 0
                ledger.sweep()
            }
            guard !ledger.isEmpty, let accepted = try? Socket.accept(from: socket) else {
                return false
            }
            switch consume accepted {
            case .connection(let connection): hand(connection)
            case .none: return true
            case .outOfDescriptors: return false
            }
        }
    }

    private func hand(_ connection: consuming FileDescriptor) {
        let loop = nextLoop
        // One whose address has too many is closed at once; its earlier ones may just have gone.
        var index = ledger.take(for: connection, loop: loop, isLocal: false)
        if index == nil {
            ledger.sweep()
            index = ledger.take(for: connection, loop: loop, isLocal: false)
        }
        guard let index else { return }
        Socket.disableDelay(connection)
        nextLoop = (nextLoop + 1) % loops.count
        let number = connection.release()
        loops[loop].post { $0.adopt(FileDescriptor(owning: number), slot: index, isFresh: true) }
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
