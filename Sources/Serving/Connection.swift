// One connection: bytes in, requests answered in order, bytes out.
//
// What must survive this object is in the slot; what is kept here can be found again: how far the
// head was searched, how much of the output the kernel has, whether the client has finished. A loop
// that adopts the slot makes a new `Connection` and goes on (see `reconcile`).

import Bytes
import EventLoop
import HTTP
import Platform
import Surfaces

/// A client's connection on its loop.
final class Connection: LoopClient {
    enum Phase: Equatable {
        case serving
        /// The last answer is sent; what the client still sends is read and dropped for a while, so
        /// that the answer is not destroyed by a reset.
        case lingering
        case closed
    }

    let slot: Slot
    let socket: FileDescriptor
    /// Its loop, which forgets it when it closes: so the two do not keep each other for ever.
    let owner: ServingLoop
    var token: LoopToken?
    private var interest: Interest = .readable
    var phase = Phase.serving
    var input: InputQueue
    var output: OutputQueue
    private(set) var request = PendingRequest()
    var closesAfterOutput = false
    private var lingeredBytes = 0
    var requestStartedAt: UInt64 = 0
    /// When the request at hand was begun, if it has had to wait; 0: it is begun now.
    private var beganAt: UInt64 = 0
    private var countedChunked = 0
    /// The request at the front of the input, while pools work on it, and its length.
    var pending: Waiting?
    /// Until when the request at the front of the input waits for a model to be loaded, on the
    /// monotonic clock; 0: it does not.
    var parkedUntil: UInt64 = 0
    /// Since when nothing is received for want of memory; 0: that is not so.
    var pausedAt: UInt64 = 0
    /// Bytes that the request at the front has to have for a pool to work on it, and that were not
    /// to be had.
    var lackingBytes = 0
    /// Since when the body at the front is awaited, and how much of it had come when that was last
    /// looked at; 0: none is.
    var bodySince: UInt64 = 0
    var rateSince: UInt64 = 0
    var rateBytes = 0
    /// An answer that has no room in the slot yet: its client does not read. Its request counts as
    /// being executed until it has.
    var held: HeldAnswer?
    /// Whether it has one of the places that are kept for those who come last.
    let isBrief: Bool
    /// Whether a predecessor has left something that nobody can go on with.
    private var isHopeless = false

    /// A request or an answer of more bytes is looked at for the memory that it leaves behind.
    private static let largeBytes = 64 << 10
    /// A client that has finished sending so soon behind its request still waits for the answer;
    /// one that does so later has gone away.
    private static let farewellNanoseconds: UInt64 = 100_000_000

    var configuration: ServerConfiguration { owner.state.configuration }

    init(
        socket: consuming FileDescriptor,
        slot: Slot,
        isFresh: Bool,
        owner: ServingLoop
    ) throws(SystemError) {
        self.socket = socket
        self.slot = slot
        self.owner = owner
        input = InputQueue(slot, owner.state, owner.spareBuffers)
        output = OutputQueue(slot, owner.state)
        isBrief = slot.flags.contains(.isBrief)
        if !isFresh, !reconcile() {
            isHopeless = true
            giveUp()
        }
        token = try owner.eventLoop.register(self.socket, .readable, for: self)
    }

    /// What the front of the input waits for.
    struct Waiting {
        let answer: PendingAnswer
        /// Bytes of the request.
        let length: Int
        /// Since when, on the monotonic clock.
        let since: UInt64
        /// In which of the loop's turns it began.
        let turn: Int
        /// Whether the client has finished sending, and waits nevertheless.
        var hasFarewell = false
    }

    /// Goes on with whatever is there already: bytes in the slot make no event.
    func start(isDraining: Bool) {
        if isHopeless { owner.state.countLostConnection() }
        advance()
        if isDraining, phase == .serving { beginDraining() }
    }

    // MARK: What the loop tells

    func ready(_ interest: Interest) {
        switch phase {
        case .closed: return
        case .lingering: linger()
        case .serving:
            // Nothing is asked for while it pauses, but the end of a connection comes unasked.
            if pausedAt > 0 || parkedUntil > 0 || pending != nil, interest.contains(.broken) {
                return close()
            }
            if let pending, interest.contains(.peerClosed) {
                let loop = owner.eventLoop
                // A turn may have been long, and what is seen behind it have come at its beginning.
                let isNextTurn = loop.turns == pending.turn + 1
                let since = isNextTurn ? max(pending.since, loop.lastEnd) : pending.since
                if loop.now - min(loop.now, since) > Self.farewellNanoseconds { return close() }
                self.pending?.hasFarewell = true
                return updateWaiting()
            }
            if interest.contains(.writable), !flush() { return }
            // Asked one by one: a set literal costs allocations that the optimiser leaves in.
            let isReadable = interest.contains(.readable) || interest.contains(.broken)
            if phase == .serving, isReadable, pausedAt == 0, pending == nil, parkedUntil == 0 {
                receive()
            }
            if phase == .serving { advance() }
            if owner.isHandingOver, handOver() { owner.noteReleased() }
        }
    }

    func deadlineReached(now: UInt64) {
        meetDeadline(now)
        if owner.isHandingOver, handOver() { owner.noteReleased() }
    }

    private func meetDeadline(_ now: UInt64) {
        guard phase == .serving else { return close() }
        guard output.isEmpty else { return sendLastTime() }
        if let pending { return expire(pending.answer, now: now) }
        if parkedUntil > 0 { return now >= parkedUntil ? unpark() : updateWaiting() }
        if pausedAt > 0 {
            guard hasRoom else {
                if now - pausedAt >= Self.roomWaitNanoseconds { return refuseForRoom() }
                return updateWaiting()
            }
            (pausedAt, lackingBytes) = (0, 0)
        }
        // What is missing may have arrived in this very moment, or while a model kept the loop
        // busy.
        let sequence = slot.sequence
        let before = input.progress
        receive()
        if phase == .serving { advance() }
        guard phase == .serving, slot.sequence == sequence, output.isEmpty, pausedAt == 0 else {
            return
        }
        if input.isEmpty { return close() }
        guard input.progress == before || request.head == nil || isTooSlow else { return }
        let sentence = isTooSlow ? slowSentence : "the request was not complete in time"
        refuse(HTTPFault(.requestTimeout, sentence))
        advance()
    }

    /// Output has waited too long; unless the client takes some of it now, that was the end.
    private func sendLastTime() {
        let before = output.progress
        if flush() {
            advance()
        } else if phase == .serving, output.progress == before {
            close()
        }
    }

    /// From now on the next answer is the last one; an idle connection ends after the settling
    /// time.
    func beginDraining() {
        guard phase == .serving, input.isEmpty, output.isEmpty, pending == nil else { return }
        setDeadline(after: configuration.settleNanoseconds)
    }

    // MARK: Input

    private func receive() {
        guard !input.hasEnded, !closesAfterOutput else { return }
        guard input.admit(request.head, from: socket) else { return pause() }
        switch input.receive(
            from: socket,
            at: owner.eventLoop.now,
            expecting: request.head
        ) {
        case .moved: if requestStartedAt == 0 { requestStartedAt = owner.eventLoop.now }
        case .wouldBlock, .endOfStream: break
        case .failed: close()
        }
    }

    // MARK: Requests

    /// Answers every complete request that is here, sends, and waits for what is missing.
    func advance() {
        var isBehindSpill = true
        while isBehindSpill {
            answerAll()
            // An answer that did not fit into the slot is sent before the next one is made: once it
            // is gone, the requests behind it make no event of their own.
            isBehindSpill = output.isSpilled || held != nil
            guard phase == .serving, flush() else { return }
            placeHeld()
            if closesAfterOutput { return finish() }
        }
        if input.hasEnded, pausedAt == 0, pending == nil, parkedUntil == 0 {
            guard !input.isEmpty else { return close() }
            refuse(HTTPFault(.badRequest, "the connection ended inside a request"))
            guard flush() else { return }
            return finish()
        }
        updateWaiting()
    }

    /// Answers complete requests until there is none, or an answer does not fit into the slot.
    private func answerAll() {
        while phase == .serving, !closesAfterOutput, !output.isSpilled, pausedAt == 0,
            pending == nil, parkedUntil == 0, held == nil
        {
            let limits = configuration.limits.http
            let step = input.withBytes { request.examine($0, limits) }
            countChunked(request.chunkedContents?.capacity ?? 0)
            switch step {
            case .nothing, .incomplete: return
            case .wantsContinue:
                let bytes = ResponseHead.continue
                return place(bytes.span, consuming: 0)
            case .emptyLine:
                place([UInt8]().span, consuming: 2)
                forgetRequest()
                request = PendingRequest(allowsEmptyLine: false)
            case .fault(let fault): refuse(fault)
            case .complete(let head, let total):
                guard head.method != .post || !owner.state.memory.answersHoldTooMuch else {
                    return pause()
                }
                execute(head, total)
            }
        }
    }

    /// Executes the request at the front of the input and commits its answer.
    private func execute(_ head: RequestHead, _ total: Int) {
        var word = slot.word
        // A request that was begun, here or by a worker before this one, is the same request still.
        if !word.isExecuting {
            beganAt = 0
            slot.sequence += 1
            slot.requestLength = UInt32(truncatingIfNeeded: total)
            slot.forgetAttempts()
            word.isExecuting = true
            slot.word = word
        }
        // A draining host answers what it has received already; the last of it ends the connection.
        let isLast = input.withBytes { $0.count } == total
        let mayFollow = slot.sequence < UInt64(configuration.limits.requestsPerConnection)
        let closes =
            !head.keepsAlive || !mayFollow || isBrief || owner.state.isDraining && isLast
        let connection: ConnectionField =
            closes ? .close : head.minorVersion == 0 ? .keepAlive : .none
        let exchange = Exchange(
            head: head,
            number: RequestNumber(slot),
            connection: connection,
            startedAt: beganAt > 0 ? beganAt : owner.eventLoop.now,
            isMarked: slot.isMarked
        )
        let waiting = input.withBytes { text in
            if let contents = request.chunkedContents {
                return owner.answerRequest(exchange, in: text, content: contents.span)
            }
            let content = text.extracting(head.length..<total)
            return owner.answerRequest(exchange, in: text, content: content)
        }
        switch waiting {
        case .done: conclude(exchange, total)
        case .lacksRoom(let bytes):
            lackingBytes = bytes
            beganAt = exchange.startedAt
            pause()
        case .parked(let moment):
            parkedUntil = moment
            owner.hasParked = true
            beganAt = exchange.startedAt
        case .waits(let answer):
            answer.connection = self
            pending = Waiting(
                answer: answer,
                length: total,
                since: owner.eventLoop.now,
                turn: owner.eventLoop.turns
            )
        }
    }

    /// Commits the answer that the loop has written.
    private func conclude(_ exchange: Exchange, _ total: Int) {
        if case .close = exchange.connection { closesAfterOutput = true }
        owner.answer.withSpan { place($0, consuming: total) }
        // Only a large request makes buffers grow, or one with a large answer, or with one that
        // was too large to become an answer.
        let isLarge =
            total > Self.largeBytes || owner.answer.count > Self.largeBytes
            || owner.predictor.facts.code != nil || owner.predictor.facts.surface == .openInference
        if held == nil { forgetRequest() }
        if isLarge { owner.shrinkBuffers() }
    }

    /// The pools are done with the request, or it has failed.
    func resume(_ answer: PendingAnswer) {
        guard phase == .serving, let pending, pending.answer === answer else { return }
        self.pending = nil
        // The host may have begun to drain meanwhile.
        if owner.state.isDraining, input.count == pending.length {
            answer.exchange.connection = .close
        }
        owner.finish(answer)
        conclude(answer.exchange, pending.length)
        advance()
        if owner.isHandingOver, handOver() { owner.noteReleased() }
    }

    /// Answers that the time is over, whatever the pool is doing.
    private func expire(_ answer: PendingAnswer, now: UInt64) {
        guard now >= answer.deadline else { return updateWaiting() }
        let time = (answer.deadline - answer.exchange.startedAt) / 1_000_000
        answer.expire(
            Failure(
                .deadlineExceeded,
                "there was no answer within \(time) ms; ask for less at once, or give the model "
                    + "more time or threads"
            ),
            at: now
        )
        owner.goOn(answer)
        if phase == .serving, pending != nil { updateWaiting() }
    }

    /// Answers a fault; nothing more is read from the connection.
    func refuse(_ fault: HTTPFault) {
        if let foreign = fault.foreign {
            let peer = Socket.peerText(of: socket)
            owner.state.rareEvents.note(
                "connection.foreign",
                kind: foreign.rawValue,
                "\(peer) speaks \(foreign.rawValue) on the clients' port: \(fault.problem)"
            )
        }
        var word = slot.word
        if !word.isExecuting {
            slot.sequence += 1
            slot.forgetAttempts()
            word.isExecuting = true
            slot.word = word
        }
        let number = RequestNumber(slot)
        input.withBytes { owner.answerFault(fault, request.head, in: $0, number) }
        closesAfterOutput = true
        let count = input.withBytes { $0.count }
        owner.answer.withSpan { place($0, consuming: count) }
        if held == nil { forgetRequest() }
    }

    /// Tells the host how much of a body in chunks lies on the heap without its framing.
    func countChunked(_ bytes: Int) {
        guard bytes != countedChunked else { return }
        owner.state.memory.count(bytes - countedChunked)
        countedChunked = bytes
    }

    func forgetRequest() {
        guard phase == .serving else { return }
        countChunked(0)
        bodySince = 0
        request = PendingRequest()
        requestStartedAt = input.isEmpty ? 0 : owner.eventLoop.now
    }

    // MARK: Output

    /// Puts bytes behind the output, and takes the request that they answer off the input.
    ///
    /// One store says both, so that a successor never finds an answered request unanswered, nor the
    /// other way round.
    private func place(_ bytes: Span<UInt8>, consuming count: Int) {
        if !output.hasRoom(bytes.count), !output.isSpilled { _ = flush() }
        // Without a client its answer goes nowhere, and counts as given.
        guard phase != .closed else { return owner.publishRecords() }
        guard output.hasRoom(bytes.count) || bytes.count > SlotRegion.outputCapacity else {
            // It fits once the client has taken what is there; until then the request counts as
            // being executed, and a successor executes it again.
            return hold(bytes, consuming: count)
        }
        commit(bytes, consuming: count)
    }

    func commit(_ bytes: Span<UInt8>, consuming count: Int) {
        var word = slot.word
        if output.hasRoom(bytes.count) {
            slot.stageOutput(bytes, at: 0)
            word.output += bytes.count
        } else {
            output.spill(bytes)
        }
        word.isExecuting = false
        if closesAfterOutput { word.isClosing = true }
        input.consume(count, noting: &word)
        slot.word = word
        owner.publishRecords()
        if input.isSpilled, input.finishConsuming(count), !output.isSpilled {
            slot.flags.remove(.spilled)
        }
    }

    /// Sends what is there. False: something is left, or the connection is gone.
    private func flush() -> Bool {
        guard phase == .serving else { return false }
        let result = output.flush(to: socket)
        guard case .moved = result else { return stall(result) }
        if !input.isSpilled { slot.flags.remove(.spilled) }
        return true
    }

    private func stall(_ result: IOResult) -> Bool {
        guard result == .wouldBlock else {
            close()
            return false
        }
        wait(for: .writable)
        setDeadline(after: configuration.limits.writeNanoseconds)
        return false
    }

    // MARK: Closing

    private func setDeadline(after nanoseconds: UInt64) {
        if let token { owner.eventLoop.setDeadline(owner.eventLoop.now + nanoseconds, token) }
    }

    func wait(for wanted: Interest) {
        guard wanted != interest, let token else { return }
        interest = wanted
        try? owner.eventLoop.modify(socket, wanted, token)
    }

    /// The last answer is sent.
    private func finish() {
        guard !input.hasEnded else { return close() }
        phase = .lingering
        Socket.finishSending(socket)
        wait(for: .readable)
        setDeadline(after: 1_000_000_000)
    }

    private func linger() {
        var dropped: [UInt8] = []
        switch Socket.receive(from: socket, into: &dropped, maximum: 16 * 1024) {
        case .moved(let count):
            lingeredBytes += count
            if lingeredBytes > 64 * 1024 { close() }
        case .wouldBlock: break
        case .endOfStream, .failed: close()
        }
    }

    /// Ends the connection now.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        if let token { owner.eventLoop.unregister(socket, token) }
        token = nil
        dropHeld()
        input.forgetSpilled()
        output.forgetSpilled()
        countChunked(0)
        if let pending { owner.abandon(pending.answer) }
        pending = nil
        Socket.shutDown(socket)
        owner.state.region.leave(slot)
        owner.forget(self)
    }
}
