// The admin side of a host: its listeners and their thread.

import EventLoop
import Logging
package import Platform
package import Serving

/// Where admins reach a host.
package struct AdminConfiguration: Sendable {
    /// The Unix socket, which only the host's user can open.
    package var socket: String
    /// Further addresses, which need a key.
    package var listen: [SocketAddress] = []
    /// The file of keys.
    package var keyFile: String?
    /// Addresses for `/metrics` alone, without a key.
    package var metricsListen: [SocketAddress] = []

    /// Admins reach it over a Unix socket in the state folder.
    package init(state: String) {
        socket = "\(state)/admin.sock"
    }
}

/// Answers admins until `stop`.
package final class AdminServer {
    /// Where it listens beside the Unix socket, with the ports that the kernel chose.
    package private(set) var addresses: [SocketAddress] = []
    package private(set) var metricsAddresses: [SocketAddress] = []
    private let configuration: AdminConfiguration
    private let mailbox: Mailbox<AdminLoop>
    private var thread: Platform.Thread?

    /// Listens and starts to answer; or throws, and then nothing is left listening.
    package init(
        _ configuration: AdminConfiguration,
        _ control: HostControl
    ) throws(StartFailure) {
        self.configuration = configuration
        do {
            mailbox = try Mailbox()
        } catch {
            throw .system("the admin listener: \(error)")
        }
        if !configuration.listen.isEmpty {
            guard let keyFile = configuration.keyFile else {
                throw .configuration(
                    "--admin-listen: found no --admin-key-file; wanted a file with a key on each "
                        + "line: whoever administers over TCP needs one"
                )
            }
            do {
                _ = try AdminAccess.readKeys(keyFile)
            } catch {
                throw .configuration("--admin-key-file \(error)")
            }
        }
        let access = AdminAccess(keyFile: configuration.keyFile)
        let router = AdminRouter(control: control, access: access)
        do {
            try start(router, control.log)
        } catch {
            throw .system("the admin listener: \(error)")
        }
    }

    private func start(_ router: AdminRouter, _ log: EventLog) throws {
        var numbers: [(number: CInt, AdminListener.Kind)] = []
        let local = try Socket.listen(on: .unix(configuration.socket), backlog: 64)
        try File.setMode(configuration.socket, 0o600)
        numbers.append((local.release(), .local))
        for address in configuration.listen {
            let socket = try Socket.listen(on: address, backlog: 64)
            addresses.append(try Socket.localAddress(of: socket, asked: address))
            numbers.append((socket.release(), .remote))
        }
        for address in configuration.metricsListen {
            let socket = try Socket.listen(on: address, backlog: 64)
            metricsAddresses.append(try Socket.localAddress(of: socket, asked: address))
            numbers.append((socket.release(), .metrics))
        }
        let mailbox = self.mailbox
        let taken = numbers
        thread = try Thread(name: "admin") {
            do {
                try AdminLoop(router, mailbox).run(taken)
            } catch {
                log.write(.error, "admin.failed", "answering admins has ended: \(error)")
            }
        }
    }

    /// Ends the thread and removes the Unix socket.
    package func stop() {
        mailbox.post { $0.stop() }
        thread.take()?.join()
        try? File.remove(configuration.socket)
    }
}
