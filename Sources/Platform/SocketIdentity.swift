// Which file a Unix socket has, so that a host sees whether the file at its path is still that one
// without asking whoever listens there.

/// What tells one socket's file from another at the same path.
package struct SocketIdentity: Equatable, Sendable {
    private let inode: UInt64
    private let made: Int64

    /// The file at a path; nil: there is no socket.
    package init?(_ path: String) {
        guard let facts = try? File.facts(path, followingLinks: false), facts.kind == .socket else {
            return nil
        }
        (inode, made) = (facts.inode, facts.written)
    }

    /// What `text` has made.
    package init?(text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let inode = UInt64(words[0]), let made = Int64(words[1]) else {
            return nil
        }
        (self.inode, self.made) = (inode, made)
    }

    /// The same for another process.
    package var text: String { "\(inode) \(made)" }
}

/// A socket that a supervisor listens on for its workers.
package struct InheritedListener: Sendable {
    package let number: CInt
    package let address: String
    /// Which file it has, if it is a Unix socket.
    package let identity: SocketIdentity?

    package init(number: CInt, address: String, identity: SocketIdentity? = nil) {
        (self.number, self.address, self.identity) = (number, address, identity)
    }

    /// The listener that a message with `text` tells of.
    package init(number: CInt, text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        self.init(
            number: number,
            address: lines[0],
            identity: lines.count > 1 ? SocketIdentity(text: lines[1]) : nil
        )
    }

    /// What another process is told of it.
    package var text: String { "\(address)\n\(identity?.text ?? "")" }
}
