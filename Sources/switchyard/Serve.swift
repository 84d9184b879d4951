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
                "from 'not ready' to the end of accepting at shutdown (default: 1000)"
            ),
            Option(
                "drain",
                value: "SECONDS",
                "how long shutdown waits for what was accepted (default: 30)"
            ),
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
            let log = EventLog()
            let configuration = try configuration(arguments)
            let wantedAdmin = try admin(arguments, state: configuration.state)
            try wantedAdmin.check()
            let server = try Server(configuration, log: log)
            let admin = try AdminServer(wantedAdmin, server.control)
            let watch = try arguments.has("watch") ? startWatch(server.control) : nil
            for line in server.takeReport() { StandardStream.output(line + "\n") }
            for address in server.addresses {
                StandardStream.output("listening on \(address)\n")
                if !address.isLoopback {
                    log.write(
                        .warning,
                        "listen.public",
                        "\(address) can be reached from other machines, without a key"
                    )
                }
            }
            for address in admin.addresses {
                StandardStream.output("admin listening on \(address)\n")
            }
            for address in admin.metricsAddresses {
                StandardStream.output("metrics listening on \(address)\n")
            }
            try waitForEnd(signals, server)
            watch?.stop()
            // A second signal to end means now.
            var isForced = false
            let isComplete = server.shutDown {
                while let signal = signals.next() { isForced = isForced || signal != hangUp }
                return isForced
            }
            admin.stop()
            return isComplete ? .success : .failure
        }
    )

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

    /// Reads the options of `serve`.
    static func configuration(_ arguments: Arguments) throws(UsageError) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.endpoints = arguments.value("endpoints") ?? configuration.endpoints
        configuration.deployments = arguments.value("deployments") ?? configuration.deployments
        configuration.logs = arguments.value("logs") ?? configuration.logs
        configuration.state = arguments.value("state") ?? configuration.state
        configuration.listen = try arguments.addresses("listen")
        if !arguments.has("listen") { configuration.listen = [.ipv4(0x7f00_0001, port: 8080)] }
        configuration.loops = try arguments.number("loops", 1...256) ?? configuration.loops
        switch arguments.value("log-data") {
        case nil, "none": break
        case "full": configuration.logsPayloads = true
        case let other?: throw UsageError("'--log-data \(other)': wanted full or none")
        }
        for text in arguments.all("limit") {
            do {
                try NamedLimit.set(text, in: &configuration.limits)
            } catch {
                throw UsageError("'--limit' \(error)")
            }
        }
        configuration.allowsForcing = !arguments.has("no-force")
        configuration.isStrict = arguments.has("strict")
        if let settle = try arguments.number("settle", 0...600_000) {
            configuration.settleNanoseconds = UInt64(settle) * 1_000_000
        }
        if let drain = try arguments.number("drain", 0...86_400) {
            configuration.drainNanoseconds = UInt64(drain) * 1_000_000_000
        }
        if let grace = try arguments.number("grace", 0...86_400) {
            configuration.graceNanoseconds = UInt64(grace) * 1_000_000_000
        }
        if let ring = try arguments.number("ring", 1...4096) {
            configuration.ringBytes = ring << 20
        }
        return configuration
    }

    /// Reads the options about admins.
    static func admin(
        _ arguments: Arguments,
        state: String
    ) throws(UsageError) -> AdminConfiguration {
        var admin = AdminConfiguration(state: state)
        admin.listen = try arguments.addresses("admin-listen")
        admin.metricsListen = try arguments.addresses("metrics-listen")
        admin.keyFile = arguments.value("admin-key-file")
        return admin
    }

    /// Reloads by itself when files have changed and are left alone. It looks whether they say
    /// anything else first.
    private static func startWatch(_ control: HostControl) throws -> ConfigurationWatch {
        let folders = control.configuration
        let files = ConfigurationFiles(endpointsFolder: folders.endpoints, store: control.store)
        let last = Guarded(control.board.live.committed.revision.files)
        let (commits, log) = (control.commits, control.log)
        let look: @Sendable () -> Void = {
            let hash = files.hash()
            let isOther = last.withLock { last in
                defer { last = hash }
                return last != hash
            }
            if isOther { commits.reloadOnce(author: "watch") }
        }
        let watch = ConfigurationWatch(
            endpoints: folders.endpoints,
            deployments: folders.deployments,
            failed: { error in
                log.write(
                    .error,
                    "watch.failing",
                    "a folder cannot be watched: \(error); raise fs.inotify.max_user_watches or "
                        + "max_user_instances, or reload by hand"
                )
            },
            changed: look
        )
        try watch.start()
        // What has changed since the host read its files, before anybody watched.
        look()
        return watch
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
}
