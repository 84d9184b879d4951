// Load from several threads over keep-alive connections, with every answer noted.

package import Platform

/// One answered request.
package struct AnsweredRequest: Sendable {
    package let id: String
    package let subject: Int
    package let answer: Answer
}

/// Sends requests with distinct subjects until it is told to stop, or has sent its share.
package final class LoadClient: Sendable {
    private let answered = Guarded<[AnsweredRequest]>([])
    private let failures = Guarded<[String]>([])
    private let isStopped = Guarded<Bool>(false)
    private let running: Guarded<Int>
    private let connectionsPerThread: Int
    private let requestsPerThread: Int
    private let prefix: String

    /// - Parameters:
    ///   - requests: how many in all; nil: until `stop`.
    ///   - prefix: what request ids begin with.
    package init(
        threads: Int = 4,
        connectionsPerThread: Int = 16,
        requests: Int? = nil,
        prefix: String = "q"
    ) {
        running = Guarded(threads)
        self.connectionsPerThread = connectionsPerThread
        requestsPerThread = requests.map { ($0 + threads - 1) / threads } ?? Int.max
        self.prefix = prefix
    }

    /// Begins; a thread ends when its share is done, or its last connection has ended.
    package func start(_ address: SocketAddress) throws {
        for thread in 0..<running.withLock({ $0 }) {
            let client = self
            _ = try Thread(name: "load") {
                do {
                    try client.run(address, thread)
                } catch {
                    client.failures.withLock { $0.append("\(error)") }
                }
                client.running.withLock { $0 -= 1 }
            }
        }
    }

    /// Asks the threads to end, and waits for them; everything that was answered, in no order.
    package func stop() -> [AnsweredRequest] {
        isStopped.withLock { $0 = true }
        return finish()
    }

    /// Waits until all shares are done.
    package func finish() -> [AnsweredRequest] {
        _ = eventually(seconds: 600) { running.withLock { $0 } == 0 }
        return answered.withLock { $0 }
    }

    /// How many requests were answered so far.
    package var count: Int { answered.withLock { $0.count } }
    /// Why connections have ended early.
    package var errors: [String] { failures.withLock { $0 } }

    /// Goes on without a connection that has ended.
    private func lose(_ client: Client, _ clients: inout [Client], _ error: any Error) {
        clients.removeAll { $0 === client }
        failures.withLock { $0.append("\(error)") }
    }

    private func run(_ address: SocketAddress, _ thread: Int) throws {
        var clients = try (0..<connectionsPerThread).map { _ in try Client(address) }
        var sent = 0
        while sent < requestsPerThread, !clients.isEmpty, !isStopped.withLock({ $0 }) {
            var batch: [(Client, String, Int)] = []
            for client in clients where sent < requestsPerThread {
                let subject = thread * 1_000_000 + sent
                let id = "\(prefix)-\(thread)-\(sent)"
                sent += 1
                let body =
                    "{\"data\": {\"user_id\": \(subject), \"category\": \"shopping\", "
                    + "\"price\": 19.99, \"quantity\": 3}}"
                do {
                    try client.request(
                        "POST",
                        "/v1/pricing_optimizer",
                        fields: ["X-Request-Id: \(id)"],
                        body: body
                    )
                    batch.append((client, id, subject))
                } catch {
                    lose(client, &clients, error)
                }
            }
            for (client, id, subject) in batch {
                do {
                    let answer = try client.answer()
                    answered.withLock {
                        $0.append(AnsweredRequest(id: id, subject: subject, answer: answer))
                    }
                } catch {
                    lose(client, &clients, error)
                }
            }
        }
    }
}
