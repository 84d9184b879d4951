// One worker, as its supervisor sees it.

import Platform

/// A process that serves, gets ready to, or hands over.
final class Worker {
    /// Counts the workers of a supervisor, from 1 on.
    let number: Int
    let role: WorkerRole
    let process: WorkerProcess
    let board: WorkerBoard
    let startedAt = MonotonicClock.now()
    /// Readable once the threads have ended that its successor waits for.
    let lifelinesEnded: Bell
    private let line: MessageSocket.Kept
    private let channels: [MessageSocket.Kept]

    /// Whether everything is loaded.
    var isReady = false
    /// Whether it was told to serve.
    var hasGone = false
    /// When its loops were seen to run, on the monotonic clock; nil: not yet.
    var servingSince: UInt64?
    /// When it was told to hand over, on the monotonic clock; nil: it was not.
    var handingOverSince: UInt64?
    /// Whether it does not write the log any more, for the next one to take it.
    var hasReleasedLog = false
    /// Whether its end was seen and dealt with; its process may not be reaped yet.
    var isOver = false
    /// Since when it has been seen to have closed its end of the line, on the monotonic clock; nil:
    /// it has not.
    var silentSince: UInt64?
    /// What it could not be told yet, in order.
    private var backlog: [ProcessMessage] = []
    var hasBacklog: Bool { !backlog.isEmpty }

    /// A counter that a thread keeps too.
    final class Bell: Sendable {
        let counter: EventCounter
        init(_ counter: consuming EventCounter) { self.counter = counter }
    }

    private init(
        _ number: Int,
        _ role: WorkerRole,
        _ process: consuming WorkerProcess,
        _ board: WorkerBoard,
        _ lifelinesEnded: Bell,
        _ line: MessageSocket.Kept,
        _ channels: [MessageSocket.Kept]
    ) {
        self.number = number
        self.role = role
        self.process = process
        self.board = board
        self.lifelinesEnded = lifelinesEnded
        self.line = line
        self.channels = channels
    }

    /// Starts a worker and hands it what it needs.
    static func start(
        number: Int,
        role: WorkerRole,
        _ house: borrowing SupervisorHouse,
        deaths: [ProcessMessage],
        died: UInt64,
        liveCopy: CInt? = nil
    ) throws(SystemError) -> Worker {
        let board = try WorkerBoard()
        let bell = Bell(try EventCounter())
        let line = try MessageSocket.pair()
        var channels: [MessageSocket.Kept] = []
        var ends: [MessageSocket.FileEnd] = []
        for _ in 0..<house.configuration.loops {
            let channel = try MessageSocket.pair()
            channels.append(channel.kept)
            ends.append(channel.other)
        }
        let process = try WorkerProcess.start(
            name: house.configuration.workerName,
            arguments: house.configuration.workerArguments,
            control: line.other.descriptor,
            memoryBytes: house.configuration.memoryGroup == nil
                ? house.configuration.workerMemoryBytes : 0
        )
        _ = house.configuration.memoryGroup?.add(process.id)
        let worker = Worker(number, role, process, board, bell, line.kept, channels)
        worker.tell(.region, descriptors: [house.region.descriptor])
        worker.tell(.board, descriptors: [board.descriptor])
        worker.tell(.lock, descriptors: house.locks)
        for address in house.addresses { worker.tell(.address, text: "\(address)") }
        for listener in house.configuration.adminListeners {
            worker.tell(.adminListener, text: listener.text, descriptors: [listener.number])
        }
        for start in stride(from: 0, to: ends.count, by: 64) {
            let some = ends[start..<min(start + 64, ends.count)]
            worker.tell(.channel, descriptors: some.map { $0.descriptor.number })
        }
        if let liveCopy { worker.tell(.liveCopy, descriptors: [liveCopy]) }
        for death in deaths { worker.tell(death) }
        worker.tell(.begin, number: role.rawValue, other: died)
        return worker
    }

    /// Tells the worker of a death.
    func tell(_ death: ProcessMessage) {
        backlog.append(death)
        sendBacklog()
    }

    /// Sends what could not be sent before, in order, as far as there is room.
    func sendBacklog() {
        while let message = backlog.first, line.socket.send(message) != .full {
            // One that does not listen any more is about to end.
            backlog.removeFirst()
        }
    }

    /// What the worker says.
    func hear() -> MessageSocket.Received { line.socket.receive() }

    /// Lends the descriptor that is readable when the worker says something.
    func withLine<E: Error>(
        _ body: (borrowing FileDescriptor) throws(E) -> Void
    ) throws(E) { try body(line.socket.descriptor) }

    /// Tells the worker something, now or as soon as there is room.
    func tell(
        _ word: SupervisorWord,
        number: UInt64 = 0,
        other: UInt64 = 0,
        text: String = "",
        descriptors: [CInt] = []
    ) {
        tell(
            ProcessMessage(
                word,
                number: number,
                other: other,
                text: text,
                descriptors: descriptors
            )
        )
    }

    /// Sends connections to one of its loops.
    func send(
        _ connections: [(slot: Int, isFresh: Bool)],
        _ descriptors: [CInt],
        to loop: Int
    ) -> MessageSocket.Sent {
        channels[loop].socket.send(Consignment.bytes(connections), descriptors)
    }

    /// Waits, on a thread of its own, for the end of the threads that a successor must not meet.
    /// They hold their lifelines by now.
    func watchLifelines(_ count: Int) throws(SystemError) {
        let board = self.board
        let bell = lifelinesEnded
        _ = try Thread(name: "lifelines", stackBytes: 64 << 10) {
            for index in 0..<count { board.awaitLifeline(index) }
            bell.counter.signal()
        }
    }
}
