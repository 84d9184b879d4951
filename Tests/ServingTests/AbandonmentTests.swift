import Endpoints
import EventLoop
import Platform
import Serving
import Surfaces
import TestSupport
import Testing

/// A loop is abandoned in the middle of an exchange, and another loop finishes it from the slot
/// alone.
///
/// What the first loop knew besides the slot (how far it had read the head, how much it had sent)
/// is gone. Bytes that the kernel had moved but nobody had noted are found by the kernel's
/// counters.
struct AbandonmentTests {
    /// Two loops on one region, a client, and the server's end of its connection.
    private final class Scene {
        let folder: TemporaryFolder
        let state: HostState
        let first: ServingLoop
        let second: ServingLoop
        let rings: [LogRing]
        let client: FileDescriptor
        let server: CInt
        var received: [UInt8] = []

        /// - Parameter valueBytes: of the static answers.
        init(valueBytes: Int = 1) throws {
            folder = try TemporaryFolder()
            state = HostState(
                configuration: ServerConfiguration(),
                region: try SlotRegion(count: 2)
            )
            let endpoint = Scene.endpoint(valueBytes)
            let snapshot = ServingSnapshot(revision: 7, endpoints: [endpoint])
            rings = try (0..<2).map { [folder] in
                try LogRing(creating: "\(folder.path)/ring-\($0)", capacity: 1 << 18)
            }
            first = try ServingLoop(
                index: 0,
                state: state,
                snapshot: snapshot,
                ring: rings[0],
                mailbox: try Mailbox()
            )
            second = try ServingLoop(
                index: 1,
                state: state,
                snapshot: snapshot,
                ring: rings[1],
                mailbox: try Mailbox()
            )
            let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
            let listener = try Socket.listen(on: any)
            client = try Socket.connect(to: Socket.localAddress(of: listener, asked: any))
            guard case .connection(let accepted) = try Socket.accept(from: listener) else {
                throw ClientError(description: "nobody to accept")
            }
            server = accepted.release()
            state.region.slot(0).begin(connection: 1, loop: 0, at: MonotonicClock.now())
        }

        /// Two values, so that the arm depends on the subject.
        static func endpoint(_ valueBytes: Int = 1) -> PreparedEndpoint {
            let splits = ["a", "b"].map {
                Split(name: $0, weight: 1, weightText: "1", backend: .value("\"\($0)\""))
            }
            let endpoint = Endpoint(
                name: "e",
                splits: splits,
                experiment: Experiment(id: "x", subjectKey: .member("u")),
                service: "e"
            )
            return PreparedEndpoint(
                endpoint: endpoint,
                splits: splits.map {
                    let text = SplitText(
                        endpoint: endpoint,
                        split: $0,
                        version: nil,
                        revision: 7
                    )
                    let letters = String(repeating: $0.name, count: valueBytes)
                    let value = Array("\"\(letters)\"".utf8)
                    return PreparedSplit(
                        name: $0.name,
                        backend: .value(value),
                        text: text,
                        metrics: SplitMetrics(SeriesKey(), loops: 4)
                    )
                }
            )
        }

        func send(_ bytes: ArraySlice<UInt8>) throws {
            guard !bytes.isEmpty else { return }
            guard Socket.send(Array(bytes), to: client) == .moved(bytes.count) else {
                throw ClientError(description: "the kernel did not take the bytes")
            }
        }

        /// Lets a loop turn until the slot has all the bytes that were sent to it.
        func turn(_ loop: ServingLoop, untilReceived count: Int) throws {
            let isDone = try eventually(seconds: 10) {
                try loop.eventLoop.turn(millisecondsMaximum: 5)
                return state.region.slot(0).word.received == UInt16(truncatingIfNeeded: count)
            }
            guard isDone else { throw ClientError(description: "the loop did not receive") }
        }

        /// Lets a loop turn until the client has everything, to the end of the connection.
        func finish(_ loop: ServingLoop) throws -> [UInt8] {
            Socket.finishSending(client)
            var isAtEnd = false
            let isDone = try eventually(seconds: 10) {
                try loop.eventLoop.turn(millisecondsMaximum: 5)
                while case .moved = receive(&isAtEnd) {}
                return isAtEnd
            }
            guard isDone else { throw ClientError(description: "the exchange did not end") }
            return received
        }

        private func receive(_ isAtEnd: inout Bool) -> IOResult {
            let result = Socket.receive(
                from: client,
                into: &received,
                maximum: 65536,
                waits: false
            )
            if result == .endOfStream { isAtEnd = true }
            return result
        }

        /// Lets a loop on a thread of its own serve the connection, and stops that thread for good
        /// before its `stop`th store to the slot; false: it was done before.
        func park(at stop: Int) throws -> Bool {
            let outcome = Guarded<Bool?>(nil)
            let own = Guarded<UInt64>(0)
            let count = Guarded(0)
            SlotWatch.set { _ in
                guard CurrentThread.number == own.withLock({ $0 }) else { return }
                let isLast = count.withLock { count in
                    count += 1
                    return count == stop
                }
                guard isLast else { return }
                outcome.withLock { $0 = true }
                outcome.notify()
                while true { MonotonicClock.sleep(nanoseconds: .max >> 1) }
            }
            defer { SlotWatch.set(nil) }
            let (state, ring) = (self.state, rings[0])
            let number = Socket.duplicateNumber(of: server)
            _ = try Thread(name: "first") {
                do {
                    let loop = try ServingLoop(
                        index: 0,
                        state: state,
                        snapshot: ServingSnapshot(revision: 7, endpoints: [Scene.endpoint()]),
                        ring: ring,
                        mailbox: try Mailbox()
                    )
                    own.withLock { $0 = CurrentThread.number }
                    loop.adopt(FileDescriptor(owning: number), slot: 0, isFresh: true)
                    let slot = state.region.slot(0)
                    while slot.sequence < 2 || slot.word.output > 0 || slot.word.isExecuting {
                        try loop.eventLoop.turn(millisecondsMaximum: 5)
                    }
                    for _ in 0..<3 { try loop.eventLoop.turn(millisecondsMaximum: 1) }
                    outcome.withLock { $0 = false }
                    outcome.notify()
                    while true { MonotonicClock.sleep(nanoseconds: .max >> 1) }
                } catch {
                    Issue.record(error)
                }
            }
            return outcome.wait(by: MonotonicClock.now() + 20_000_000_000) { $0 } ?? false
        }

        /// Request ids of all records, in both rings.
        func recorded() -> [String] {
            var ids: [String] = []
            for ring in rings {
                _ = ring.read(upTo: nil, bytes: 1 << 20) { span in
                    var copy: [UInt8] = []
                    for index in span.indices { copy.append(span[index]) }
                    let text = String(decoding: copy, as: UTF8.self)
                    let parts = text.split(separator: "\"")
                    if parts.count > 3 { ids.append(String(parts[3])) }
                }
            }
            return ids
        }
    }

    /// Three pipelined requests with ids of their own, the second one in chunks.
    private let exchange: [UInt8] = {
        func request(_ id: String, _ user: String, chunked: Bool = false) -> String {
            let body = "{\"data\": {\"u\": \(user)}}"
            let head = "POST /v1/e HTTP/1.1\r\nHost: h\r\nX-Request-Id: \(id)\r\n"
            guard chunked else {
                return "\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
            }
            let half = body.prefix(10)
            let rest = body.dropFirst(10)
            return "\(head)Transfer-Encoding: chunked\r\n\r\na\r\n\(half)\r\n"
                + "\(String(rest.utf8.count, radix: 16))\r\n\(rest)\r\n0\r\n\r\n"
        }
        return Array(
            (request("r1", "1") + request("r2", "2", chunked: true) + request("r3", "4")).utf8
        )
    }()

    /// The answers without their dates.
    private func normal(_ bytes: [UInt8]) -> String {
        let lines = String(decoding: bytes, as: UTF8.self).split(
            separator: "\r\n",
            omittingEmptySubsequences: false
        )
        return lines.filter { !$0.hasPrefix("Date: ") }.joined(separator: "\n")
    }

    /// What a loop that is never abandoned answers.
    private func undisturbed() throws -> [UInt8] {
        let scene = try Scene()
        scene.first.adopt(FileDescriptor(owning: scene.server), slot: 0)
        try scene.send(exchange[...])
        return try scene.finish(scene.first)
    }

    @Test func `the undisturbed exchange has three answers`() throws {
        let text = normal(try undisturbed())
        #expect(text.split(separator: "HTTP/1.1 200 OK").count == 3)
        for id in ["r1", "r2", "r3"] { #expect(text.contains("\"requestId\":\"\(id)\"")) }
    }

    @Test func `after any byte of the requests another loop goes on`() throws {
        let expected = normal(try undisturbed())
        for cut in 0...exchange.count {
            let scene = try Scene()
            scene.first.adopt(FileDescriptor(owning: scene.server), slot: 0)
            try scene.send(exchange[..<cut])
            try scene.turn(scene.first, untilReceived: cut)
            let left = scene.first.abandon()
            #expect(left.map(\.slot) == [0], "cut at \(cut)")
            scene.second.adopt(FileDescriptor(owning: left[0].socket), slot: 0)
            // The successor has time of its own for what is missing.
            for _ in 0..<2 { try scene.second.eventLoop.turn(millisecondsMaximum: 0) }
            try scene.send(exchange[cut...])
            #expect(normal(try scene.finish(scene.second)) == expected, "cut at \(cut)")
            #expect(scene.recorded().sorted() == ["r1", "r2", "r3"], "cut at \(cut)")
        }
    }

    @Test func `bytes that were received but not noted are found in the slot`() throws {
        let expected = normal(try undisturbed())
        for cut in 1...exchange.count {
            // The predecessor dies between recv() and the store that notes it.
            let scene = try Scene()
            let slot = scene.state.region.slot(0)
            let socket = FileDescriptor(owning: scene.server)
            try scene.send(exchange[..<cut])
            let before = slot.word
            let isReceived = eventually(seconds: 10) { slot.receive(from: socket) == .moved(cut) }
            #expect(isReceived)
            slot.word = before
            scene.second.adopt(socket, slot: 0)
            try scene.send(exchange[cut...])
            #expect(normal(try scene.finish(scene.second)) == expected, "cut at \(cut)")
        }
    }

    @Test func `after any byte of the answers another loop sends the rest`() throws {
        let answers = try undisturbed()
        for cut in 0...answers.count {
            // The predecessor has committed all answers and dies after the kernel took some bytes.
            let scene = try Scene()
            let slot = scene.state.region.slot(0)
            slot.stageOutput(answers, at: 0)
            var word = slot.word
            word.output = answers.count
            slot.word = word
            let socket = FileDescriptor(owning: scene.server)
            if cut > 0 {
                let sent = Socket.send(Array(answers[..<cut]), to: socket)
                #expect(sent == .moved(cut))
            }
            scene.second.adopt(socket, slot: 0)
            #expect(try scene.finish(scene.second) == answers, "cut at \(cut)")
        }
    }

    @Test func `a request that was being executed is executed again`() throws {
        let scene = try Scene()
        let slot = scene.state.region.slot(0)
        let socket = FileDescriptor(owning: scene.server)
        try scene.send(exchange[...])
        let isReceived = eventually(seconds: 10) {
            slot.receive(from: socket) == .moved(exchange.count)
        }
        #expect(isReceived)
        var word = slot.word
        word.isExecuting = true
        slot.word = word
        scene.second.adopt(socket, slot: 0)
        #expect(normal(try scene.finish(scene.second)) == normal(try undisturbed()))
    }

    @Test func `a connection that spilled is closed instead of being answered wrongly`() throws {
        let scene = try Scene()
        scene.state.region.slot(0).flags = .spilled
        scene.second.adopt(FileDescriptor(owning: scene.server), slot: 0)
        #expect(try scene.finish(scene.second).isEmpty)
        #expect(scene.state.region.life(0) == .closed)
    }

    @Test func `a connection that spilled ends behind what was answered, and not with a reset`()
        throws
    {
        let scene = try Scene()
        let slot = scene.state.region.slot(0)
        let answers = try undisturbed()
        slot.stageOutput(answers, at: 0)
        var word = slot.word
        word.output = answers.count
        slot.word = word
        slot.flags = .spilled
        // What lies unread makes a reset of a close.
        try scene.send(Array(repeating: UInt8(ascii: "x"), count: 10_000)[...])
        MonotonicClock.sleep(nanoseconds: 20_000_000)
        scene.second.adopt(FileDescriptor(owning: scene.server), slot: 0)
        #expect(try scene.finish(scene.second) == answers)
    }

    @Test func `answers that fit a slot are lost by no death, however slowly a client reads`()
        throws
    {
        let body = "{\"data\":{\"u\":1}}"
        let count = 400
        let one =
            "POST /v1/e HTTP/1.1\r\nHost: a\r\nX-Request-Id: id\r\nContent-Length: "
            + "\(body.utf8.count)\r\n\r\n\(body)"
        let scene = try Scene(valueBytes: 20_000)
        scene.first.adopt(FileDescriptor(owning: scene.server), slot: 0, isFresh: true)
        try scene.send(Array(String(repeating: one, count: count).utf8)[...])
        // Until the kernel takes no more of what nobody reads.
        let slot = scene.state.region.slot(0)
        var before = slot.sequence
        var still = 0
        while still < 10 {
            try scene.first.eventLoop.turn(millisecondsMaximum: 5)
            still = slot.sequence == before ? still + 1 : 0
            before = slot.sequence
        }
        #expect(slot.sequence > 2 && slot.sequence < UInt64(count))
        #expect(!slot.flags.contains(.spilled))
        let left = scene.first.abandon()
        scene.second.adopt(FileDescriptor(owning: left[0].socket), slot: 0)
        let answers = String(decoding: try scene.finish(scene.second), as: UTF8.self)
        #expect(answers.split(separator: "HTTP/1.1 200 OK").count == count)
        #expect(scene.recorded().count == count)
    }

    /// Every store of a loop to the slot is its last one: from each the next loop gives the client
    /// what an undisturbed loop gives, and the log has each request once.
    @Test(.enabled(if: SlotWatch.isPossible), .timeLimit(.minutes(5)))
    func `from every store another loop goes on`() throws {
        for last in [
            "HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", "HTTP/1.0\r\n",
            "HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n",
        ] {
            try goOnFromEveryStore(last)
        }
    }

    private func goOnFromEveryStore(_ last: String) throws {
        let body = "{\"data\":{\"u\":1}}"
        let request = { (version: String) in
            "POST /v1/e \(version)X-Request-Id: id\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }
        let bytes = Array((request("HTTP/1.1\r\nHost: a\r\n") + request(last)).utf8)
        let calm = try Scene()
        try calm.send(bytes[...])
        calm.first.adopt(FileDescriptor(owning: calm.server), slot: 0, isFresh: true)
        let wanted = normal(try calm.finish(calm.first))
        #expect(wanted.contains("200 OK"))
        var stores = 0
        for stop in 1...200 {
            let scene = try Scene()
            try scene.send(bytes[...])
            guard try scene.park(at: stop) else { break }
            stores = stop
            scene.second.adopt(FileDescriptor(owning: scene.server), slot: 0)
            #expect(normal(try scene.finish(scene.second)) == wanted, "store \(stop) of \(last)")
        }
        #expect(stores > 10, "\(stores)")
    }
}
