import Admin
import Logging
import Platform
import Serving
import Supervisor

extension Command {
    /// Serves by workers, which this process starts, and starts again.
    static func supervise(
        _ host: HostArguments,
        _ arguments: Arguments,
        _ signals: borrowing SignalDescriptor
    ) throws -> ExitStatus {
        let log = EventLog()
        CurrentProcess.allowCoreDumps(host.allowsCoreDumps)
        let locks = try HostFolders.claim(host.configuration)
        // A start that cannot succeed must not commit anything.
        try host.admin.check()
        var configuration = SupervisorConfiguration()
        configuration.listen = host.configuration.listen
        configuration.loops = host.configuration.loops
        configuration.connections = try HostFolders.connections(host.configuration)
        configuration.connectionsPerAddress = host.configuration.limits.connectionsPerAddress
        configuration.workerArguments =
            [WorkerProgram.verb, CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(2)
        configuration.workerMemoryBytes = host.workerMemoryBytes
        if host.workerMemoryBytes > 0 {
            configuration.memoryGroup = MemoryGroup(bytes: host.workerMemoryBytes)
        }
        configuration.keepsStandby = host.keepsStandby
        configuration.allowsCoreDumps = host.allowsCoreDumps
        configuration.drainNanoseconds = host.configuration.drainNanoseconds
        let supervisor: Supervisor
        configuration.adminListeners = try AdminServer.listenForWorkers(host.admin)
        defer { try? File.remove(host.admin.socket) }
        supervisor = try Supervisor(
            configuration,
            locks: [locks.state.number, locks.logs.number],
            refusal: { address, error in Server.refusal(address, error, "listen") },
            tell: { event in log.write(event) }
        )
        let status = try supervisor.run(signals)
        withExtendedLifetime(locks) {}
        return ExitStatus(rawValue: status) ?? .failure
    }
}

extension EventLog {
    /// Writes what a supervisor tells.
    func write(_ event: SupervisorEvent) {
        switch event {
        case .workerDied(let process, let end, let fault):
            let cause =
                switch fault?.kind {
                case .signal: "was ended by signal \(ProcessEnd.named(fault?.signal ?? 0))"
                case .exit: "ended itself with exit(\(fault?.status ?? 0)) inside a call"
                case .hang: "was ended, since a call had not come back"
                case nil: end.map { "\($0)" } ?? "has ended"
                }
            write(
                .error,
                "worker.died",
                "worker \(process) \(cause); its connections go to the next one",
                ["process": .number(Int(process))]
            )
        case .workerServes(let process, let isTakeover, let connections, let milliseconds):
            write(
                .info,
                "worker.serves",
                "worker \(process) goes on with \(connections) connections after "
                    + "\(milliseconds) ms",
                [
                    "process": .number(Int(process)), "connections": .number(connections),
                    "milliseconds": .number(milliseconds), "takeover": .boolean(isTakeover),
                ]
            )
        case .backingOff(let milliseconds, let failures):
            write(
                .warning,
                "worker.backing_off",
                "\(failures) workers in a row have ended soon; the next one is started in "
                    + "\(milliseconds) ms",
                ["failures": .number(failures), "milliseconds": .number(milliseconds)]
            )
        case .cannotStart(let error):
            write(.error, "worker.cannot_start", "no worker can be started: \(error)")
        case .recycleFailed(let attempts, let reason):
            write(
                .error,
                "worker.recycle_failed",
                "\(attempts) workers that were to take over have ended before they were ready, so "
                    + "the one that serves goes on; the last one: \(reason)",
                ["attempts": .number(attempts)]
            )
        case .fallenSilent(let process):
            write(
                .error,
                "worker.silent",
                "worker \(process) has closed its line to the supervisor, as a stray close() in a "
                    + "plugin does; it is ended, and its connections go to the next one",
                ["process": .number(Int(process))]
            )
        case .cannotListen(let error):
            write(.error, "listen.failed", "\(error); the host ends")
        case .hang(let process, let deployment, let version, let milliseconds):
            write(
                .error,
                "worker.hangs",
                "a call of \(deployment) version \(version) has not come back for "
                    + "\(milliseconds) ms (hangAfter); worker \(process) is ended for it",
                [
                    "process": .number(Int(process)), "deployment": .text(deployment),
                    "version": .number(version), "milliseconds": .number(milliseconds),
                ]
            )
        }
    }
}
