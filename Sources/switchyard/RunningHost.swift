import Admin
import Bytes
import Endpoints
import Logging
import Platform
import Serving

/// A host with everything around it that one process of it has: admins, the watch.
final class RunningHost {
    let server: Server
    private let admin: AdminServer
    private let watch: ConfigurationWatch?
    private let log: EventLog
    private let folders: ServerConfiguration

    /// Starts it; with a `link` as the worker of a supervisor, when that wants it to serve.
    init(_ host: HostArguments, _ log: EventLog, _ link: WorkerLink? = nil) throws {
        self.log = log
        folders = host.configuration
        server = try Server(host.configuration, log: log, link: link)
        admin = try AdminServer(host.admin, server.control, inherited: link?.adminListeners)
        watch = host.watches ? try Self.startWatch(server.control) : nil
    }

    /// What is live, where it listens, and what to type next, a line each; `program` is how the
    /// host was called.
    func report(program: String) -> String {
        var text = ""
        for line in server.takeReport() { text += line + "\n" }
        for address in server.addresses {
            text += "listening on \(address)\n"
            if !address.isLoopback {
                log.write(
                    .warning,
                    "listen.public",
                    "\(address) can be reached from other machines, without a key"
                )
            }
        }
        for address in admin.addresses {
            text += "admin listening on \(address)\n"
            if !address.isLoopback {
                log.write(
                    .warning,
                    "admin.public",
                    "admins are let in at \(address) from other machines, by a key that anybody "
                        + "on the way can read: put TLS before it, or listen on 127.0.0.1"
                )
            }
        }
        for address in admin.metricsAddresses {
            text += "metrics listening on \(address)\n"
        }
        if let endpoint = server.board.live.committed.configuration.endpoints.first?.name {
            let words = [program, "predict", endpoint, "--examples"] + clientWords
            let line = words.map(Visible.word).joined(separator: " ")
            text += "ask it from another terminal: \(line)\n"
        }
        return text
    }

    /// What a command needs to find this host, where that is not what it would take itself.
    private var clientWords: [String] {
        let usual = ServerConfiguration()
        var words: [String] = []
        for (option, value, usual) in [
            ("--endpoints", folders.endpoints, usual.endpoints),
            ("--deployments", folders.deployments, usual.deployments),
            ("--state", folders.state, usual.state),
        ] where value != usual {
            words += [option, value]
        }
        if let address = server.addresses.first, address != .ipv4(0x7f00_0001, port: 8080) {
            words += ["--host", "\(address)"]
        }
        return words
    }

    /// Ends it; whether everything was done in time. See `Server.shutDown`.
    func end(_ way: Server.Ending = .asked, isForced: () -> Bool) -> Bool {
        watch?.stop()
        // Admins go to the next worker at once; at the host's end they may look on.
        if way == .handedOver { admin.stop() }
        let isComplete = server.shutDown(way, isForced: isForced)
        if way != .handedOver { admin.stop() }
        return isComplete
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
}
