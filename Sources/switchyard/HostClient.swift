import Bytes
import JSON
import Platform

/// Asks a running host, one request a connection.
struct HostClient {
    /// Where the host listens.
    let address: SocketAddress

    private static let answerBytesMaximum = 1 << 30
    private static let timeoutSeconds = 120

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

    init(_ arguments: Arguments) throws(UsageError) {
        let text = arguments.value("host") ?? "127.0.0.1:8080"
        guard let address = SocketAddress(text) else {
            throw UsageError("'--host \(text)': wanted 127.0.0.1:8080, [::1]:8080 or unix:/path")
        }
        self.address = address
    }

    /// Sends `{"data": …}` to a path; `force` names the split that shall answer.
    func predict(_ path: String, data: String, force: String? = nil) throws -> Answer {
        let body = "{\"data\":\(data)}"
        var text = "POST /v1/\(path) HTTP/1.1\r\nHost: switchyard\r\nConnection: close\r\n"
        if let force { text += "X-Switchyard-Force-Backend: \(force)\r\n" }
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
            throw Failure(
                description: "\(error); is a host running there? start one with "
                    + "'switchyard serve', or name its address with --host"
            )
        }
    }

    private func exchange(_ request: [UInt8]) throws -> [UInt8] {
        let socket = try connect()
        try Socket.setReceiveTimeout(socket, seconds: Self.timeoutSeconds)
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
                throw Failure(description: "\(address): no answer in \(Self.timeoutSeconds) s")
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
