import Platform
import TestSupport
import Testing

/// The parts that a takeover is made of, each alone.
struct TakeoverPartsTests {
    @Test func `messages arrive whole, with their descriptors, and never block`() throws {
        let pair = try MessageSocket.pair()
        let other = MessageSocket(try Self.duplicate(pair.other))
        let file = try MessageSocket.pair()
        let sent = ProcessMessage(
            .death,
            number: 7,
            other: .max,
            text: "3 9",
            descriptors: [file.other.descriptor.number]
        )
        #expect(pair.kept.socket.send(sent) == .done)
        guard case .message(let received) = other.receive() else {
            Issue.record("no message")
            return
        }
        #expect(received.kind == SupervisorWord.death.rawValue)
        #expect(received.number == 7 && received.other == .max && received.text == "3 9")
        #expect(received.descriptors.count == 1)
        received.drop()
        guard case .nothing = other.receive() else {
            Issue.record("a second message")
            return
        }
        // A peer that does not read fills the socket, and sending says so instead of waiting.
        var count = 0
        while pair.kept.socket.send(ProcessMessage(.reload)) == .done, count < 100_000 {
            count += 1
        }
        #expect(count > 10 && count < 100_000)
    }

    private static func duplicate(_ end: MessageSocket.FileEnd) throws -> FileDescriptor {
        FileDescriptor(owning: Socket.duplicateNumber(end.descriptor))
    }

    @Test func `connections of a consignment keep their slots`() {
        let connections = [(slot: 0, isFresh: true), (slot: 70_000, isFresh: false)]
        let read = Consignment.connections(Consignment.bytes(connections))
        #expect(read.map(\.slot) == [0, 70_000])
        #expect(read.map(\.isFresh) == [true, false])
    }

    @Test func `a slot comes back once its loop has left it, and only then`() throws {
        let region = try SlotRegion(count: 3)
        var ledger = SlotLedger(region)
        let socket = try MessageSocket.pair()
        func take(_ loop: Int) -> Int? {
            ledger.take(for: socket.other.descriptor, loop: loop, isLocal: false)
        }
        #expect([take(0), take(1), take(0), take(1)] == [0, 1, 2, nil])
        region.leave(region.slot(1))
        region.markLeft(2)
        var left: [Int: Bool] = [:]
        ledger.sweep { left[$0] = $1 }
        #expect(left == [1: true, 2: false], "one is closed, one is handed over")
        #expect(take(0) == 1)
        #expect(ledger.inUse == 3)
        ledger.sweep { index, _ in Issue.record("slot \(index) was left once") }
    }

    @Test func `a thread's end is noticed by its lifeline`() throws {
        let board = try WorkerBoard()
        let (holds, ends) = (Guarded(false), Guarded(false))
        _ = try Thread(name: "holder") {
            board.holdLifeline(3)
            holds.withLock { $0 = true }
            holds.notify()
            _ = ends.wait { $0 ? true : nil } as Bool
        }
        _ = holds.wait { $0 ? true : nil } as Bool
        let noticed = Guarded(false)
        _ = try Thread(name: "waiter") {
            board.awaitLifeline(3)
            noticed.withLock { $0 = true }
        }
        MonotonicClock.sleep(nanoseconds: 50_000_000)
        #expect(!noticed.withLock { $0 })
        ends.withLock { $0 = true }
        ends.notify()
        #expect(eventually { noticed.withLock { $0 } })
    }

    @Test func `a board shows what a thread does, and the last lines of a model`() throws {
        let board = try WorkerBoard()
        let model = board.add(
            WorkerBoard.Model(
                deployment: "team/ml/prices",
                version: 12,
                build: String(repeating: "a", count: 64),
                hangNanoseconds: 5
            )
        )
        for line in 0..<100 { board.addLog("line \(line)", of: model) }
        let seen = Guarded<[WorkerBoard.Note?]>([])
        let thread = try Thread(name: "noting") {
            let note = board.threadNote()
            note?.setRequest(slot: 4, key: 99)
            note?.setRequest(1, slot: 5, key: 100)
            note?.begin(.predictingInPool, of: model, at: 17)
            seen.withLock { $0.append(board.note(0)) }
            note?.end()
            seen.withLock { $0.append(board.note(0)) }
        }
        thread.join()
        let notes = seen.withLock { $0 }
        let note = try #require(notes[0])
        #expect(note.activity == .predictingInPool && note.startedAt == 17 && note.call == 1)
        #expect(note.requests.map(\.slot) == [4, 5] && note.requests.map(\.key) == [99, 100])
        #expect(notes[1] == nil)
        let shown = try #require(board.model(note.model))
        #expect(shown.deployment == "team/ml/prices" && shown.version == 12)
        #expect(shown.log.last == "line 99" && shown.log.count > 50)
        #expect(!board.hasFault)
        #expect(board.noteHang(of: 0, at: 3) && !board.noteHang(of: 0, at: 4))
        #expect(board.fault?.kind == .hang && board.fault?.note == 0)
    }

    @Test func `records that were staged count once their answer exists`() throws {
        let folder = try TemporaryFolder()
        for isAnswered in [true, false] {
            let path = "\(folder.path)/ring-1-\(isAnswered)"
            do {
                let ring = try LogRing(creating: path, capacity: 4096)
                let (first, second, third) = (
                    Array("first".utf8), Array("second".utf8), Array("third".utf8)
                )
                let isFirst = ring.append(first.span, key: 1)
                let isSecond = ring.stage(second.span, key: 2)
                let isThird = ring.stage(third.span, key: 2)
                #expect(isFirst && isSecond && isThird)
            }
            let ring = try #require(try LogRing(existing: path))
            var asked: [UInt64] = []
            ring.settleStaged { key in
                asked.append(key)
                return isAnswered
            }
            #expect(asked.first == 2)
            var read: [String] = []
            _ = ring.read(upTo: nil, bytes: 4096) { record in
                unsafe read.append(
                    record.withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
                )
            }
            #expect(read == (isAnswered ? ["first", "second", "third"] : ["first"]))
        }
    }

    @Test func `a control group is divided into one for the supervisor and one for workers`()
        throws
    {
        let folder = try TemporaryFolder()
        try Directory.createAll("\(folder.path)/unit/supervisor")
        try folder.write("unit/cgroup.procs", "")
        try folder.write("unit/cgroup.controllers", "cpu memory pids\n")
        let group = try #require(MemoryGroup(bytes: 1 << 30, root: folder.path, own: "/unit"))
        func text(_ path: String) throws -> String {
            String(
                decoding: try File.read("\(folder.path)/unit/\(path)", limit: 100),
                as: UTF8.self
            )
        }
        #expect(try text("supervisor/cgroup.procs") == "\(CurrentProcess.id)\n")
        #expect(try text("cgroup.subtree_control") == "+memory\n")
        #expect(try text("worker/memory.max") == "1073741824\n")
        #expect(group.add(4711))
        #expect(try text("worker/cgroup.procs") == "4711\n")
        try folder.write("unit/cgroup.controllers", "cpu pids\n")
        #expect(MemoryGroup(bytes: 1 << 30, root: folder.path, own: "/unit") == nil)
    }
}
