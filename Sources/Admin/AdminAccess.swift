// Who may administer: on the Unix socket the host's own user and root, on TCP whoever has a key.
//
// A browser can be made to send requests to a host on this machine, or through a tunnel that ends
// at the Unix socket; so a request with an `Origin` or a `Sec-Fetch-Site`, or with a `Host` that is
// a foreign name, is refused whatever key it has.

import Bytes
import Digest
import Endpoints
package import HTTP
import Platform

/// How somebody reached the admin listener.
package enum AdminPeer: Sendable {
    /// Over the Unix socket, as this user; nil: the kernel does not say.
    case local(user: UInt32?)
    /// Over TCP, from this address; a key is wanted.
    case remote(address: String)
    /// On a listener for metrics alone, from this address.
    case metrics(address: String)

    /// Where it comes from, as the file of refusals says it.
    var place: String {
        switch self {
        case .local(let user): "user \(user.map(String.init) ?? "unknown")"
        case .remote(let address), .metrics(let address): address
        }
    }
}

/// Why somebody may not go on.
package struct AccessRefusal: Error {
    /// What kind of refusal it is, as the file of refusals counts them.
    package enum Kind: String, Sendable, CaseIterable {
        case user, browser, host, key, keyFile, rate
    }

    package let kind: Kind
    package let status: Status
    package let sentence: String
    /// What is not for a stranger: where the host's own files are wrong.
    package var detail: String?
    /// After how many seconds it is worth asking again; nil: whenever one likes.
    package var retrySeconds: Int?
}

/// Decides who may.
package struct AdminAccess: Sendable {
    /// The file of keys, one a line; nil: nobody comes in over TCP.
    private let keyFile: String?
    /// What wrong keys have cost their addresses.
    private let buckets = Guarded(KeyBuckets())

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
                    kind: .user,
                    status: .forbidden,
                    sentence: "found user \(user.map(String.init) ?? "unknown"); wanted the host's "
                        + "user \(CurrentProcess.user), or root"
                )
            }
            // The socket may be the end of a tunnel, with a browser at its other end.
            try refuseBrowsers(head, in: text)
            try requireOwnHost(head, in: text) { $0.isEmpty || !$0.contains(".") }
            return "user \(user)\(Self.behind(head, in: text))"
        case .metrics:
            // Scrapers come by any name; only looking is possible here.
            try refuseBrowsers(head, in: text, allowing: "none")
            return "metrics"
        case .remote(let address):
            try refuseBrowsers(head, in: text)
            try requireOwnHost(head, in: text) { _ in false }
            return try keyHolder(head, in: text, from: address)
        }
    }

    /// Whoever a command on the host's own machine was typed by, behind `sudo`: ` for ann`.
    private static func behind(_ head: RequestHead, in text: Span<UInt8>) -> String {
        let names = HeaderFields.values(of: "x-switchyard-for", in: text, head)
        guard let name = names.first, names.count == 1, Names.isName(name) else { return "" }
        return " for \(name)"
    }

    /// Refuses what only a browser sends; `allowing` is a `Sec-Fetch-Site` that is let through.
    private func refuseBrowsers(
        _ head: RequestHead,
        in text: Span<UInt8>,
        allowing harmless: String? = nil
    ) throws(AccessRefusal) {
        for name in ["Origin", "Sec-Fetch-Site"] {
            let found = HeaderFields.values(of: name.lowercased(), in: text, head)
            guard let value = found.first(where: { name == "Origin" || $0 != harmless }) else {
                continue
            }
            throw AccessRefusal(
                kind: .browser,
                status: .forbidden,
                sentence: "found the \(name) '\(value)': a page in a browser sent this; wanted a "
                    + "program of an admin"
            )
        }
    }

    /// Refuses names that are not this host's: they may be a page's trick. The name is that of the
    /// target where it has one, as RFC 9112 wants it.
    private func requireOwnHost(
        _ head: RequestHead,
        in text: Span<UInt8>,
        orFits: (String) -> Bool
    ) throws(AccessRefusal) {
        let fields = HeaderFields.values(of: "host", in: text, head)
        let named = head.authority.map { [Bytes.string(text, $0)] } ?? []
        for host in named + (fields.isEmpty ? [""] : fields)
        where !Self.isAddress(host) && !orFits(host) {
            throw AccessRefusal(
                kind: .host,
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
        in text: Span<UInt8>,
        from address: String
    ) throws(AccessRefusal) -> String {
        let given = HeaderFields.values(of: "authorization", in: text, head)
        guard given.count == 1, let key = Self.key(in: given[0]) else {
            throw AccessRefusal(
                kind: .key,
                status: .unauthorized,
                sentence: "found \(given.isEmpty ? "no" : "an unusable") Authorization; wanted "
                    + "'Authorization: Bearer KEY' with a key of --admin-key-file"
            )
        }
        let hash = Self.digest(key)
        var isKnown = false
        // Every key is looked at to its end: how long this takes tells nothing of how much fits.
        var name: String?
        for known in try keys() where Self.isEqual(Self.digest(known.key), hash) {
            (isKnown, name) = (true, known.name)
        }
        if isKnown { return "key \(name ?? String(Hex.text(hash).prefix(8)))" }
        let wait = buckets.withLock { $0.take(address, at: MonotonicClock.now()) }
        guard wait == 0 else {
            throw AccessRefusal(
                kind: .rate,
                status: .tooManyRequests,
                sentence: "found wrong keys from \(address) again and again; wanted a right one, "
                    + "which is taken at any time; a wrong one is looked at again in \(wait) s",
                retrySeconds: wait
            )
        }
        throw AccessRefusal(
            kind: .key,
            status: .unauthorized,
            sentence: "found a key that is not in --admin-key-file; wanted one that is"
        )
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
    private func keys() throws(AccessRefusal) -> [Key] {
        do {
            return try Self.readKeys(keyFile ?? "")
        } catch {
            throw AccessRefusal(
                kind: .keyFile,
                status: .unauthorized,
                sentence: "no key counts at the moment: the host cannot use its --admin-key-file; "
                    + "its file of refusals says why",
                detail: "\(error)"
            )
        }
    }

    /// A key, and the name that the audit log has for it, if the file gives one.
    package struct Key: Sendable {
        package let name: String?
        package let key: String

        /// A line of the file: the key, or `NAME: KEY`.
        init(_ line: String) {
            let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, Names.isName(parts[0]) else {
                (name, key) = (nil, line)
                return
            }
            (name, key) = (parts[0], String(parts[1].drop { $0 == " " }))
        }
    }

    /// Reads a file of keys, or says what is wrong with it.
    package static func readKeys(_ path: String) throws -> [Key] {
        let facts = try File.facts(path)
        let isOurs = facts.owner == CurrentProcess.user || facts.owner == 0
        // Orchestrators deliver secrets as root's files that the host's group may read.
        let others: UInt32 = facts.owner == 0 ? 0o037 : 0o077
        guard facts.kind == .regular, isOurs, facts.mode & others == 0 else {
            throw KeyFileError(
                "\(path): found \(facts.kind.rawValue) of user \(facts.owner) with mode "
                    + "\(String(facts.mode, radix: 8)); wanted a file of this user or root that "
                    + "nobody else can read: chmod 600 it, or 440 as root's"
            )
        }
        let text = String(decoding: try File.read(path, limit: fileBytesMaximum), as: UTF8.self)
        let keys = text.split(whereSeparator: \.isNewline).map(String.init)
            .filter { !$0.hasPrefix("#") && !$0.allSatisfy { $0 == " " } }.map { Key($0) }
        guard !keys.isEmpty else {
            throw KeyFileError("\(path): found no key; wanted one on each line")
        }
        for (index, key) in keys.enumerated() {
            let isPrintable = key.key.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3a }
            guard isPrintable, key.key.utf8.count >= keyBytesMinimum else {
                throw KeyFileError(
                    "\(path): found as key \(index + 1) one of \(key.key.utf8.count) bytes; wanted "
                        + "at least \(keyBytesMinimum) printable characters, no blanks or colons; "
                        + "a name may stand before it: 'ann: KEY'"
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

/// What wrong keys cost the addresses that they come from: ten at once, then one every two seconds.
struct KeyBuckets {
    /// When each address has all of its tries again, on the monotonic clock.
    private var fullAt: [String: UInt64] = [:]

    /// How many addresses are known.
    var count: Int { fullAt.count }

    static let triesAtOnce: UInt64 = 10
    static let nanosecondsEach: UInt64 = 2_000_000_000
    static let addressesMaximum = 4096

    /// Takes a try of an address; the seconds until there is one, 0: it was taken.
    mutating func take(_ address: String, at now: UInt64) -> Int {
        if fullAt.count >= Self.addressesMaximum {
            fullAt = fullAt.filter { $0.value > now }
            // Nobody has all of them again: then whoever has most gives way.
            if fullAt.count >= Self.addressesMaximum, fullAt[address] == nil,
                let next = fullAt.min(by: { $0.value < $1.value })
            {
                fullAt[next.key] = nil
            }
        }
        let full = max(fullAt[address] ?? 0, now) + Self.nanosecondsEach
        let ahead = full - now
        let allowed = Self.triesAtOnce * Self.nanosecondsEach
        guard ahead <= allowed else { return Int((ahead - allowed) / 1_000_000_000) + 1 }
        fullAt[address] = full
        return 0
    }
}
