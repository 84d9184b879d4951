import Admin
import EventLoop
import Logging
import Platform
import Serving

extension Command {
    static let serve = Command(
        name: "serve",
        summary: "serve the endpoints",
        usage: "serve [OPTIONS]",
        text: """
            Loads every version that an endpoint or an alias names, and the latest of every
            deployment, then serves predictions until SIGTERM or SIGINT, which let it answer what
            it has accepted and exit with status 0. It prints one line for everything that it has
            loaded and one for every address; events go to standard error as JSON lines.
            """,
        options: folders + [
            Option(
                "listen",
                value: "ADDRESS",
                variable: "SWITCHYARD_LISTEN",
                "127.0.0.1:8080, [::1]:8080 or unix:/path; repeatable; port 0: any free one"
            ),
            Option(
                "loops",
                value: "N",
                variable: "SWITCHYARD_LOOPS",
                "event loops (default: one per core)"
            ),
            Option(
                "log-data",
                value: "full|none",
                "whether request log records carry inputs and outputs (default: none)"
            ),
            Option(
                "log-file-size",
                value: "MIB",
                "size of a request log file before the next one is begun (default: 256)"
            ),
            Option(
                "log-file-age",
                value: "HOURS",
                "age of a request log file before the next one is begun (default: 24)"
            ),
            Option(
                "log-keep",
                value: "N|SIZE|DAYS",
                "older request log files that stay: 200, 50GB or 30d (default: 64 files)"
            ),
            Option("limit", value: "NAME=VALUE", "a limit of those below; repeatable"),
            Option("no-force", "refuse requests that name the split which shall answer"),
            Option(
                "watch",
                "reload by itself when endpoint files, versions or aliases have changed"
            ),
            Option(
                "grace",
                value: "SECONDS",
                "how long models are kept that are not served any more (default: 600)"
            ),
            Option(
                "admin-listen",
                value: "ADDRESS",
                "let admins in over TCP too, with a key; repeatable"
            ),
            Option(
                "admin-key-file",
                value: "FILE",
                "a key on each line; readable by this user only"
            ),
            Option(
                "metrics-listen",
                value: "ADDRESS",
                "answer GET /metrics there, without a key; repeatable"
            ),
            Option("strict", "do not start when endpoint files are broken"),
            Option(
                "settle",
                value: "MILLISECONDS",
                "from 'not ready' to the end of accepting at shutdown (default: 5000)"
            ),
            Option(
                "drain",
                value: "SECONDS",
                "how long shutdown waits for what was accepted (default: 30)"
            ),
            Option("no-supervisor", "serve in this one process, which a crash ends; for debugging"),
            Option("standby", "keep a second worker loaded, for the case that one dies"),
            Option(
                "quarantine",
                value: "DEATHS/SECONDS",
                "deaths of workers after which a version is not run again (default: 3/60)"
            ),
            Option(
                "recycle-images",
                value: "N",
                "libraries no version needs, past which a new worker takes over (default: 64)"
            ),
            Option(
                "recycle-memory",
                value: "MIB",
                "memory of a worker past which a new one takes over (default: no limit)"
            ),
            Option(
                "worker-memory",
                value: "MIB",
                "memory of a worker: a control group's, else its data (default: no limit)"
            ),
            Option("core-dumps", "let a worker that crashes write a core, as far as limits go"),
            Option(
                "ring",
                value: "MIB",
                "size of each loop's log ring in MiB (default: 32)"
            ),
        ],
        notes: limits,
        run: { arguments in
            // Before the first thread, so that all of them leave the signals to this one.
            let signals = try SignalDescriptor([terminate, interrupt, hangUp])
            try requireWords(0, arguments)
            let host = try HostArguments(arguments)
            return arguments.has("no-supervisor")
                ? try serveAlone(host, signals) : try supervise(host, arguments, signals)
        }
    )

    /// Serves in this process.
    private static func serveAlone(
        _ host: HostArguments,
        _ signals: borrowing SignalDescriptor
    ) throws -> ExitStatus {
        try host.admin.check()
        let running = try RunningHost(host, EventLog())
        let lines = running.report(program: CommandLine.arguments[0])
        _ = try? Thread(name: "report") { StandardStream.output(lines) }
        try waitForEnd(signals, running.server)
        // A second signal to end means now.
        var isForced = false
        let isComplete = running.end {
            while let signal = signals.next() { isForced = isForced || signal != hangUp }
            return isForced
        }
        return isComplete ? .success : .failure
    }

    private static let hangUp: Int32 = 1
    private static let interrupt: Int32 = 2
    private static let terminate: Int32 = 15

    /// Waits until a signal asks the host to end; SIGHUP lets it take its files.
    private static func waitForEnd(
        _ signals: borrowing SignalDescriptor,
        _ server: Server
    ) throws {
        var epoll = try Epoll()
        try epoll.add(signals.descriptor, .readable, token: 0)
        while true {
            guard let signal = signals.next() else {
                _ = try epoll.wait(milliseconds: -1)
                continue
            }
            if signal != hangUp { return }
            server.commits.reloadOnce(author: "SIGHUP")
        }
    }

    /// The table of limits, for the help.
    private static var limits: String {
        var rows = [["limit", "default", "past it", "of what"]]
        for limit in NamedLimit.all {
            let value =
                limit.name == "buffered" ? "25 % of memory" : limit.text(ServerLimits())
            rows.append([limit.name, value, limit.pastIt, limit.what])
        }
        return TextTable.text(rows, indent: "  ")
    }
}
