// The admin listeners' own thread: it answers what is known at once, and hands the rest to the
// commit queue or to a thread of its own, so that an admin is heard however busy the loops are.

import EventLoop
import HTTP
import Platform
import Serving

/// Accepts admins and answers them. Confined to its thread.
final class AdminLoop {
    let eventLoop: EventLoop
    private let router: AdminRouter
    private let mailbox: Mailbox<AdminLoop>
    private var listeners: [AdminListener] = []
    private var connections: [UInt64: AdminConnection] = [:]
    /// Connections of each kind that may ask, and the numbers of those that may not yet.
    private var counts: [AdminListener.Kind: Int] = [:]
    private var strangers: [AdminListener.Kind: [UInt64]] = [:]
    private var nextConnection: UInt64 = 1
    /// How long a request may take to arrive, an answer to leave, and a connection to say nothing.
    let patienceNanoseconds: UInt64

    /// Connections at once of each kind that may ask; further ones wait in the kernel's queue.
    /// Strangers on TCP take no place from the Unix socket.
    private static let connectionsMaximum = 48
    /// Connections at once of each kind that have not shown that they may ask: the next one takes
    /// the place of the oldest, so nobody who has a key waits behind those who have none.
    private static let strangersMaximum = 16

    init(
        _ router: AdminRouter,
        _ mailbox: Mailbox<AdminLoop>,
        patienceNanoseconds: UInt64
    ) throws(SystemError) {
        self.router = router
        self.mailbox = mailbox
        self.patienceNanoseconds = patienceNanoseconds
        eventLoop = try EventLoop()
    }

    /// Serves until `stop`; the sockets are listening already.
    func run(
        _ sockets: [(number: CInt, AdminListener.Kind)],
        socketPath: String,
        identity: SocketIdentity?
    ) throws(SystemError) {
        _ = try mailbox.attach(to: eventLoop, self)
        for (number, kind) in sockets {
            let path = kind == .local ? socketPath : nil
            let listener = AdminListener(
                FileDescriptor(owning: number),
                kind,
                path: path,
                identity,
                self
            )
            try listener.start()
            listeners.append(listener)
        }
        try eventLoop.run()
    }

    func stop() {
        for connection in connections.values { connection.close() }
        router.refusals.flush(isLast: true)
        listeners = []
        eventLoop.stop()
    }

    func isFull(_ kind: AdminListener.Kind) -> Bool {
        counts[kind, default: 0] >= Self.connectionsMaximum
    }

    func adopt(
        _ socket: consuming FileDescriptor,
        _ peer: AdminPeer,
        _ kind: AdminListener.Kind
    ) {
        let id = nextConnection
        nextConnection += 1
        guard let connection = try? AdminConnection(id, socket, peer, kind, self) else { return }
        connections[id] = connection
        guard !connection.isProven else { return counts[kind, default: 0] += 1 }
        strangers[kind, default: []].append(id)
        if let oldest = strangers[kind]?.first,
            strangers[kind, default: []].count > Self.strangersMaximum
        {
            connections[oldest]?.close()
        }
    }

    /// A connection has shown that it may ask.
    func noteProven(_ connection: AdminConnection) {
        strangers[connection.kind]?.removeAll { $0 == connection.id }
        counts[connection.kind, default: 0] += 1
    }

    /// What is looked at once a second.
    func tick() { router.refusals.flush() }

    func forget(_ connection: AdminConnection) {
        guard connections.removeValue(forKey: connection.id) != nil else { return }
        if connection.isProven {
            counts[connection.kind, default: 1] -= 1
        } else {
            strangers[connection.kind]?.removeAll { $0 == connection.id }
        }
        for listener in listeners { listener.goOn() }
    }

    /// Answers a request, or says nothing: then the answer comes through the mailbox.
    func answer(
        _ head: RequestHead,
        in text: Span<UInt8>,
        body: [UInt8],
        _ peer: AdminPeer,
        for connection: UInt64
    ) -> AdminAnswer? {
        let mailbox = self.mailbox
        return router.answer(head, in: text, body: body, peer) { answer in
            mailbox.post { $0.connections[connection]?.finish(answer) }
        }
    }
}

@available(*, unavailable)
extension AdminLoop: Sendable {}

/// One listening socket for admins.
final class AdminListener: LoopClient {
    /// Who comes in here.
    enum Kind: Sendable { case local, remote, metrics }

    private var socket: FileDescriptor
    private let kind: Kind
    private unowned let owner: AdminLoop
    private var token: LoopToken?
    private var isPaused = false
    /// The Unix socket's file, if it is one, and which file that was when it was made.
    private let path: String?
    private var identity: SocketIdentity?

    /// How often it looks whether its file is still there.
    private static let lookNanoseconds: UInt64 = 1_000_000_000

    init(
        _ socket: consuming FileDescriptor,
        _ kind: Kind,
        path: String?,
        _ identity: SocketIdentity?,
        _ owner: AdminLoop
    ) {
        self.socket = socket
        self.kind = kind
        self.path = path
        self.identity = identity
        self.owner = owner
    }

    func start() throws(SystemError) {
        token = try owner.eventLoop.register(socket, .readable, for: self)
        look()
    }

    func ready(_ interest: Interest) { acceptAll() }

    func deadlineReached(now: UInt64) {
        goOn()
        look()
        owner.tick()
    }

    /// Listens again when somebody has removed or replaced the socket's file, as a worker before
    /// this one may have done: without it no admin comes in.
    private func look() {
        guard let path, let token else { return }
        if SocketIdentity(path) != identity,
            let fresh = try? Socket.listen(on: .unix(path), backlog: 64)
        {
            try? File.setMode(path, 0o600)
            identity = SocketIdentity(path)
            owner.eventLoop.unregister(socket, token)
            socket = fresh
            self.token = try? owner.eventLoop.register(socket, .readable, for: self)
        }
        if !isPaused, let token = self.token {
            owner.eventLoop.setDeadline(owner.eventLoop.now + Self.lookNanoseconds, token)
        }
    }

    private func acceptAll() {
        while !owner.isFull(kind) {
            guard let accepted = try? Socket.accept(from: socket) else { return pause() }
            switch consume accepted {
            case .connection(let connection):
                Socket.disableDelay(connection)
                let peer: AdminPeer =
                    switch kind {
                    case .local: .local(user: Socket.peerUser(of: connection))
                    case .remote: .remote(address: Socket.peerText(of: connection))
                    case .metrics: .metrics(address: Socket.peerText(of: connection))
                    }
                owner.adopt(connection, peer, kind)
            case .none: return
            case .outOfDescriptors: return pause()
            }
        }
        pause()
    }

    /// Leaves who comes next to the kernel for a moment.
    private func pause() {
        guard let token else { return }
        isPaused = true
        try? owner.eventLoop.modify(socket, Interest(rawValue: 0), token)
        owner.eventLoop.setDeadline(owner.eventLoop.now + 100_000_000, token)
    }

    func goOn() {
        guard isPaused, !owner.isFull(kind), let token else { return }
        isPaused = false
        try? owner.eventLoop.modify(socket, .readable, token)
    }
}
