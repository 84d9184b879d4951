// One loop of the host: its thread's event loop, its connections, and the reusable memory in which
// it builds answers. Nothing here is shared with another thread but through the mailbox.

import Bytes
import Endpoints
package import EventLoop
package import HTTP
import JSON
package import Platform
import PluginHost
import Surfaces

/// What a loop owns.
package final class ServingLoop {
    package let eventLoop: EventLoop
    let state: HostState
    let index: Int
    private(set) var snapshot: ServingSnapshot
    private let ring: LogRing
    private var connections: [Int: Connection] = [:]
    private var isDraining = false
    /// Whether requests wait for models that are being loaded.
    var hasParked = false
    /// Whether connections go to another worker.
    private(set) var isHandingOver = false
    private var released: (() -> Void)?
    private let mailbox: Mailbox<ServingLoop>
    private var channel: ConnectionChannel?
    /// Requests that wait for pools, by their tickets.
    private var pending: [UInt64: PendingAnswer] = [:]
    private var ticketCount: UInt64 = 0

    // Memory that is used again for every request.
    /// The request at hand. One that has to wait for a pool takes it along.
    private(set) var predictor: Predictor
    private var sparePredictors: [Predictor] = []
    let spareBuffers = SpareBuffers()
    private let runDelay = RunDelay()
    var path: [UInt8] = []
    var body = ByteBuffer(capacity: 4096)
    var answer = ByteBuffer(capacity: 4096)
    var fields = ByteBuffer(capacity: 4096)
    var openInference = OpenInferenceSurface()
    /// Reads results of classifiers for answers of the API node.
    var classReading = ClassReading()
    /// The description of what is live; empty: nobody has asked for it.
    var description: [UInt8] = []
    private var recorder = RequestRecord()
    private var wallClock = WallClock()
    private var dateSecond: Int64 = -1
    private var dateText: [UInt8] = []
    /// What the ids begin with that the host gives to requests.
    private let idPrefix: [UInt8]

    package init(
        index: Int,
        state: HostState,
        snapshot: ServingSnapshot,
        ring: LogRing,
        mailbox: Mailbox<ServingLoop>
    ) throws(SystemError) {
        self.index = index
        self.state = state
        self.snapshot = snapshot
        self.ring = ring
        self.mailbox = mailbox
        eventLoop = try EventLoop()
        var prefix: [UInt8] = []
        for shift in stride(from: UInt64(60), through: 16, by: -4) {
            prefix.append(Hex.digit(UInt8(truncatingIfNeeded: state.region.seed >> shift & 15)))
        }
        prefix.append(UInt8(ascii: "-"))
        idPrefix = prefix
        predictor = Predictor(state.configuration, runDelay: runDelay)
    }

    /// Serves until the loop is told to stop. Called on the loop's own thread; calls `started` once
    /// nothing can go wrong any more.
    ///
    /// - Parameter channel: where a supervisor sends its connections; nil: they come through the
    ///   mailbox.
    func run(channel: CInt? = nil, started: () -> Void) throws(SystemError) {
        let token = try mailbox.attach(to: eventLoop, self)
        predictor.note = state.threadNote()
        if let channel {
            let channel = ConnectionChannel(MessageSocket(FileDescriptor(owning: channel)), self)
            try channel.start(eventLoop)
            self.channel = channel
        }
        started()
        // Whatever ends the loop: what it leaves nobody else would close.
        defer { for connection in connections.values { connection.close() } }
        try eventLoop.run()
        mailbox.withDescriptor { eventLoop.unregister($0, token) }
    }

    // MARK: What is live

    /// Serves another snapshot from the next request on.
    func serve(_ snapshot: ServingSnapshot) {
        self.snapshot = snapshot
        description = []
        // Models may have come that requests wait for; without any this is a look at a flag.
        guard hasParked else { return }
        hasParked = false
        for connection in connections.values { connection.unpark() }
    }

    /// The oldest revision that a request here is of.
    var oldestRevision: Int {
        pending.values.reduce(snapshot.revision) { min($0, $1.revision) }
    }

    // MARK: Connections

    /// Takes over a connection: a new one (`isFresh`), or one that another loop has left.
    package func adopt(_ socket: consuming FileDescriptor, slot index: Int, isFresh: Bool = false) {
        // One that is here already is not taken twice.
        guard connections[index] == nil else { return }
        let slot = state.region.slot(index)
        do {
            let connection = try Connection(
                socket: socket,
                slot: slot,
                isFresh: isFresh,
                owner: self
            )
            connections[index] = connection
            state.countOpened(isFresh: isFresh)
            connection.start(isDraining: isDraining)
        } catch {
            if !isFresh { state.countLostConnection() }
            state.region.leave(slot)
        }
    }

    /// Forgets a connection that has closed itself.
    func forget(_ connection: Connection) {
        connections[connection.slot.index] = nil
        state.countClosed()
        if isDraining || isHandingOver, connections.isEmpty { eventLoop.stop() }
    }

    /// Answers what is here, then lets the connections go: each with its next answer, idle ones
    /// after the settling time.
    func drain() {
        channel?.takeAll()
        isDraining = true
        if connections.isEmpty { return eventLoop.stop() }
        for connection in connections.values { connection.beginDraining() }
    }

    /// Lets go of every connection that nothing runs for, for another worker to go on with, and of
    /// the others as soon as that is so; `released` is called after some have gone.
    func handOver(_ released: @escaping () -> Void) {
        channel?.takeAll()
        isHandingOver = true
        self.released = released
        for connection in connections.values { connection.handOver() }
        released()
        if connections.isEmpty { eventLoop.stop() }
    }

    /// Lets go of a connection that another worker goes on with.
    func release(_ connection: Connection) {
        connections[connection.slot.index] = nil
        state.countClosed()
        state.region.markLeft(connection.slot.index)
    }

    /// Tells of a connection that was let go of behind the others.
    func noteReleased() {
        released?()
        if connections.isEmpty { eventLoop.stop() }
    }

    /// Closes whatever is left.
    func stop() {
        for connection in connections.values { connection.close() }
        eventLoop.stop()
    }

    /// Leaves everything as it is, in the middle of whatever it is, without a word to anybody: what
    /// a crash does. Only tests call it; another loop adopts the slots.
    package func abandon() -> [(slot: Int, socket: CInt)] {
        let left = connections.values.map { ($0.slot.index, $0.abandonSocket()) }
        connections = [:]
        eventLoop.stop()
        return left
    }

    // MARK: Shared by all answers

    /// The text of the `Date` field; written once a second.
    var date: [UInt8] {
        let now = wallClock.time(at: eventLoop.now)
        if now.seconds != dateSecond {
            dateSecond = now.seconds
            dateText = ResponseHead.date(now)
        }
        return dateText
    }

    /// Sets the id of the request at hand: the client's own, if it is printable, or one of its own,
    /// which it keeps when another worker executes it again.
    func beginRequest(_ head: RequestHead?, _ text: Span<UInt8>, _ number: RequestNumber) {
        predictor.clear()
        predictor.number = number
        predictor.coinSeed = state.region.seed ^ number.key
        beginAnswer()
        predictor.requestID.clear()
        if let given = head?.requestID {
            let isPrintable = given.allSatisfy { text[$0] > 0x20 && text[$0] < 0x7f }
            if isPrintable {
                predictor.requestID.append(text.extracting(given))
                return
            }
        }
        predictor.requestID.append(contentsOf: idPrefix)
        predictor.requestID.append(decimal: number.connection)
        predictor.requestID.append(UInt8(ascii: "-"))
        predictor.requestID.append(decimal: number.sequence)
    }

    private func beginAnswer() {
        body.clear()
        fields.clear()
    }

    /// Puts head and body together in `answer`.
    func finishAnswer(
        _ status: Status,
        _ connection: ConnectionField,
        withBody: Bool = true,
        contentType: StaticString? = nil
    ) {
        predictor.facts.status = status.rawValue
        fields.append(literal: "X-Request-Id: ")
        fields.append(predictor.requestID)
        fields.append(literal: "\r\n")
        answer.clear()
        ResponseHead.write(
            status,
            bodyBytes: body.count,
            date: date,
            connection: connection,
            contentType: contentType,
            fields: fields,
            to: &answer
        )
        if withBody { answer.append(body) }
    }

    /// Memory for one request that is not kept behind it.
    private static let largeBytes = 1 << 20

    /// Gives back what one large request has made grow, so that it is not kept for ever.
    func shrinkBuffers() {
        let large = Self.largeBytes
        if body.capacity > large { body.clear(keeping: large) }
        if answer.capacity > large { answer.clear(keeping: large) }
        if fields.capacity > large { fields.clear(keeping: large) }
        if path.capacity > large { path = [] }
        openInference.shrink(to: large)
        classReading.shrink(to: large)
        predictor.shrink(to: large)
    }

    /// Leaves the records of the request at hand in the ring. Called before the answer is sent.
    func leaveRecords(key: UInt64, startedAt: UInt64, content: Span<UInt8>) {
        // The clock was read behind a model's call; where there was none, it is read here. A model
        // may have taken long: deadlines that are set in this turn count from here.
        let asked = predictor.moment
        let now = asked > startedAt ? asked : MonotonicClock.now()
        predictor.facts.durationNanoseconds = now &- startedAt
        eventLoop.advance(to: now)
        let time = wallClock.time(at: now)
        recorder.write(
            predictor,
            in: content,
            at: time,
            withPayloads: state.configuration.logsPayloads
        ) { part in
            if !ring.stage(part, key: key) {
                ring.countLost()
                state.countLostRecord()
            }
        }
        count(at: UInt64(max(0, time.microseconds)) / 1000)
    }

    /// Takes back the records of the request at hand: its answer has no room yet.
    func takeRecords() -> [(key: UInt64, payload: [UInt8])] { ring.takeStaged() }

    /// Leaves records once more that were taken back.
    func leave(_ records: [(key: UInt64, payload: [UInt8])]) {
        for record in records where !ring.stage(record.payload.span, key: record.key) {
            ring.countLost()
            state.countLostRecord()
        }
    }

    /// Lets the records count that were left: the answer that they are of exists.
    func publishRecords() { ring.publish() }

    /// Counts the request at hand, once for each split that it has a record of.
    private func count(at milliseconds: UInt64) {
        let facts = predictor.facts
        guard !predictor.usedSplits.isEmpty else {
            guard let code = facts.code else { return }
            (facts.endpoint?.unassigned ?? state.unassigned).count(code)
            return
        }
        for split in predictor.usedSplits {
            split.metrics.loop(index).count(
                nanoseconds: facts.durationNanoseconds,
                at: milliseconds
            )
            if let code = facts.code { split.metrics.errors.count(code) }
        }
    }
}

// MARK: Waiting for pools

extension ServingLoop {
    /// Gives the request at hand to the pools that it needs.
    func postpone(
        _ exchange: Exchange,
        _ content: Span<UInt8>
    ) throws(Failure) -> Answering {
        var copy: [UInt8] = []
        copy.reserveCapacity(content.count)
        copy.append(content)
        ticketCount += 1
        let answer = PendingAnswer(
            ticket: ticketCount,
            exchange,
            predictor,
            revision: snapshot.revision,
            content: copy
        )
        guard state.memory.hasRoom(for: answer.heapBytes, beside: content.count) else {
            return .lacksRoom(answer.heapBytes)
        }
        try answer.submit(to: mailbox, loop: index, at: predictor.moment)
        state.memory.count(answer.heapBytes)
        pending[answer.ticket] = answer
        let note = predictor.note
        predictor =
            sparePredictors.popLast() ?? Predictor(state.configuration, runDelay: runDelay)
        predictor.note = note
        return .waits(answer)
    }

    /// Takes what a pool made of one part of a request, if somebody still waits for it.
    func take(_ result: PoolResult, ticket: UInt64, part: Int) {
        guard let answer = pending[ticket] else { return }
        answer.take(result, part: part)
        goOn(answer)
    }

    /// Gives a request's new parts to their pools, or its answer to the client.
    func goOn(_ answer: PendingAnswer) {
        do throws(Failure) {
            try answer.submit(to: mailbox, loop: index, at: MonotonicClock.now())
        } catch {
            answer.fail(error, at: MonotonicClock.now())
        }
        if answer.isComplete || answer.failure != nil { answer.connection?.resume(answer) }
    }

    /// Writes the answer of a request that has waited.
    func finish(_ pendingAnswer: PendingAnswer) {
        let present = predictor
        predictor = pendingAnswer.predictor
        predictor.moment = MonotonicClock.now()
        beginAnswer()
        let content = pendingAnswer.content
        conclude(pendingAnswer.exchange, pendingAnswer.failure, content.span)
        forget(pendingAnswer)
        predictor.clear()
        predictor.shrink(to: Self.largeBytes)
        predictor = present
        if sparePredictors.count < 8 { sparePredictors.append(pendingAnswer.predictor) }
    }

    /// Gives up on a request that waits: nobody is there any more.
    func abandon(_ answer: PendingAnswer) {
        answer.cancel(at: eventLoop.now)
        forget(answer)
    }

    private func forget(_ answer: PendingAnswer) {
        guard pending.removeValue(forKey: answer.ticket) != nil else { return }
        state.memory.count(-answer.heapBytes)
        answer.stopCounting()
    }
}

/// Where a supervisor sends connections to a loop.
private final class ConnectionChannel: LoopClient {
    private let socket: MessageSocket
    private unowned let owner: ServingLoop

    init(_ socket: consuming MessageSocket, _ owner: ServingLoop) {
        self.socket = socket
        self.owner = owner
    }

    func start(_ loop: EventLoop) throws(SystemError) {
        _ = try loop.register(socket.descriptor, .readable, for: self)
    }

    func ready(_ interest: Interest) { takeAll() }
    func deadlineReached(now: UInt64) {}

    /// Adopts every connection that was sent.
    func takeAll() {
        while case .bytes(let bytes, let descriptors) = socket.receiveRaw() {
            let connections = Consignment.connections(bytes)
            guard descriptors.count == connections.count else {
                // The process has no descriptors left: they are sent again later.
                for connection in connections { owner.state.region.markLeft(connection.slot) }
                continue
            }
            for (number, connection) in zip(descriptors, connections) {
                owner.adopt(
                    FileDescriptor(owning: number),
                    slot: connection.slot,
                    isFresh: connection.isFresh
                )
            }
        }
    }
}

@available(*, unavailable)
extension ServingLoop: Sendable {}

extension ResponseHead {
    /// The `Date` of a moment.
    package static func date(_ time: WallTime) -> [UInt8] {
        let parts = time.parts
        return date(
            year: parts.year,
            month: parts.month,
            day: parts.day,
            hour: parts.hour,
            minute: parts.minute,
            second: parts.second,
            weekday: parts.weekday
        )
    }
}
