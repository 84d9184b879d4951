// Who may administer: on the Unix socket the host's own user and root, on TCP whoever has a key.
//
// A browser can be made to send requests to a host on this machine; so a request with an `Origin`,
// or with a `Host` that is a name and not an address, is refused whatever key it has.

import Bytes
import Digest
package import HTTP
import Platform

/// How somebody reached the admin listener.
package enum AdminPeer: Sendable {
    /// Over the Unix socket, as this user; nil: the kernel does not say.
    case local(user: UInt32?)
    /// Over TCP; a key is wanted.
    case remote
    /// On a listener for metrics alone.
    case metrics
}

/// Why somebody may not go on.
package struct AccessRefusal: Error {
    package let status: Status
    package let sentence: String
}

/// Decides who may.
package struct AdminAccess: Sendable {
    /// The file of keys, one a line; nil: nobody comes in over TCP.
    private let keyFile: String?

    static let keyBytesMinimum = 16
    private static let fileBytesMaximum = 1 << 16

    package init(keyFile: String?) { self.keyFile = keyFile }

    /// Who asks, as logs say it; throws why he may not.
    package func author(
        _ peer: AdminPeer,
        _ head: RequestHead,
        in text: Span<UInt8>
    ) throws(AccessRefusal) -> String {
        switch peer {
        case .local(let user):
            guard let user, user == CurrentProcess.user || user == 0 else {
                throw AccessRefusal(
                    status: .forbidden,
                    sentence: "found user \(user.map(String.init) ?? "unknown"); wanted the host's "
                        + "user \(CurrentProcess.user), or root"
                )
            }
            return "user \(user)"
        case .metrics: return "metrics"
        case .remote:
            try refuseBrowsers(head, in: text)
            return try keyHolder(head, in: text)
        }
    }

    private func refuseBrowsers(
        _ head: RequestHead,
        in text: Span<UInt8>
    ) throws(AccessRefusal) {
        if let origin = HeaderFields.values(of: "origin", in: text, head).first {
            throw AccessRefusal(
                status: .forbidden,
                sentence: "found the Origin '\(origin)': a page in a browser sent this; wanted a "
                    + "program of an admin"
            )
        }
        let host = HeaderFields.values(of: "host", in: text, head).first ?? ""
        guard Self.isAddress(host) else {
            throw AccessRefusal(
                status: .forbidden,
                sentence:
                    "found the Host '\(host)'; wanted an address or localhost: a foreign name "
                    + "may be a page's trick"
            )
        }
    }

    /// Whether a `Host` is `localhost` or an address, with or without a port.
    package static func isAddress(_ host: String) -> Bool {
        let isComplete = host.hasSuffix("]") || !host.contains(":")
        let withPort = isComplete ? "\(host):0" : host
        if SocketAddress(withPort) != nil { return !withPort.hasPrefix("unix:") }
        let colon = withPort.lastIndex(of: ":") ?? withPort.endIndex
        let isPort = UInt16(withPort[colon...].dropFirst()) != nil
        return isPort && withPort[..<colon].lowercased() == "localhost"
    }

    // MARK: Keys

    private func keyHolder(
        _ head: RequestHead,
        in text: Span<UInt8>
    ) throws(AccessRefusal) -> String {
        let given = HeaderFields.values(of: "authorization", in: text, head)
        guard given.count == 1, let key = Self.key(in: given[0]) else {
            throw AccessRefusal(
                status: .unauthorized,
                sentence: "found \(given.isEmpty ? "no" : "an unusable") Authorization; wanted "
                    + "'Authorization: Bearer KEY' with a key of --admin-key-file"
            )
        }
        let hash = Self.digest(key)
        var isKnown = false
        // Every key is looked at to its end: how long this takes tells nothing of how much fits.
        for known in try keys() where Self.isEqual(Self.digest(known), hash) { isKnown = true }
        guard isKnown else {
            throw AccessRefusal(
                status: .unauthorized,
                sentence: "found a key that is not in --admin-key-file; wanted one that is"
            )
        }
        return "key \(Hex.text(hash).prefix(8))"
    }

    /// The key of an `Authorization`: `Bearer KEY`, `KEY`, or the user name of `Basic`.
    package static func key(in authorization: String) -> String? {
        let words = authorization.split(separator: " ", maxSplits: 1).map(String.init)
        guard words.count == 2 else { return words.first }
        switch words[0].lowercased() {
        case "bearer": return String(words[1].drop { $0 == " " })
        case "basic":
            guard let decoded = Base64.decode(words[1]) else { return nil }
            let user = String(decoding: decoded.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self)
            return user.isEmpty ? nil : user
        default: return nil
        }
    }

    /// The keys of the file, read anew each time: taking one out locks its holder out at once.
    private func keys() throws(AccessRefusal) -> [String] {
        do {
            return try Self.readKeys(keyFile ?? "")
        } catch {
            throw AccessRefusal(status: .unauthorized, sentence: "no key counts: \(error)")
        }
    }

    /// Reads a file of keys, or says what is wrong with it.
    package static func readKeys(_ path: String) throws -> [String] {
        let facts = try File.facts(path)
        let isOurs = facts.owner == CurrentProcess.user || facts.owner == 0
        guard facts.kind == .regular, isOurs, facts.mode & 0o077 == 0 else {
            throw KeyFileError(
                "\(path): found \(facts.kind.rawValue) of user \(facts.owner) with mode "
                    + "\(String(facts.mode, radix: 8)); wanted a file of this user or root that "
                    + "nobody else can read: chmod 600 it"
            )
        }
        let text = String(decoding: try File.read(path, limit: fileBytesMaximum), as: UTF8.self)
        let keys = text.split(whereSeparator: \.isNewline).map(String.init)
            .filter { !$0.hasPrefix("#") && !$0.allSatisfy { $0 == " " } }
        guard !keys.isEmpty else {
            throw KeyFileError("\(path): found no key; wanted one on each line")
        }
        for (index, key) in keys.enumerated() {
            let isPrintable = key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3a }
            guard isPrintable, key.utf8.count >= keyBytesMinimum else {
                throw KeyFileError(
                    "\(path): found as key \(index + 1) one of \(key.utf8.count) bytes; wanted at "
                        + "least \(keyBytesMinimum) printable characters, no blanks or colons"
                )
            }
        }
        return keys
    }

    private static func digest(_ text: String) -> [UInt8] {
        var hash = SHA256()
        hash.update(text)
        let digest = hash.finish()
        return digest.indices.map { digest[$0] }
    }

    private static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        var difference: UInt8 = 0
        for index in a.indices { difference |= a[index] ^ b[index] }
        return difference == 0
    }
}

/// What is wrong with a file of keys.
package struct KeyFileError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Text that stands for bytes (RFC 4648, section 4).
enum Base64 {
    /// The bytes; nil when the text is none.
    static func decode(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        let body = text.utf8.prefix { $0 != UInt8(ascii: "=") }
        guard text.utf8.count % 4 == 0, text.utf8.count - body.count <= 2 else { return nil }
        for byte in body {
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
