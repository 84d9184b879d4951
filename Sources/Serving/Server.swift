// A running host: everything that was started, in the order in which it must be ended.

import Deployments
import EventLoop
package import Logging
package import Platform
import PluginHost

/// Why a host cannot start.
package enum StartFailure: Error, CustomStringConvertible {
    /// Files or settings are wrong; nothing was changed.
    case configuration(String)
    /// The machine refuses something.
    case system(String)

    /// The sentence.
    package var description: String {
        switch self {
        case .configuration(let text), .system(let text): text
        }
    }
}

/// A host that serves until `shutDown`.
package final class Server {
    /// Where it listens, with the ports that the kernel chose.
    package private(set) var addresses: [SocketAddress] = []
    /// Lines about what is live, for those who look on while it starts.
    package private(set) var report: [String] = []
    /// Facts that any thread may read.
    package let state: HostState
    /// What is live.
    package let board: StatusBoard
    /// What changes it.
    package let commits: CommitQueue
    /// Where attempts to change it are written down.
    package let audit: AuditLog

    private let log: EventLog
    private let retirement: Retirement
    private let monitor: HealthMonitor
    private let startedAt = WallTime.now()
    private let writer: RequestLogWriter
    private let rings: [LogRing]
    private let mailboxes: [Mailbox<ServingLoop>]
    private let acceptorMailbox: Mailbox<Acceptor>
    private var acceptorThread: Thread?
    private var writerThread: Thread?
    private var loopThreads: [LoopThread] = []
    private let loopsRunning: Guarded<Int>
    private let start = Guarded<StartProgress>(StartProgress())
    private var lock: FileDescriptor?

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

    /// Loads, replays, listens and starts to serve; or throws, and then nothing is left running.
    package init(_ configuration: ServerConfiguration, log: EventLog) throws(StartFailure) {
        self.log = log
        // Plugins are read whole, by a thread that is not kept.
        CurrentProcess.returnLargeBlocks()
        do {
            try Self.makeFolder(configuration.state, option: "state")
            lock = try Self.lock(configuration.state)
            // A start that cannot succeed must not commit anything.
            for address in configuration.listen { try Self.probe(address) }
            let (committer, committed) = try Self.commit(configuration, log)
            board = StatusBoard(committed)
            report = committed.report
            try Self.makeFolder(configuration.logs, option: "logs")
            let files = try RequestLogFiles(
                folder: configuration.logs,
                bytesMaximum: configuration.logFileBytes,
                ageNanoseconds: configuration.logFileNanoseconds,
                filesKept: configuration.logFilesKept
            )
            let ringFolder = "\(configuration.state)/rings"
            let replayed = try LogRings.replay(folder: ringFolder, into: files, log: log)
            if replayed.count > 0 {
                report.append("replayed \(replayed.count) records of the request log")
            }
            rings = try LogRings.create(
                folder: ringFolder,
                count: configuration.loops,
                bytes: configuration.ringBytes
            )
            let region = try SlotRegion(count: try Self.connections(configuration))
            state = HostState(configuration: configuration, region: region)
            writer = RequestLogWriter(log: log)
            acceptorMailbox = try Mailbox()
            loopsRunning = Guarded(configuration.loops)
            mailboxes = try (0..<configuration.loops).map { _ in try Mailbox() }
            audit = AuditLog(folder: configuration.logs, state: state, log: log)
            retirement = Retirement(loops: mailboxes, log: log)
            commits = CommitQueue(
                committer,
                board: board,
                state: state,
                loops: mailboxes,
                retirement: retirement,
                audit: audit,
                log: log
            )
            monitor = HealthMonitor(board)
            let sockets = try listen(configuration.listen)
            try startWriter(files, pending: replayed.pending)
            try startLoops(region)
            try startAcceptor(region, sockets)
            try awaitStart()
            try startCommits()
            // Plugins' files and configuration were read into memory that is not needed any more.
            CurrentProcess.trimHeap()
        } catch let failure as CommitFailure {
            throw .configuration(failure.description)
        } catch let failure as StartFailure {
            throw failure
        } catch {
            throw .system("\(error)")
        }
    }

    /// What admins have of it.
    package var control: HostControl {
        HostControl(
            configuration: state.configuration,
            state: state,
            board: board,
            commits: commits,
            audit: audit,
            log: log,
            addresses: addresses,
            rings: rings,
            startedAt: startedAt,
            retirement: retirement
        )
    }

    /// Hands the report over: with thousands of endpoints it is not kept for ever.
    package func takeReport() -> [String] {
        defer { report = [] }
        return report
    }

    private static func makeFolder(_ path: String, option: String) throws(StartFailure) {
        do {
            try Directory.createAll(path, mode: option == "state" ? 0o700 : 0o755)
        } catch {
            throw .system("\(error); name a folder that can be written with --\(option)")
        }
    }

    private static func lock(_ folder: String) throws -> FileDescriptor {
        let path = "\(folder)/lock"
        let file = try File.open(path, access: .append, mode: 0o600)
        // A host that is just ending holds the lock for another moment.
        let limit = MonotonicClock.now() + 1_000_000_000
        while try !File.lock(file) {
            guard MonotonicClock.now() < limit else {
                throw StartFailure.configuration(
                    "\(path): found a lock of another host; wanted a state folder of its own for "
                        + "every host; end the other one or give this one another --state"
                )
            }
            MonotonicClock.sleep(nanoseconds: 10_000_000)
        }
        return file
    }

    private static func commit(
        _ configuration: ServerConfiguration,
        _ log: EventLog
    ) throws -> (Guarded<Committer>, Committed) {
        let store = DeploymentStore(root: configuration.deployments)
        let program = try configuration.probeExecutable ?? CurrentProcess.executable()
        let loader = DeploymentLoader(
            store: store,
            copies: "\(configuration.state)/plugins",
            probe: PluginProbe(
                executable: program,
                secondsMaximum: Double(configuration.limits.loadNanoseconds) / 1e9
            ),
            log: log,
            createNanoseconds: configuration.limits.loadNanoseconds
        )
        let committer = Committer(
            endpointsFolder: configuration.endpoints,
            revisions: RevisionStore(folder: "\(configuration.state)/revisions"),
            store: store,
            loader: loader,
            log: log,
            configuration: configuration
        )
        // As in a reload: threads that a model starts in create() run as it does then.
        let shared = Guarded(committer)
        let started = shared.aside { committer in
            Result { try committer.start(isStrict: configuration.isStrict) }
        }
        return (shared, try started.get())
    }

    /// Connections at once: what the descriptor limit leaves for them.
    private static func connections(
        _ configuration: ServerConfiguration
    ) throws(StartFailure) -> Int {
        // What the host itself needs: four descriptors a loop, those of admins, and some more.
        let reserve = 192 + 4 * configuration.loops
        let limit = CurrentProcess.raiseDescriptorLimit()
        guard limit >= 2 * reserve else {
            throw .system(
                "found a limit of \(limit) open files; wanted at least \(2 * reserve); raise it, "
                    + "for example with 'ulimit -n 4096'"
            )
        }
        return min(configuration.limits.connections, limit - reserve)
    }

    /// Refuses an address that somebody else listens on.
    package static func probe(
        _ address: SocketAddress,
        option: String = "listen"
    ) throws(StartFailure) {
        do {
            try Socket.probe(address)
        } catch {
            throw refusal(address, error, option)
        }
    }

    private static func refusal(
        _ address: SocketAddress,
        _ error: SystemError,
        _ option: String
    ) -> StartFailure {
        let advice =
            error.isAddressInUse
            ? "; end the program that listens there, or choose another --\(option)"
            : "; choose another --\(option)"
        return .system("listening on \(address): \(error)\(advice)")
    }

    private func listen(_ wanted: [SocketAddress]) throws -> [CInt] {
        var sockets: [CInt] = []
        for address in wanted {
            do {
                let socket = try Socket.listen(on: address)
                addresses.append(try Socket.localAddress(of: socket, asked: address))
                sockets.append(socket.release())
            } catch {
                throw Self.refusal(address, error, "listen")
            }
        }
        return sockets
    }

    /// Waits until every thread serves; ends those that do when one cannot.
    private func awaitStart() throws(StartFailure) {
        let wanted = state.configuration.loops + 1
        while true {
            let progress = start.withLock { $0 }
            if let failure = progress.failure {
                for mailbox in mailboxes { mailbox.post { $0.stop() } }
                acceptorMailbox.post { $0.stop() }
                writer.stop()
                writerThread.take()?.join()
                throw .system("\(failure); raise the limit of open files, or start fewer --loops")
            }
            if progress.running == wanted { return }
            MonotonicClock.sleep(nanoseconds: 200_000)
        }
    }

    private func startWriter(
        _ files: sending RequestLogFiles,
        pending: [LogRing]
    ) throws(SystemError) {
        let (writer, rings, state) = (self.writer, self.rings, self.state)
        let box = Guarded<RequestLogFiles?>(files)
        writerThread = try Thread(name: "request-log") {
            let files = box.withLock { (files: inout sending RequestLogFiles?) in
                let taken = files
                files = nil
                return taken
            }
            if let files { writer.run(files, pending: pending, rings: rings, state: state) }
        }
    }

    private func startLoops(_ region: SlotRegion) throws(SystemError) {
        let (state, running) = (self.state, loopsRunning)
        let snapshot = board.live.committed.snapshot
        let (start, log) = (self.start, self.log)
        for index in 0..<state.configuration.loops {
            let (mailbox, ring) = (mailboxes[index], rings[index])
            let seed = UInt64.random(in: .min ... .max)
            let thread = try Thread(name: "loop-\(index)") {
                CurrentThread.answerPromptly()
                do {
                    let loop = try ServingLoop(
                        index: index,
                        state: state,
                        snapshot: snapshot,
                        ring: ring,
                        mailbox: mailbox,
                        seed: seed
                    )
                    try loop.run { start.withLock { $0.running += 1 } }
                } catch {
                    start.withLock { $0.failure = "an event loop: \(error)" }
                    log.write(.error, "loop.failed", "an event loop has ended: \(error)")
                }
                running.withLock { $0 -= 1 }
            }
            loopThreads.append(LoopThread(thread))
        }
    }

    /// Lets what is live be changed from now on.
    private func startCommits() throws(SystemError) {
        let (commits, retirement) = (self.commits, self.retirement)
        _ = try Thread(name: "commit") { commits.run() }
        _ = try Thread(name: "retire") { retirement.run() }
        let (monitor, pause) = (self.monitor, state.configuration.healthNanoseconds)
        _ = try Thread(name: "health") { monitor.run(roundNanoseconds: pause) }
    }

    private func startAcceptor(_ region: SlotRegion, _ sockets: [CInt]) throws(SystemError) {
        let (mailbox, loops) = (acceptorMailbox, mailboxes)
        let addressMaximum = state.configuration.limits.connectionsPerAddress
        let (start, log) = (self.start, self.log)
        acceptorThread = try Thread(name: "accept") {
            do {
                let acceptor = try Acceptor(
                    region: region,
                    loops: loops,
                    addressMaximum: addressMaximum
                )
                try acceptor.run(sockets, mailbox) { start.withLock { $0.running += 1 } }
            } catch {
                start.withLock { $0.failure = "accepting: \(error)" }
                log.write(.error, "accept.failed", "accepting has ended: \(error)")
            }
        }
    }

    /// Ends the host: not ready, settle, stop accepting, answer what was accepted, write the log,
    /// destroy the models.
    ///
    /// Returns whether everything was done within the time that draining may take; `isForced` is
    /// asked again and again, and ends that time once it says so.
    package func shutDown(isForced: () -> Bool = { false }) -> Bool {
        let start = MonotonicClock.now()
        state.beginDraining()
        commits.stop()
        monitor.stop()
        let settled = start + state.configuration.settleNanoseconds
        while MonotonicClock.now() < settled, !isForced() {
            MonotonicClock.sleep(nanoseconds: 2_000_000)
        }
        acceptorMailbox.post { $0.stop() }
        acceptorThread.take()?.join()
        for mailbox in mailboxes { mailbox.post { $0.drain() } }
        let limit = start + state.configuration.drainNanoseconds
        let isComplete = haveLoopsEnded(by: limit, isForced)
        if !isComplete {
            let seconds = state.configuration.drainNanoseconds / 1_000_000_000
            log.write(
                .error,
                "shutdown.late",
                isForced()
                    ? "not every request was answered when a second signal came; the rest is closed"
                    : "not every request was answered within \(seconds) s (--drain); the rest is "
                        + "closed"
            )
        }
        // A loop that is stuck in a model cannot be ended: it goes on alone, and so does its model.
        let areStopped = isComplete || stopLoops()
        if areStopped { for loop in loopThreads { loop.thread.take()?.join() } }
        writer.stop()
        writerThread.take()?.join()
        for ring in rings where areStopped && !ring.hasRecords { try? File.remove(ring.path) }
        return areStopped && destroyModels(by: limit, isForced) && isComplete
    }

    /// Waits until every loop has ended, or the moment has come; whether they have.
    private func haveLoopsEnded(by limit: UInt64, _ isForced: () -> Bool = { false }) -> Bool {
        while loopsRunning.withLock({ $0 }) > 0, MonotonicClock.now() < limit, !isForced() {
            MonotonicClock.sleep(nanoseconds: 1_000_000)
        }
        return loopsRunning.withLock { $0 } == 0
    }

    /// Closes what is left, and waits a second for the loops to end; whether they have.
    private func stopLoops() -> Bool {
        for mailbox in mailboxes { mailbox.post { $0.stop() } }
        let haveEnded = haveLoopsEnded(by: MonotonicClock.now() + 1_000_000_000)
        if !haveEnded {
            log.write(.error, "shutdown.stuck", "a model has not come back; it is left behind")
        }
        return haveEnded
    }

    /// Ends the pools and then the models, those too that are only kept or wait for their end;
    /// whether every one has come back.
    private func destroyModels(by drained: UInt64, _ isForced: () -> Bool) -> Bool {
        let models = modelsInMemory(by: drained, isForced)
        let patience: UInt64 = isForced() ? 100_000_000 : 1_000_000_000
        let limit = MonotonicClock.now() + patience
        for model in models.all { model.pool.stop() }
        var haveEnded = true
        for model in models.all {
            while !model.pool.hasEnded || model.isAskedAside(), MonotonicClock.now() < limit {
                MonotonicClock.sleep(nanoseconds: 500_000)
            }
            let left = limit - min(limit, MonotonicClock.now())
            // A version may have several names; `destroy` counts once.
            let isFree = model.pool.hasEnded && !model.isAskedAside()
            if !isFree || model.destroy(nanoseconds: max(left, 10_000_000)) != true {
                haveEnded = false
            }
        }
        if !haveEnded {
            log.write(.error, "shutdown.stuck", "a model has not come back; it is left behind")
        }
        return haveEnded && models.areAll
    }

    /// Every model in memory, once the change that is being made has ended; if it does not, those
    /// that are known without it.
    private func modelsInMemory(
        by drained: UInt64,
        _ isForced: () -> Bool
    ) -> (all: [ServedModel], areAll: Bool) {
        let limit = max(drained, MonotonicClock.now() + 1_000_000_000)
        var prepared: [ServedModel]?
        repeat {
            prepared = commits.takeModels(by: MonotonicClock.now() + 20_000_000)
        } while prepared == nil && MonotonicClock.now() < limit && !isForced()
        if prepared == nil {
            log.write(
                .error,
                "shutdown.change_left",
                "a change of what is live was being prepared; it is left behind, and nothing of it "
                    + "counts"
            )
        }
        let known = prepared ?? board.live.committed.models
        return ((known + retirement.stop()).distinct, prepared != nil)
    }
}
