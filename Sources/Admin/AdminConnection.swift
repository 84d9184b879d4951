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
    private let socket: FileDescriptor
    private let peer: AdminPeer
    private unowned let owner: AdminLoop
    private var token: LoopToken?
    private var input: [UInt8] = []
    private var request = PendingRequest()
    private var output: [UInt8] = []
    private var sent = 0
    private var closesAfterOutput = false
    /// Whether somebody else works on the answer.
    private var isWaiting = false
    private var isHead = false
    private var isClosed = false

    static let limits: HTTPLimits = {
        var limits = HTTPLimits()
        limits.bodyBytes = 1 << 20
        return limits
    }()
    /// How long a request may take to arrive, an answer to leave, and a connection to say nothing.
    private static let patienceNanoseconds: UInt64 = 60_000_000_000

    init(
        _ id: UInt64,
        _ socket: consuming FileDescriptor,
        _ peer: AdminPeer,
        _ owner: AdminLoop
    ) throws(SystemError) {
        self.id = id
        self.socket = socket
        self.peer = peer
        self.owner = owner
        token = try owner.eventLoop.register(self.socket, .readable, for: self)
        wait()
    }

    func ready(_ interest: Interest) {
        if interest.contains(.writable), !flush() { return }
        guard !isWaiting else {
            if interest.contains(.broken) { close() }
            return
        }
        receive()
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
        while !isClosed, !isWaiting, !closesAfterOutput, output.isEmpty {
            let input = input
            switch request.examine(input.span, Self.limits) {
            case .nothing, .incomplete: return wait()
            case .emptyLine: forget(2)
            case .wantsContinue: output = ResponseHead.continue
            case .fault(let fault):
                closesAfterOutput = true
                put(AdminAnswer(fault.status, "bad_request", fault.problem))
            case .complete(let head, let total):
                let body = request.chunkedContents ?? Array(input[head.length..<total])
                closesAfterOutput = !head.keepsAlive
                isHead = head.method == .head
                isWaiting = true
                let answer = owner.answer(head, in: input.span, body: body, peer, for: id)
                forget(total)
                if let answer { finish(answer) }
            }
            if !flush() { return }
        }
        if !isClosed { wait() }
    }

    private func forget(_ count: Int) {
        input.removeFirst(count)
        request = PendingRequest(allowsEmptyLine: count > 2)
    }

    /// Sends the answer of the request at hand.
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
            date: Self.date(),
            connection: closesAfterOutput ? .close : .none,
            contentType: answer.contentType,
            fields: fields,
            to: &head
        )
        output = head.bytes
        if !isHead { output += answer.body }
    }

    private static func date() -> [UInt8] {
        let parts = WallTime.now().parts
        return ResponseHead.date(
            year: parts.year,
            month: parts.month,
            day: parts.day,
            hour: parts.hour,
            minute: parts.minute,
            second: parts.second,
            weekday: parts.weekday
        )
    }

    /// Sends what there is; false: the connection is closed, or the peer takes nothing at the
    /// moment.
    private func flush() -> Bool {
        while sent < output.count {
            switch Socket.send(output, from: sent, to: socket) {
            case .moved(let count): sent += count
            case .wouldBlock:
                wait()
                return false
            case .endOfStream, .failed:
                close()
                return false
            }
        }
        if !output.isEmpty {
            (output, sent) = ([], 0)
            if closesAfterOutput {
                close()
                return false
            }
        }
        return true
    }

    /// Waits for whatever comes next.
    private func wait() {
        guard let token else { return }
        let interest: Interest =
            sent < output.count ? .writable : isWaiting ? Interest(rawValue: 0) : .readable
        try? owner.eventLoop.modify(socket, interest, token)
        owner.eventLoop.setDeadline(owner.eventLoop.now + Self.patienceNanoseconds, token)
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
