import Admin
import Bytes
import JSON
import Platform

/// Asks a running host, one request a connection.
struct HostClient {
    /// Where the host listens.
    let address: SocketAddress
    /// What to do when nobody answers there.
    private let advice: String
    /// Fields of every request, each without its end.
    private var fields: [String] = []
    private let seconds: Int

    private static let answerBytesMaximum = 1 << 30

    /// An answer.
    struct Answer {
        let status: Int
        let body: [UInt8]
        /// The body as JSON; null when it is not JSON.
        var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
    }

    /// What cannot be an answer of a host.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The option that says where the host is.
    static let option = Option(
        "host",
        value: "ADDRESS",
        variable: "SWITCHYARD_HOST",
        "where the host listens (default: 127.0.0.1:8080)"
    )

    /// The options that say where admins reach the host.
    static let adminOptions = [
        Option(
            "admin",
            value: "ADDRESS",
            variable: "SWITCHYARD_ADMIN",
            "where the host listens for admins (default: unix:STATE/admin.sock)"
        ),
        Option(
            "key-file",
            value: "FILE",
            variable: "SWITCHYARD_KEY_FILE",
            "file whose first line is the key, for an address over TCP"
        ),
    ]

    /// Where clients are answered.
    init(_ arguments: Arguments) throws(UsageError) {
        address = try arguments.addresses("host").last ?? .ipv4(0x7f00_0001, port: 8080)
        advice =
            "is a host running there? start one with 'switchyard serve', or name its address with "
            + "--host"
        seconds = 120
    }

    /// Where admins are answered. A reload may load many models, so its answer may take long.
    init(admin arguments: Arguments) throws {
        let state = arguments.value("state") ?? "state"
        let own = AdminConfiguration(state: state).socket
        address = try arguments.addresses("admin").last ?? .unix(own)
        advice =
            "does a host run with this --state? start one with 'switchyard serve', or name where "
            + "it is with --state or --admin"
        seconds = 3600
        if let name = CommandAuthor.sudoUser { fields.append("X-Switchyard-For: \(name)") }
        if let path = arguments.value("key-file") {
            let text = String(decoding: try File.read(path, limit: 1 << 16), as: UTF8.self)
            let line = text.split(whereSeparator: \.isNewline).first { !$0.hasPrefix("#") } ?? ""
            // The host's own file may give a name before the key.
            let key = String(line.split(separator: ":").last ?? "").drop { $0 == " " }
            guard key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), !key.isEmpty else {
                throw Failure(
                    description: "\(path): found no key in the first line; wanted printable "
                        + "characters without blanks"
                )
            }
            fields.append("Authorization: Bearer \(key)")
        }
    }

    /// Whether somebody listens there.
    var isReachable: Bool { (try? Socket.connect(to: address)) != nil }

    /// Sends `{"data": …}` to a path; `force` names the split that shall answer.
    func predict(_ path: String, data: String, force: String? = nil) throws -> Answer {
        try call(
            "POST",
            "/v1/\(path)",
            body: "{\"data\":\(data)}",
            fields: force.map { ["X-Switchyard-Force-Backend: \($0)"] } ?? []
        )
    }

    /// Sends a request and reads its answer.
    func call(
        _ method: String,
        _ path: String,
        body: String = "",
        fields further: [String] = []
    ) throws -> Answer {
        var host = "switchyard"
        if case .unix = address {} else { host = "\(address)" }
        var text = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
        for field in fields + further { text += "\(field)\r\n" }
        text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        let received = try exchange(Array(text.utf8))
        guard let end = headEnd(received),
            received.starts(with: Array("HTTP/1.1 ".utf8)),
            let status = Bytes.decimal(received[9..<12])
        else { throw Failure(description: "\(address): the answer is not HTTP; is it a host?") }
        return Answer(status: Int(status), body: Array(received[end...]))
    }

    private func connect() throws -> FileDescriptor {
        do {
            return try Socket.connect(to: address)
        } catch {
            throw Failure(description: "\(error); \(advice)")
        }
    }

    private func exchange(_ request: [UInt8]) throws -> [UInt8] {
        let socket = try connect()
        try Socket.setReceiveTimeout(socket, seconds: seconds)
        var sent = 0
        while sent < request.count {
            guard case .moved(let count) = Socket.send(request, from: sent, to: socket) else {
                break
            }
            sent += count
        }
        var received: [UInt8] = []
        while received.count < Self.answerBytesMaximum {
            switch Socket.receive(from: socket, into: &received, maximum: 1 << 16) {
            case .moved: continue
            case .endOfStream: return received
            case .wouldBlock:
                throw Failure(description: "\(address): no answer in \(seconds) s")
            case .failed(let number):
                throw SystemError(call: "recv", subject: "\(address)", number: number)
            }
        }
        return received
    }

    /// Where the body begins.
    private func headEnd(_ bytes: [UInt8]) -> Int? {
        let separator = Array("\r\n\r\n".utf8)
        guard bytes.count >= separator.count else { return nil }
        for start in 0...bytes.count - separator.count
        where bytes[start..<start + separator.count].elementsEqual(separator) {
            return start + separator.count
        }
        return nil
    }
}
