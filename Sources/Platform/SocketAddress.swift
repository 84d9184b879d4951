// Where a listener listens, as a person writes it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/x`.

import Glibc

/// An address to listen on or to connect to.
package enum SocketAddress: Equatable, Sendable, CustomStringConvertible {
    /// Four address bytes and a port; port 0 lets the kernel choose.
    case ipv4(UInt32, port: UInt16)
    /// Sixteen address bytes and a port.
    case ipv6([UInt8], port: UInt16)
    /// The path of a Unix-domain socket.
    case unix(String)

    /// Reads `127.0.0.1:8080`, `[::1]:8080` or `unix:/path`; nil when the text is none of them.
    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = String(text.dropFirst(5))
            guard !path.isEmpty, path.utf8.count < 108 else { return nil }
            self = .unix(path)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        let host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            var address = in6_addr()
            guard unsafe inet_pton(AF_INET6, String(host.dropFirst().dropLast()), &address) == 1
            else { return nil }
            let bytes = unsafe withUnsafeBytes(of: &address) { unsafe Array($0) }
            self = .ipv6(bytes, port: port)
        } else {
            var address = in_addr()
            guard unsafe inet_pton(AF_INET, host, &address) == 1 else { return nil }
            self = .ipv4(UInt32(bigEndian: address.s_addr), port: port)
        }
    }

    /// The text that `init` reads.
    package var description: String {
        switch self {
        case .ipv4(let address, let port):
            let parts = [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }
            return "\(parts.joined(separator: ".")):\(port)"
        case .ipv6(let bytes, let port):
            var text = [CChar](repeating: 0, count: 64)
            unsafe bytes.withUnsafeBytes { source in
                unsafe text.withUnsafeMutableBufferPointer { target in
                    _ = unsafe inet_ntop(AF_INET6, source.baseAddress, target.baseAddress, 64)
                }
            }
            let address = String(
                decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
            return "[\(address)]:\(port)"
        case .unix(let path):
            return "unix:\(path)"
        }
    }

    /// Whether it is a Unix socket's.
    package var isLocal: Bool { if case .unix = self { true } else { false } }

    /// Whether only programs on this machine can reach it.
    package var isLoopback: Bool {
        switch self {
        case .ipv4(let address, _): address >> 24 == 127
        case .ipv6(let bytes, _): bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
        case .unix: true
        }
    }

    var family: CInt {
        switch self {
        case .ipv4: AF_INET
        case .ipv6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Lends the address in the form that the socket calls take.
    func withSystemAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var storage = sockaddr_storage()
        let length: Int
        switch self {
        case .ipv4(let address, let port):
            var system = sockaddr_in()
            system.sin_family = sa_family_t(AF_INET)
            system.sin_port = port.bigEndian
            system.sin_addr.s_addr = address.bigEndian
            length = MemoryLayout<sockaddr_in>.size
            unsafe withUnsafeMutableBytes(of: &storage) { target in
                unsafe withUnsafeBytes(of: &system) { unsafe target.copyMemory(from: $0) }
            }
        case .ipv6(let bytes, let port):
            var system = sockaddr_in6()
            system.sin6_family = sa_family_t(AF_INET6)
            system.sin6_port = port.bigEndian
            unsafe withUnsafeMutableBytes(of: &system.sin6_addr) {
                unsafe $0.copyBytes(from: bytes)
            }
            length = MemoryLayout<sockaddr_in6>.size
            unsafe withUnsafeMutableBytes(of: &storage) { target in
                unsafe withUnsafeBytes(of: &system) { unsafe target.copyMemory(from: $0) }
            }
        case .unix(let path):
            var system = sockaddr_un()
            system.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &system.sun_path) {
                unsafe $0.copyBytes(from: path.utf8.prefix(107))
            }
            length = MemoryLayout<sockaddr_un>.size
            unsafe withUnsafeMutableBytes(of: &storage) { target in
                unsafe withUnsafeBytes(of: &system) { unsafe target.copyMemory(from: $0) }
            }
        }
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(length))
            }
        }
    }
}
