// The loops of a host: their threads, their log rings, and the thread that empties these. A worker
// that waits to be needed has none of it but the mailboxes.

import EventLoop
import Logging
import Platform

/// The loops of a host.
final class LoopGroup {
    let mailboxes: [Mailbox<ServingLoop>]
    /// The loops' log rings, once they run.
    private(set) var rings: [LogRing] = []
    private let state: HostState
    private let log: EventLog
    private let writer: RequestLogWriter
    private var writerThread: Thread?
    private var threads: [LoopThread] = []
    private let running: Guarded<Int>
    private let start = Guarded<StartProgress>(StartProgress())

    /// How far the threads have come.
    private struct StartProgress {
        var running = 0
        var failure: String?
    }

    /// A thread that can be kept in an array.
    private final class LoopThread {
        var thread: Thread?
        init(_ thread: consuming Thread) { self.thread = consume thread }
    }

    init(_ state: HostState, _ log: EventLog) throws(SystemError) {
        self.state = state
        self.log = log
        writer = RequestLogWriter(log: log)
        running = Guarded(0)
        var mailboxes: [Mailbox<ServingLoop>] = []
        for _ in 0..<state.configuration.loops { mailboxes.append(try Mailbox()) }
        self.mailboxes = mailboxes
    }

    // MARK: Starting

    /// Reserves the disk space of the log rings, which takes a while; done before it is pressing.
    func makeRings(reusing left: [LogRing] = []) throws(SystemError) {
        let configuration = state.configuration
        let folder = "\(configuration.state)/rings"
        try Directory.createAll(folder, mode: 0o700)
        rings = try LogRings.create(
            folder: folder,
            count: configuration.loops,
            bytes: configuration.ringBytes,
            reusing: left,
            log: log
        )
        LogRings.removeUnused(folder: folder)
    }

    /// Takes over the log and starts the loops; when it throws, nothing is left running. Returns
    /// how many records of an earlier host were found.
    ///
    /// - Parameters:
    ///   - snapshot: what they serve.
    ///   - channels: where each gets its connections from; none: through its mailbox.
    ///   - predecessor: the process that served before and is dead; 0: nobody did.
    ///   - living: the process that hands over, and still writes to its rings; 0: there is none.
    func run(
        _ snapshot: ServingSnapshot,
        channels: [CInt] = [],
        predecessor: Int32 = 0,
        living: Int32 = 0
    ) throws -> UInt64 {
        let configuration = state.configuration
        let files = try RequestLogFiles(
            folder: configuration.logs,
            bytesMaximum: configuration.logFileBytes,
            ageNanoseconds: configuration.logFileNanoseconds,
            keep: configuration.logKeep,
            log: log
        )
        let folder = "\(configuration.state)/rings"
        if predecessor > 0 { LogRings.settle(folder: folder, except: living, state.region) }
        // Where clients wait, what others have left is the writer's to move.
        let isUrgent = predecessor > 0 || living > 0
        if isUrgent, rings.isEmpty || rings.contains(where: \.isInMemory) {
            rings = []
            try makeRings(reusing: LogRings.left(in: folder))
        }
        let replayed = try LogRings.replay(
            folder: folder,
            into: files,
            except: rings,
            isUrgent: isUrgent,
            log: log
        )
        if rings.isEmpty { try makeRings(reusing: replayed.pending) }
        let pending = replayed.pending.filter { left in !rings.contains { $0 === left } }
        try startWriter(files, pending: pending, living)
        for index in 0..<configuration.loops {
            try startLoop(index, snapshot, channel: channels.isEmpty ? nil : channels[index])
        }
        try awaitStart()
        return replayed.count
    }

    private func startWriter(
        _ files: sending RequestLogFiles,
        pending: [LogRing],
        _ living: Int32
    ) throws(SystemError) {
        let (writer, rings, state) = (self.writer, self.rings, self.state)
        let box = Guarded<RequestLogFiles?>(files)
        writerThread = try Thread(name: "request-log") {
            state.holdLifeline(state.configuration.loops)
            let files = box.withLock { (files: inout sending RequestLogFiles?) in
                let taken = files
                files = nil
                return taken
            }
            guard let files else { return }
            writer.run(files, pending: pending, living: living, rings: rings, state: state)
        }
    }

    private func startLoop(
        _ index: Int,
        _ snapshot: ServingSnapshot,
        channel: CInt?
    ) throws(SystemError) {
        let (state, running, start, log) = (self.state, self.running, self.start, self.log)
        let (mailbox, ring) = (mailboxes[index], rings[index])
        running.withLock { $0 += 1 }
        let thread = try Thread(name: "loop-\(index)") {
            CurrentThread.answerPromptly()
            state.holdLifeline(index)
            do {
                let loop = try ServingLoop(
                    index: index,
                    state: state,
                    snapshot: snapshot,
                    ring: ring,
                    mailbox: mailbox
                )
                try loop.run(channel: channel) { start.withLock { $0.running += 1 } }
            } catch {
                start.withLock { $0.failure = "an event loop: \(error)" }
                log.write(.error, "loop.failed", "an event loop has ended: \(error)")
            }
            running.withLock { $0 -= 1 }
        }
        threads.append(LoopThread(thread))
    }

    /// Waits until every loop serves; ends those that do when one cannot.
    private func awaitStart() throws(StartFailure) {
        while true {
            let progress = start.withLock { $0 }
            if let failure = progress.failure {
                for mailbox in mailboxes { mailbox.post { $0.stop() } }
                finishLog(keepingRings: true)
                throw .system("\(failure); raise the limit of open files, or start fewer --loops")
            }
            if progress.running == mailboxes.count { return }
            MonotonicClock.sleep(nanoseconds: 100_000)
        }
    }

    // MARK: Ending

    /// Lets every loop do something in its next turn.
    func post(_ job: @escaping Mailbox<ServingLoop>.Job) {
        for mailbox in mailboxes { mailbox.post(job) }
    }

    /// Waits until every loop has ended, or the moment has come; whether they have.
    func haveEnded(by limit: UInt64, _ isForced: () -> Bool = { false }) -> Bool {
        while running.withLock({ $0 }) > 0, MonotonicClock.now() < limit, !isForced() {
            MonotonicClock.sleep(nanoseconds: 1_000_000)
        }
        return running.withLock { $0 } == 0
    }

    /// Closes what is left, and waits a second for the loops to end; whether they have.
    func stop() -> Bool {
        post { $0.stop() }
        let haveEnded = haveEnded(by: MonotonicClock.now() + 1_000_000_000)
        if !haveEnded {
            log.write(.error, "shutdown.stuck", "a model has not come back; it is left behind")
        }
        return haveEnded
    }

    /// Waits for the threads, once every loop has ended.
    func join() {
        for loop in threads { loop.thread.take()?.join() }
    }

    /// Writes what is left of the log; the rings go unless loops still write to them.
    func finishLog(keepingRings: Bool) {
        writer.stop()
        writerThread.take()?.join()
        if keepingRings { return }
        for ring in rings where !ring.hasRecords { try? File.remove(ring.path) }
    }
}
