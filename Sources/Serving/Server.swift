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

    /// Which versions are not run.
    package let quarantine: QuarantineBook

    private let log: EventLog
    private let retirement: Retirement
    private let monitor: HealthMonitor
    private let workerMonitor: WorkerMonitor?
    private let startedAt = WallTime.now()
    private let loops: LoopGroup
    private let acceptorMailbox: Mailbox<Acceptor>
    private var acceptorThread: Thread?
    private let link: WorkerLink?
    private var locks: FolderLocks?

    /// Loads, replays, listens and starts to serve; or throws, and then nothing is left running.
    ///
    /// With a `link` it is the worker of a supervisor, which has the lock and the listeners, and
    /// says when it is to serve.
    package init(
        _ configuration: ServerConfiguration,
        log: EventLog,
        link: WorkerLink? = nil
    ) throws(StartFailure) {
        self.log = log
        self.link = link
        // Plugins are read whole, by a thread that is not kept.
        CurrentProcess.returnLargeBlocks()
        do {
            if let link {
                addresses = link.addresses
            } else {
                locks = try HostFolders.claim(configuration)
                // A start that cannot succeed must not commit anything.
                for address in configuration.listen { try Self.probe(address) }
            }
            let region =
                try link?.region ?? SlotRegion(count: try HostFolders.connections(configuration))
            state = HostState(
                configuration: configuration,
                region: region,
                board: link?.board,
                log: log
            )
            loops = try LoopGroup(state, log)
            quarantine = QuarantineBook(
                state: configuration.state,
                rule: configuration.quarantine,
                log: log
            )
            if let link { _ = quarantine.count(link.takeNewDeaths()) }
            let committer = Guarded(try Self.committer(state, quarantine, log, link))
            let committed = try Self.begin(committer, link?.role, configuration)
            try HostFolders.make(configuration.logs, option: "logs")
            board = StatusBoard(committed)
            report = committed.report
            acceptorMailbox = try Mailbox()
            audit = AuditLog(folder: configuration.logs, state: state, log: log)
            retirement = Retirement(loops: loops.mailboxes, log: log)
            commits = CommitQueue(
                committer,
                board: board,
                state: state,
                loops: loops.mailboxes,
                retirement: retirement,
                audit: audit,
                link: link,
                log: log
            )
            monitor = HealthMonitor(board)
            let (live, retiring, hostState) = (board, retirement, state)
            workerMonitor = link.map { WorkerMonitor(hostState, live, retiring, $0, log) }
            if let link {
                try serve(link, committer)
            } else {
                let sockets = try listen(configuration.listen)
                report(replayed: try loops.run(committed.snapshot))
                try startAcceptor(region, sockets)
                try startCommits()
            }
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

    private func report(replayed count: UInt64) {
        if count > 0 { report.append("replayed \(count) records of the request log") }
    }

    /// Serves once the supervisor wants it.
    private func serve(_ link: WorkerLink, _ committer: Guarded<Committer>) throws {
        if link.role == .standby { try loops.makeRings() }
        link.send(.ready)
        let death = link.awaitGo { self.follow(committer) }
        if let death { state.setDeath(death) }
        let quarantined = quarantine.count(link.takeNewDeaths())
        // Whatever has come to pass since this worker has got ready.
        if link.role == .standby { follow(committer, isForced: !quarantined.isEmpty) }
        report(
            replayed: try loops.run(
                board.live.committed.snapshot,
                channels: link.channels,
                predecessor: death?.process ?? 0,
                living: link.handingOver
            )
        )
        try startCommits()
        commits.tellNext()
        link.send(.serving)
        try startReports(link)
        if link.role == .takeover { load(committer) }
    }

    /// Loads what the revision needs while it is served already: each model as it becomes ready.
    private func load(_ committer: Guarded<Committer>) {
        let (loops, board) = (loops.mailboxes, self.board)
        let show: @Sendable (Committed) -> Void = { committed in
            board.publish(committed)
            for loop in loops { loop.post { $0.serve(committed.snapshot) } }
        }
        let loaded = committer.aside { committer in Result { try committer.resume(show) } }
        take(loaded.map { $0 }, show)
        // What was loaded is what is served.
        commits.settle()
    }

    /// Gets ready for the revision that is live by now.
    private func follow(_ committer: Guarded<Committer>, isForced: Bool = false) {
        let followed = committer.aside { committer in
            Result { try committer.follow(isForced: isForced) }
        }
        take(followed, board.publish)
    }

    private func take(
        _ result: Result<Committed?, any Error>,
        _ show: (Committed) -> Void
    ) {
        do {
            try result.get().map(show)
        } catch {
            log.write(
                .error,
                "revision.unservable",
                "the current revision cannot be served as it was committed: \(error)"
            )
        }
    }

    /// Writes down what workers before this one have died of.
    private func startReports(_ link: WorkerLink) throws(SystemError) {
        let (state, quarantine, log) = (self.state, self.quarantine, self.log)
        _ = try Thread(name: "crash-report", stackBytes: 8 << 20) {
            CurrentThread.giveWay(steps: ModelPool.stepsBehindLoops)
            let reports = CrashReports(state: state.configuration.state, log: log)
            while let death = link.nextReport() {
                reports.write(
                    death,
                    death.guilty.flatMap { state.awaitGuilty($0.key) },
                    quarantine: death.model.flatMap { quarantine.entry(of: $0) }
                )
                link.noteWritten(death)
            }
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
            rings: loops.rings,
            startedAt: startedAt,
            retirement: retirement,
            quarantine: quarantine,
            link: link
        )
    }

    /// Hands the report over: with thousands of endpoints it is not kept for ever.
    package func takeReport() -> [String] {
        defer { report = [] }
        return report
    }

    /// What the host begins with.
    private static func begin(
        _ committer: Guarded<Committer>,
        _ role: WorkerRole?,
        _ configuration: ServerConfiguration
    ) throws -> Committed {
        // As in a reload: threads that a model starts in create() run as it does then.
        let begun = committer.aside { committer in
            Result {
                switch role {
                case nil, .first: try committer.start(isStrict: configuration.isStrict)
                case .standby: try committer.resume()
                case .takeover: try committer.outline() ?? committer.resume()
                }
            }
        }
        return try begun.get()
    }

    private static func committer(
        _ state: HostState,
        _ quarantine: QuarantineBook,
        _ log: EventLog,
        _ link: WorkerLink?
    ) throws -> Committer {
        let configuration = state.configuration
        let store = DeploymentStore(root: configuration.deployments)
        let program = configuration.probeExecutable ?? CurrentProcess.programFile
        let loader = DeploymentLoader(
            store: store,
            copies: "\(configuration.state)/plugins",
            probe: PluginProbe(
                executable: program,
                secondsMaximum: Double(configuration.limits.loadNanoseconds) / 1e9
            ),
            log: log,
            board: state.board,
            createNanoseconds: configuration.limits.loadNanoseconds
        )
        let committer = Committer(
            endpointsFolder: configuration.endpoints,
            revisions: RevisionStore(folder: "\(configuration.state)/revisions"),
            store: store,
            loader: loader,
            log: log,
            board: state.board,
            quarantine: quarantine,
            configuration: configuration
        )
        if let link, link.role != .first {
            committer.liveCopy = { link.liveCopy?.revision }
            committer.knownDegraded = link.liveCopy?.degraded
            state.setFailedReload(link.liveCopy?.failedReload)
        }
        return committer
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

    /// Lets what is live be changed from now on.
    private func startCommits() throws(SystemError) {
        let (commits, retirement, state) = (self.commits, self.retirement, self.state)
        let isHeld = Guarded<Bool>(false)
        _ = try Thread(name: "commit") {
            state.holdLifeline(state.configuration.loops + 1)
            isHeld.withLock { $0 = true }
            isHeld.notify()
            commits.run()
        }
        _ = isHeld.wait { $0 ? true : nil } as Bool
        _ = try Thread(name: "retire") { retirement.run() }
        let (monitor, pause) = (self.monitor, state.configuration.healthNanoseconds)
        _ = try Thread(name: "health") { monitor.run(roundNanoseconds: pause) }
        if let workerMonitor { _ = try Thread(name: "monitor") { workerMonitor.run() } }
    }

    private func startAcceptor(_ region: SlotRegion, _ sockets: [CInt]) throws {
        let (mailbox, loops) = (acceptorMailbox, self.loops.mailboxes)
        let addressMaximum = state.configuration.limits.connectionsPerAddress
        let start = Guarded<(isRunning: Bool, failure: String?)>((false, nil))
        let log = self.log
        acceptorThread = try Thread(name: "accept") {
            do {
                let acceptor = try Acceptor(
                    region: region,
                    loops: loops,
                    addressMaximum: addressMaximum
                )
                try acceptor.run(sockets, mailbox) {
                    start.withLock { $0.isRunning = true }
                    start.notify()
                }
            } catch {
                start.withLock { $0.failure = "accepting: \(error)" }
                start.notify()
                log.write(.error, "accept.failed", "accepting has ended: \(error)")
            }
        }
        let failure: String? = start.wait {
            $0.isRunning ? .some(nil) : $0.failure.map { .some($0) }
        }
        if let failure {
            _ = self.loops.stop()
            self.loops.finishLog(keepingRings: true)
            throw StartFailure.system("\(failure); raise the limit of open files")
        }
    }

    /// Ends the host: not ready, settle, stop accepting, answer what was accepted, write the log,
    /// destroy the models.
    ///
    /// Returns whether everything was done within the time that draining may take; `isForced` is
    /// asked again and again, and ends that time once it says so.
    package func shutDown(
        _ way: Ending = .asked,
        isForced: () -> Bool = { false }
    ) -> Bool {
        let start = MonotonicClock.now()
        if way != .handedOver { state.beginDraining() }
        commits.stop()
        monitor.stop()
        workerMonitor?.stop()
        let settle = way == .asked ? state.configuration.settleNanoseconds : 0
        let settled = start + settle
        while MonotonicClock.now() < settled, !isForced() {
            MonotonicClock.sleep(nanoseconds: 2_000_000)
        }
        if way == .asked { stopAccepting() }
        if way == .handedOver { handOver() } else { loops.post { $0.drain() } }
        let patience = way == .orphaned ? Self.orphanNanoseconds : .max
        let limit = start + min(state.configuration.drainNanoseconds, patience)
        let isComplete = loops.haveEnded(by: limit, isForced)
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
        link?.awaitReports(by: MonotonicClock.now() + Self.reportNanoseconds)
        // What is left over of a handover the supervisor gives to the next worker.
        if way == .handedOver, !isComplete { return false }
        let areStopped = isComplete || loops.stop()
        if areStopped { loops.join() }
        if way != .handedOver { loops.finishLog(keepingRings: !areStopped) }
        return areStopped && destroyModels(by: limit, isForced) && isComplete
    }

    /// How a host comes to its end.
    package enum Ending: Sendable {
        /// Somebody has asked for it.
        case asked
        /// Another worker goes on.
        case handedOver
        /// Its supervisor is gone.
        case orphaned
    }

    /// How long the reports of earlier crashes are waited for.
    private static let reportNanoseconds: UInt64 = 2_000_000_000
    /// How long a worker without a supervisor goes on with what it has begun.
    private static let orphanNanoseconds: UInt64 = 5_000_000_000

    /// Lets every loop let go of its connections, each once nothing runs for it.
    private func handOver() {
        let link = self.link
        // A change that is being made is made, or nothing of it is: then the next worker looks.
        _ = commits.takeModels(by: MonotonicClock.now() + 30_000_000_000)
        loops.finishLog(keepingRings: true)
        link?.releaseLog()
        loops.post { loop in
            loop.handOver { link?.send(.released) }
        }
    }

    private func stopAccepting() {
        if let link { return link.stopAccepting() }
        acceptorMailbox.post { $0.stop() }
        acceptorThread.take()?.join()
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
