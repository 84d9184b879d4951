import Admin
import Logging
import Platform
import Serving

/// What a worker runs: the program as its supervisor starts it.
enum WorkerProgram {
    /// The verb by which it is started.
    static let verb = "serve-worker"

    /// Runs until the supervisor wants it to end. Returns the exit status of one that cannot begin.
    ///
    /// - Parameter words: how the host was called, then the words behind its verb.
    static func run(_ words: [String]) -> Int32 {
        do {
            // What asks the host to end goes to the supervisor, which says so in its own way.
            let signals = try SignalDescriptor([1, 2, 15])
            guard let control = CurrentProcess.inherited(3) else {
                StandardStream.errors("\(verb): for the host's own use\n")
                return ExitStatus.usage.rawValue
            }
            CurrentThread.takeName("switchyard-worker")
            let arguments = try Arguments(
                Array(words.dropFirst()),
                options: Command.serve.options
            )
            let host = try HostArguments(arguments)
            _ = CurrentProcess.raiseDescriptorLimit()
            let link = try WorkerLink(control)
            link.board.catchFaults()
            let wishes = Guarded<[WorkerLink.Wish]>([])
            let program = words.first ?? "switchyard"
            _ = try Thread(name: "host", stackBytes: 8 << 20) {
                serve(host, link, wishes, program: program)
            }
            try link.run { wish in
                wishes.withLock { $0.append(wish) }
                wishes.notify()
            }
            // Without a supervisor the host finishes what it has, on its own thread.
            withExtendedLifetime(signals) { MonotonicClock.sleep(nanoseconds: .max >> 1) }
            return 0
        } catch {
            StandardStream.errors("switchyard \(verb): \(error)\n")
            return ExitStatus.failure.rawValue
        }
    }

    /// Serves, and does what the supervisor wishes; ends the process.
    private static func serve(
        _ host: HostArguments,
        _ link: WorkerLink,
        _ wishes: Guarded<[WorkerLink.Wish]>,
        program: String
    ) {
        let running: RunningHost
        do {
            running = try RunningHost(host, EventLog(), link)
        } catch {
            let status = Main.complain(Command.serve, error)
            Main.flushEvents()
            CurrentProcess.exitNow(status.rawValue)
        }
        if link.role == .first {
            link.awaitListening()
            // Whoever reads standard output may stop reading.
            let lines = running.report(program: program)
            _ = try? Thread(name: "report") { StandardStream.output(lines) }
        }
        while true {
            let wish = wishes.wait { $0.isEmpty ? nil : $0.removeFirst() }
            switch wish {
            case .reload: running.server.commits.reloadOnce(author: "SIGHUP")
            case .handOver: end(running, .handedOver, wishes)
            case .drain: end(running, .asked, wishes)
            case .orphaned: end(running, .orphaned, wishes)
            }
        }
    }

    /// Ends the host and the process. Whatever is wished meanwhile means: at once.
    private static func end(
        _ running: RunningHost,
        _ way: Server.Ending,
        _ wishes: Guarded<[WorkerLink.Wish]>
    ) -> Never {
        let isComplete = running.end(way) {
            wishes.withLock { wishes in
                wishes.contains { if case .reload = $0 { false } else { true } }
            }
        }
        Main.flushEvents()
        CurrentProcess.exitNow(isComplete ? 0 : ExitStatus.failure.rawValue)
    }
}
