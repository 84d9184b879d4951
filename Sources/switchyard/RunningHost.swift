import Admin
import Logging
import Platform
import Serving

/// A host with everything around it that one process of it has: admins, the watch.
final class RunningHost {
    let server: Server
    private let admin: AdminServer
    private let watch: ConfigurationWatch?
    private let log: EventLog

    /// Starts it; with a `link` as the worker of a supervisor, when that wants it to serve.
    init(_ host: HostArguments, _ log: EventLog, _ link: WorkerLink? = nil) throws {
        self.log = log
        server = try Server(host.configuration, log: log, link: link)
        admin = try AdminServer(host.admin, server.control, inherited: link?.adminListeners)
        watch = host.watches ? try Self.startWatch(server.control) : nil
    }

    /// Prints what is live and where it listens.
    func report() {
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
