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
    /// How long a request may take to arrive, an answer to leave, and a connection to say nothing.
    package var patienceNanoseconds: UInt64 = 60_000_000_000

    /// Admins reach it over a Unix socket in the state folder.
    package init(state: String) {
        socket = "\(state)/admin.sock"
    }

    /// Throws what would keep it from being served; called before a start changes anything.
    package func check() throws(StartFailure) {
        if !listen.isEmpty {
            guard let keyFile = keyFile else {
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
        guard SocketAddress("unix:\(socket)") != nil else {
            throw .configuration(
                "\(socket): found a path of \(socket.utf8.count) bytes "
                    + "for the admins' Unix socket; wanted at most 107; name a shorter --state"
            )
        }
        for address in listen { try Server.probe(address, option: "admin-listen") }
        for address in metricsListen { try Server.probe(address, option: "metrics-listen") }
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
    private let ownsSockets: Bool

    /// Listens and starts to answer; or throws, and then nothing is left listening.
    ///
    /// - Parameters:
    ///   - configuration: where admins reach the host.
    ///   - control: what they have of it.
    ///   - inherited: what a supervisor listens on for its workers; nil: nobody does.
    package init(
        _ configuration: AdminConfiguration,
        _ control: HostControl,
        inherited: [InheritedListener]? = nil
    ) throws(StartFailure) {
        self.configuration = configuration
        ownsSockets = inherited == nil
        do {
            mailbox = try Mailbox()
        } catch {
            throw .system("the admin listener: \(error)")
        }
        if inherited == nil { try configuration.check() }
        let access = AdminAccess(keyFile: configuration.keyFile)
        let router = AdminRouter(control: control, access: access)
        var sockets: [AdminSocket] = []
        do {
            if let inherited {
                sockets = adopt(inherited)
            } else {
                sockets = try Self.listen(configuration)
                take(sockets)
            }
            let identity =
                inherited.map { $0.first?.identity } ?? SocketIdentity(configuration.socket)
            try start(sockets.map { ($0.number, $0.kind) }, identity, router, control.log)
        } catch {
            for socket in sockets { socket.close() }
            if !sockets.isEmpty, ownsSockets { try? File.remove(configuration.socket) }
            throw .system("the admin listener: \(error)")
        }
    }

    /// A socket that listens and that nobody answers on yet.
    private struct AdminSocket {
        let number: CInt
        let kind: AdminListener.Kind
        let address: SocketAddress

        func close() { _ = FileDescriptor(owning: number) }
    }

    /// Listens everywhere, or nowhere and throws.
    private static func listen(
        _ configuration: AdminConfiguration
    ) throws(SystemError) -> [AdminSocket] {
        var sockets: [AdminSocket] = []
        do throws(SystemError) {
            let wanted: [(SocketAddress, AdminListener.Kind)] =
                [(.unix(configuration.socket), .local)]
                + configuration.listen.map { ($0, .remote) }
                + configuration.metricsListen.map { ($0, .metrics) }
            for (address, kind) in wanted {
                let socket = try Socket.listen(on: address, backlog: 64)
                let found = try Socket.localAddress(of: socket, asked: address)
                sockets.append(AdminSocket(number: socket.release(), kind: kind, address: found))
            }
            try File.setMode(configuration.socket, 0o600)
            return sockets
        } catch {
            for socket in sockets { socket.close() }
            if !sockets.isEmpty { try? File.remove(configuration.socket) }
            throw error
        }
    }

    /// Listens for the workers of a supervisor: the Unix socket first, then the others in the order
    /// of the configuration.
    package static func listenForWorkers(
        _ configuration: AdminConfiguration
    ) throws(StartFailure) -> [InheritedListener] {
        do {
            return try listen(configuration).map {
                InheritedListener(
                    number: $0.number,
                    address: "\($0.address)",
                    identity: $0.kind == .local ? SocketIdentity(configuration.socket) : nil
                )
            }
        } catch {
            throw .system("the admin listener: \(error)")
        }
    }

    /// What a supervisor listens on, in its order.
    private func adopt(_ inherited: [InheritedListener]) -> [AdminSocket] {
        let kinds: [AdminListener.Kind] =
            [.local] + configuration.listen.map { _ in .remote }
            + configuration.metricsListen.map { _ in .metrics }
        let sockets = zip(inherited, kinds).compactMap { listener, kind in
            SocketAddress(listener.address).map {
                AdminSocket(number: listener.number, kind: kind, address: $0)
            }
        }
        take(sockets)
        return sockets
    }

    private func take(_ sockets: [AdminSocket]) {
        addresses = sockets.filter { $0.kind == .remote }.map(\.address)
        metricsAddresses = sockets.filter { $0.kind == .metrics }.map(\.address)
    }

    private func start(
        _ sockets: [(number: CInt, AdminListener.Kind)],
        _ identity: SocketIdentity?,
        _ router: AdminRouter,
        _ log: EventLog
    ) throws(SystemError) {
        let (mailbox, patience) = (self.mailbox, configuration.patienceNanoseconds)
        let path = configuration.socket
        thread = try Thread(name: "admin") {
            do {
                try AdminLoop(router, mailbox, patienceNanoseconds: patience)
                    .run(sockets, socketPath: path, identity: identity)
            } catch {
                log.write(.error, "admin.failed", "answering admins has ended: \(error)")
            }
        }
    }

    /// Ends the thread and removes the Unix socket.
    package func stop() {
        mailbox.post { $0.stop() }
        thread.take()?.join()
        if ownsSockets { try? File.remove(configuration.socket) }
    }
}
