// A small blocking HTTP client that shows what really came over the wire.

import Bytes
package import JSON
package import Platform

/// One answer.
package struct Answer: Sendable {
    package let status: Int
    /// Names in lower case, in order.
    package let fields: [(name: String, value: String)]
    package let body: [UInt8]

    /// The value of a field, by its name in lower case.
    package func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }
    /// The body as JSON; null when it is not JSON.
    package var json: JSONValue { (try? JSONValue(parsing: body)) ?? .null }
    /// The body as text.
    package var text: String { String(decoding: body, as: UTF8.self) }
}

/// What went wrong with a connection.
package struct ClientError: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// One connection to a server.
package final class Client {
    private let socket: FileDescriptor
    private var received: [UInt8] = []

    package init(_ address: SocketAddress) throws {
        socket = try Socket.connect(to: address)
        try Socket.setReceiveTimeout(socket, seconds: 20)
    }

    /// Sends bytes as they are.
    package func send(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            guard case .moved(let count) = Socket.send(bytes, from: done, to: socket) else {
                throw ClientError(description: "the server does not take bytes any more")
            }
            done += count
        }
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Sends one byte marked as urgent.
    package func sendUrgent(_ byte: UInt8) throws {
        guard case .moved = Socket.sendUrgent(byte, to: socket) else {
            throw ClientError(description: "the server does not take bytes any more")
        }
    }

    /// Says that nothing more will be sent.
    package func finishSending() { Socket.finishSending(socket) }

    /// Sends a request.
    package func request(
        _ method: String,
        _ path: String,
        fields: [String] = [],
        body: String = ""
    ) throws {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: test\r\n"
        for field in fields { text += "\(field)\r\n" }
        text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        try send(text)
    }

    /// Sends a request and reads its answer.
    package func call(
        _ method: String,
        _ path: String,
        fields: [String] = [],
        body: String = ""
    ) throws -> Answer {
        try request(method, path, fields: fields, body: body)
        return try answer(hasBody: method != "HEAD")
    }

    /// Reads one answer.
    package func answer(hasBody: Bool = true) throws -> Answer {
        while true {
            if let end = headEnd() {
                let (status, fields) = try head(end)
                let length = fields.first { $0.name == "content-length" }.flatMap { Int($0.value) }
                let count = hasBody && status != 100 ? length ?? 0 : 0
                while received.count < end + count {
                    guard try more() else {
                        throw ClientError(description: "the connection ended inside an answer")
                    }
                }
                let body = Array(received[end..<end + count])
                received.removeFirst(end + count)
                return Answer(status: status, fields: fields, body: body)
            }
            guard try more() else {
                throw ClientError(description: "the connection ended without an answer")
            }
        }
    }

    /// Everything until the server closes.
    package func rest() throws -> [UInt8] {
        while try more() {}
        defer { received = [] }
        return received
    }

    /// Whether the server has closed and nothing is left to read.
    package func isAtEnd() throws -> Bool {
        guard received.isEmpty else { return false }
        return try !more()
    }

    private func headEnd() -> Int? {
        guard received.count >= 4 else { return nil }
        for index in 3..<received.count
        where received[index] == 10 && received[index - 1] == 13 && received[index - 2] == 10 {
            return index + 1
        }
        return nil
    }

    private func head(_ end: Int) throws -> (Int, [(name: String, value: String)]) {
        let lines = String(decoding: received[..<end], as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, first.hasPrefix("HTTP/1.1 "),
            let status = Int(first.dropFirst(9).prefix(3))
        else { throw ClientError(description: "no status line: \(lines.first ?? "")") }
        let fields = lines.dropFirst().map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            let value = line[colon...].dropFirst().drop { $0 == " " }
            return (name: line[..<colon].lowercased(), value: String(value))
        }
        return (status, fields)
    }

    private func more() throws -> Bool {
        switch Socket.receive(from: socket, into: &received, maximum: 65536) {
        case .moved: return true
        case .endOfStream: return false
        case .wouldBlock: throw ClientError(description: "no answer within 20 s")
        case .failed(let number): throw ClientError(description: "connection error \(number)")
        }
    }
}
