// Stream sockets: listening, accepting, connecting, moving bytes.

import CLinux
import Glibc

/// Two sockets that are connected to each other.
package struct SocketPair: ~Copyable {
    package var one: FileDescriptor
    package var other: FileDescriptor
}

/// Operations on stream sockets. A socket itself is a `FileDescriptor`.
package enum Socket {
    /// A non-blocking listening socket.
    ///
    /// The bind is a plain one, without `SO_REUSEPORT`, so that a second host on the same port
    /// fails here instead of silently taking half of the traffic. A Unix socket's file is replaced
    /// when nobody answers on it.
    package static func listen(
        on address: SocketAddress,
        backlog: CInt = 4096
    ) throws(SystemError) -> FileDescriptor {
        let socket = try bound(to: address)
        try beginListening(socket, address, backlog: backlog)
        return socket
    }

    /// Lets clients connect to a socket that is bound.
    package static func beginListening(
        _ socket: borrowing FileDescriptor,
        _ address: SocketAddress,
        backlog: CInt = 4096
    ) throws(SystemError) {
        let number = socket.number
        try SystemCall.run("listen", address.description) { Glibc.listen(number, backlog) }
    }

    /// A non-blocking socket that has its address, and that nobody can connect to yet.
    package static func bound(to address: SocketAddress) throws(SystemError) -> FileDescriptor {
        let text = address.description
        let type =
            CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
            | CInt(SOCK_NONBLOCK.rawValue)
        let socket = FileDescriptor(
            owning: try SystemCall.run("socket", text) { Glibc.socket(address.family, type, 0) }
        )
        let number = socket.number
        switch address {
        case .unix(let path):
            try removeDeadSocket(path, address)
        case .ipv6:
            try setOption(number, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1)
            try setOption(number, SOL_SOCKET, SO_REUSEADDR, 1)
        case .ipv4:
            try setOption(number, SOL_SOCKET, SO_REUSEADDR, 1)
        }
        // Every connection begins with it: bytes marked as urgent keep their place among the
        // others, so that none is left out of any count.
        try setOption(number, SOL_SOCKET, SO_OOBINLINE, 1)
        try SystemCall.run("bind", text) {
            unsafe address.withSystemAddress { unsafe bind(number, $0, $1) }
        }
        return socket
    }

    /// Throws if an address cannot be listened on at the moment; nobody can connect meanwhile.
    package static func probe(_ address: SocketAddress) throws(SystemError) {
        if case .unix = address { return }
        let text = address.description
        let socket = FileDescriptor(
            owning: try SystemCall.run("socket", text) {
                Glibc.socket(address.family, CInt(SOCK_STREAM.rawValue), 0)
            }
        )
        let number = socket.number
        try setOption(number, SOL_SOCKET, SO_REUSEADDR, 1)
        try SystemCall.run("bind", text) {
            unsafe address.withSystemAddress { unsafe bind(number, $0, $1) }
        }
    }

    /// Removes a socket's file that nobody listens on; refuses to touch anything else.
    private static func removeDeadSocket(
        _ path: String,
        _ address: SocketAddress
    ) throws(SystemError) {
        guard let facts = try? File.facts(path, followingLinks: false) else { return }
        guard facts.kind == .socket else {
            throw SystemError(call: "bind", subject: address.description, number: ENOTSOCK)
        }
        do {
            _ = try connect(to: address, waits: false)
        } catch {
            if error.number == ECONNREFUSED { return try File.remove(path) }
        }
        throw SystemError(call: "bind", subject: address.description, number: EADDRINUSE)
    }

    /// The address that a listening socket got, with the port that the kernel chose.
    package static func localAddress(
        of socket: borrowing FileDescriptor,
        asked: SocketAddress
    ) throws(SystemError) -> SocketAddress {
        if case .unix = asked { return asked }
        var storage = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let number = socket.number
        try SystemCall.run("getsockname") {
            unsafe withUnsafeMutablePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe getsockname(number, $0, &length)
                }
            }
        }
        // The port stands at the same place in both families.
        let port = UInt16(bigEndian: storage.sin6_port)
        return switch asked {
        case .ipv4(let address, _): .ipv4(address, port: port)
        case .ipv6(let bytes, _): .ipv6(bytes, port: port)
        case .unix: asked
        }
    }

    /// The bytes of the address that a connection comes from; nil for a Unix socket. Calls
    /// `getpeername(2)`.
    package static func peerAddress(of socket: borrowing FileDescriptor) -> [UInt8]? {
        var storage = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let number = socket.number
        let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getpeername(number, $0, &length)
            }
        }
        guard result == 0 else { return nil }
        // Behind family and port: the four bytes of IPv4, or the flow and the sixteen of IPv6.
        let place: Range<Int>
        switch CInt(storage.sin6_family) {
        case AF_INET: place = 4..<8
        case AF_INET6: place = 8..<24
        default: return nil
        }
        return unsafe withUnsafeBytes(of: &storage) { unsafe Array($0[place]) }
    }

    /// The address that a connection comes from, without its port, as a person reads it.
    package static func peerText(of socket: borrowing FileDescriptor) -> String {
        guard let bytes = peerAddress(of: socket) else { return "a Unix socket" }
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        let text = SocketAddress.ipv6(Array(bytes.dropFirst(4)), port: 0).description
        return String(text.dropLast(2))
    }

    /// What accepting came back with.
    package enum Accepted: ~Copyable {
        /// A new, non-blocking connection.
        case connection(FileDescriptor)
        /// Nobody is waiting.
        case none
        /// The caller has no descriptor left; try again once one is free.
        case outOfDescriptors
    }

    /// Takes one waiting connection. Calls `accept4(2)`.
    package static func accept(
        from listener: borrowing FileDescriptor
    ) throws(SystemError) -> Accepted {
        while true {
            let number = clinux_accept(listener.number)
            if number >= 0 { return .connection(FileDescriptor(owning: number)) }
            switch errno {
            // The client gave up between its SYN and our accept; Linux also passes network errors.
            case EINTR, ECONNABORTED, EPROTO, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH:
                continue
            case EAGAIN: return .none
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .outOfDescriptors
            case let number: throw SystemError(call: "accept4", number: number)
            }
        }
    }

    /// The user that the other end of a Unix socket ran as when it connected; nil: nobody says.
    package static func peerUser(of socket: borrowing FileDescriptor) -> UInt32? {
        UInt32(exactly: clinux_peer_user(socket.number))
    }

    /// A connection to an address; for commands and tests, which may wait.
    ///
    /// - Parameter waits: whether it waits for room in a full queue, and the socket blocks.
    package static func connect(
        to address: SocketAddress,
        waits: Bool = true
    ) throws(SystemError) -> FileDescriptor {
        let type =
            CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
            | (waits ? 0 : CInt(SOCK_NONBLOCK.rawValue))
        let text = address.description
        let socket = FileDescriptor(
            owning: try SystemCall.run("socket", text) { Glibc.socket(address.family, type, 0) }
        )
        let number = socket.number
        try SystemCall.run("connect", text) {
            unsafe address.withSystemAddress { unsafe Glibc.connect(number, $0, $1) }
        }
        disableDelay(socket)
        return socket
    }

    /// Sends small answers at once instead of waiting for more. No effect on Unix sockets.
    package static func disableDelay(_ socket: borrowing FileDescriptor) {
        try? setOption(socket.number, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// Sets how long a blocking receive may wait before it fails with `EAGAIN`.
    package static func setReceiveTimeout(
        _ socket: borrowing FileDescriptor,
        seconds: Int
    ) throws(SystemError) {
        let number = socket.number
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        try SystemCall.run("setsockopt") {
            unsafe setsockopt(
                number,
                SOL_SOCKET,
                SO_RCVTIMEO,
                &limit,
                socklen_t(MemoryLayout<timeval>.size)
            )
        }
    }

    /// Ends both directions; the FIN leaves even while a duplicate of the socket is open.
    package static func shutDown(_ socket: borrowing FileDescriptor) {
        _ = shutdown(socket.number, CInt(SHUT_RDWR))
    }

    /// A second descriptor of the same connection, for whoever goes on with it.
    package static func duplicateNumber(_ socket: borrowing FileDescriptor) -> CInt {
        fcntl(socket.number, F_DUPFD_CLOEXEC, 0)
    }

    /// The same of a descriptor that is known by its number; for tests.
    package static func duplicateNumber(of number: CInt) -> CInt {
        fcntl(number, F_DUPFD_CLOEXEC, 0)
    }

    /// Says that nothing more will be sent. Calls `shutdown(2)` with `SHUT_WR`.
    package static func finishSending(_ socket: borrowing FileDescriptor) {
        _ = shutdown(socket.number, CInt(SHUT_WR))
    }

    /// Receives at most `maximum` bytes and appends them. Calls `recv(2)`.
    ///
    /// With `waits` false nothing is waited for, whatever kind of socket it is.
    package static func receive(
        from socket: borrowing FileDescriptor,
        into buffer: inout [UInt8],
        maximum: Int,
        waits: Bool = true
    ) -> IOResult {
        let number = socket.number
        let flags = waits ? 0 : CInt(MSG_DONTWAIT)
        var result = IOResult.wouldBlock
        buffer.append(addingCapacity: maximum) { output in
            unsafe output.withUnsafeMutableBufferPointer { storage, initialized in
                result = SystemCall.move {
                    unsafe recv(number, storage.baseAddress, maximum, flags)
                }
                if case .moved(let count) = result { initialized = count }
            }
        }
        return result
    }

    /// Sends bytes from an offset on, without a signal for a closed connection. Calls `send(2)`.
    package static func send(
        _ bytes: [UInt8],
        from offset: Int = 0,
        to socket: borrowing FileDescriptor
    ) -> IOResult {
        let number = socket.number
        return unsafe bytes.withUnsafeBytes { storage in
            SystemCall.move {
                unsafe Glibc.send(
                    number,
                    storage.baseAddress?.advanced(by: offset),
                    storage.count - offset,
                    CInt(MSG_NOSIGNAL)
                )
            }
        }
    }

    /// Sends one byte marked as urgent (`MSG_OOB`); for tests.
    package static func sendUrgent(_ byte: UInt8, to socket: borrowing FileDescriptor) -> IOResult {
        let number = socket.number
        var byte = byte
        return SystemCall.move { unsafe Glibc.send(number, &byte, 1, CInt(MSG_OOB)) }
    }

    /// A pair of connected, non-blocking Unix stream sockets; for tests of a loop.
    package static func pair() throws(SystemError) -> SocketPair {
        var numbers: [CInt] = [0, 0]
        let type =
            CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
            | CInt(SOCK_NONBLOCK.rawValue)
        try SystemCall.run("socketpair") { unsafe socketpair(AF_UNIX, type, 0, &numbers) }
        return SocketPair(
            one: FileDescriptor(owning: numbers[0]),
            other: FileDescriptor(owning: numbers[1])
        )
    }

    /// The kernel's count of what was received and sent on a TCP connection.
    ///
    /// This is how a successor learns what its predecessor did after its last note: bytes that were
    /// received but not yet committed, and bytes of an answer that the kernel has accepted.
    /// Nil where the kernel cannot tell: another kind of socket, or a connection in its last state.
    package static func counters(
        of socket: borrowing FileDescriptor
    ) -> (consumed: UInt64, written: UInt64)? {
        var consumed: UInt64 = 0
        var written: UInt64 = 0
        guard unsafe clinux_tcp_counters(socket.number, &consumed, &written) == 0 else {
            return nil
        }
        return (consumed, written)
    }

    private static func setOption(
        _ number: CInt,
        _ level: CInt,
        _ option: CInt,
        _ value: CInt
    ) throws(SystemError) {
        var value = value
        try SystemCall.run("setsockopt") {
            unsafe setsockopt(number, level, option, &value, socklen_t(MemoryLayout<CInt>.size))
        }
    }
}
