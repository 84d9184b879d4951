// One connection of an admin: one request at a time, read whole, answered, and then the next.

import Bytes
import EventLoop
import HTTP
import Logging
import Platform
import Serving

/// An admin's connection on the admin loop.
final class AdminConnection: LoopClient {
    let id: UInt64
    /// Where it came in.
    let kind: AdminListener.Kind
    private let socket: FileDescriptor
    private let peer: AdminPeer
    private unowned let owner: AdminLoop
    private var token: LoopToken?
    private var input: [UInt8] = []
    private var request = PendingRequest()
    private var output: [UInt8] = []
    private var sent = 0
    /// What follows `output`: the body, which several connections may share.
    private var body: [UInt8] = []
    private var closesAfterOutput = false
    /// Whether somebody else works on the answer.
    private var isWaiting = false
    private var isHead = false
    /// Whether the last answer has left, and what the peer still sends is dropped.
    private var isLingering = false
    private var droppedBytes = 0
    private var isClosed = false
    /// Whether it has shown that it may ask: on a listener for metrics by asking, elsewhere by its
    /// user or its key.
    private(set) var isProven: Bool

    static let limits: HTTPLimits = {
        var limits = HTTPLimits()
        limits.bodyBytes = 1 << 20
        return limits
    }()
    /// How long, and how much, a peer may go on sending behind the last answer.
    private static let lingerNanoseconds: UInt64 = 1_000_000_000
    /// How long somebody may take to show that he may ask, who does not come over the Unix socket.
    private static let strangerNanoseconds: UInt64 = 2_000_000_000
    private static let lingerBytes = 4 << 20

    init(
        _ id: UInt64,
        _ socket: consuming FileDescriptor,
        _ peer: AdminPeer,
        _ kind: AdminListener.Kind,
        _ owner: AdminLoop
    ) throws(SystemError) {
        self.id = id
        self.socket = socket
        self.peer = peer
        self.kind = kind
        self.owner = owner
        isProven = kind == .local
        token = try owner.eventLoop.register(self.socket, .readable, for: self)
        let patience = owner.patienceNanoseconds
        setDeadline(
            after: kind == .local ? patience : min(patience, Self.strangerNanoseconds)
        )
    }

    func ready(_ interest: Interest) {
        if isLingering { return linger() }
        if isWaiting {
            if interest.contains(.broken) { close() }
        } else if sent < output.count {
            if flush() { advance() }
        } else {
            receive()
        }
    }

    func deadlineReached(now: UInt64) {
        if !isWaiting { close() }
    }

    private func receive() {
        switch Socket.receive(from: socket, into: &input, maximum: 1 << 16) {
        case .moved: advance()
        case .wouldBlock: break
        case .endOfStream, .failed: close()
        }
    }

    /// Answers what is complete.
    private func advance() {
        while !isClosed, !isWaiting, !isLingering {
            let input = input
            switch request.examine(input.span, Self.limits) {
            case .nothing, .incomplete: return wait(for: .readable)
            case .emptyLine: forget(2)
            case .wantsContinue: output = ResponseHead.continue
            case .fault(let fault):
                (closesAfterOutput, isHead) = (true, input.starts(with: Array("HEAD ".utf8)))
                let large: [Status] = [.contentTooLarge, .uriTooLong, .headerFieldsTooLarge]
                let isLarge = large.contains(fault.status)
                put(AdminAnswer(fault.status, isLarge ? "too_large" : "bad_request", fault.problem))
            case .complete(let head, let total):
                let body = request.chunkedContents ?? Array(input[head.length..<total])
                closesAfterOutput = !head.keepsAlive
                isHead = head.method == .head
                let answer = owner.answer(head, in: input.span, body: body, peer, for: id)
                forget(total)
                if answer?.isRefusal == true {
                    closesAfterOutput = true
                } else if !isProven {
                    isProven = true
                    owner.noteProven(self)
                }
                guard let answer else {
                    isWaiting = true
                    return wait(for: Interest(rawValue: 0))
                }
                put(answer)
            }
            if !flush() { return }
        }
    }

    private func forget(_ count: Int) {
        input.removeFirst(count)
        request = PendingRequest(allowsEmptyLine: count > 2)
    }

    /// Sends the answer that somebody else has made.
    func finish(_ answer: AdminAnswer) {
        guard isWaiting, !isClosed else { return }
        isWaiting = false
        put(answer)
        if flush() { advance() }
    }

    private func put(_ answer: AdminAnswer) {
        var fields = ByteBuffer()
        fields.append(answer.fields)
        fields.append(literal: "Cache-Control: no-store\r\n")
        var head = ByteBuffer()
        ResponseHead.write(
            answer.status,
            bodyBytes: answer.body.count,
            date: ResponseHead.date(.now()),
            connection: closesAfterOutput ? .close : .none,
            contentType: answer.contentType,
            fields: fields,
            to: &head
        )
        output = head.bytes
        body = isHead ? [] : answer.body
        setDeadline(after: owner.patienceNanoseconds)
    }

    /// Sends what there is; false: the connection has come to its end, or the peer takes nothing at
    /// the moment.
    private func flush() -> Bool {
        while sent < output.count {
            switch Socket.send(output, from: sent, to: socket) {
            case .moved(let count): sent += count
            case .wouldBlock:
                wait(for: .writable)
                return false
            case .endOfStream, .failed:
                close()
                return false
            }
        }
        if !body.isEmpty {
            (output, body, sent) = (body, [], 0)
            return flush()
        }
        guard !output.isEmpty else { return true }
        (output, sent) = ([], 0)
        // From here on the next request may take its time.
        setDeadline(after: owner.patienceNanoseconds)
        if closesAfterOutput { beginLingering() }
        return !closesAfterOutput
    }

    private func wait(for interest: Interest) {
        guard let token else { return }
        try? owner.eventLoop.modify(socket, interest, token)
    }

    /// The moment is not put off by bytes that come or go one by one.
    private func setDeadline(after nanoseconds: UInt64) {
        guard let token else { return }
        owner.eventLoop.setDeadline(MonotonicClock.now() + nanoseconds, token)
    }

    // MARK: The end

    /// Waits for the peer to be done: to close while its bytes lie unread could cost it the answer.
    private func beginLingering() {
        isLingering = true
        input = []
        Socket.finishSending(socket)
        wait(for: .readable)
        setDeadline(after: Self.lingerNanoseconds)
    }

    private func linger() {
        var dropped: [UInt8] = []
        switch Socket.receive(from: socket, into: &dropped, maximum: 1 << 16) {
        case .moved(let count):
            droppedBytes += count
            if droppedBytes > Self.lingerBytes { close() }
        case .wouldBlock: break
        case .endOfStream, .failed: close()
        }
    }

    func close() {
        guard let token else { return }
        self.token = nil
        isClosed = true
        owner.eventLoop.unregister(socket, token)
        Socket.shutDown(socket)
        owner.forget(self)
    }
}
