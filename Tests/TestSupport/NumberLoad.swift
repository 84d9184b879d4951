// Load that can tell a lost, doubled or mixed-up answer: every request carries a number of its own,
// which the model answers; some are sent in pieces, some together, some are read slowly.

package import Platform

/// Sends numbers over keep-alive connections until it is told to stop.
package final class NumberLoad: Sendable {
    private struct Tally {
        var answered = 0
        var wrong: [String] = []
        var ids: [String] = []
        var running = 0
    }

    private let tally = Guarded(Tally())
    private let isStopped = Guarded<Bool>(false)
    private let path: String
    private let prefix: String
    private let pauseNanoseconds: UInt64

    /// - Parameters:
    ///   - path: what is asked: an endpoint whose model answers the input `number`.
    ///   - prefix: what request ids begin with.
    ///   - pause: nanoseconds that each thread waits between two rounds.
    package init(path: String, prefix: String = "n", pause: UInt64 = 0) {
        self.path = path
        self.prefix = prefix
        pauseNanoseconds = pause
    }

    /// Begins.
    package func start(_ address: SocketAddress, threads: Int = 8, connections: Int = 8) throws {
        tally.withLock { $0.running = threads }
        for thread in 0..<threads {
            let load = self
            _ = try Thread(name: "load") {
                do {
                    try load.run(address, thread, connections)
                } catch {
                    load.tally.withLock { $0.wrong.append("thread \(thread): \(error)") }
                }
                load.tally.withLock { $0.running -= 1 }
            }
        }
    }

    /// How many requests were answered so far.
    package var count: Int { tally.withLock { $0.answered } }
    /// What was not as it should be.
    package var wrong: [String] { tally.withLock { $0.wrong } }
    /// The ids of all requests that were answered.
    package var ids: [String] { tally.withLock { $0.ids } }
    /// Ends it.
    package func stop() {
        isStopped.withLock { $0 = true }
        _ = eventually(seconds: 60) { tally.withLock { $0.running } == 0 }
    }

    private func run(_ address: SocketAddress, _ thread: Int, _ connections: Int) throws {
        let clients = try (0..<connections).map { _ in try Client(address) }
        var next = 0
        while !isStopped.withLock({ $0 }) {
            var asked: [(client: Client, numbers: [Int])] = []
            for (index, client) in clients.enumerated() {
                let count = index % 4 == 3 ? 4 : 1
                let numbers = Array(next..<next + count)
                next += count
                let text = numbers.map { request(thread, $0) }.joined()
                if index % 4 == 1 {
                    // In two pieces, with the others' requests in between.
                    try client.send(String(text.prefix(60)))
                    asked.append((client, numbers))
                } else {
                    try client.send(text)
                    asked.append((client, numbers))
                }
            }
            for (index, item) in asked.enumerated() where index % 4 == 1 {
                try item.client.send(String(request(thread, item.numbers[0]).dropFirst(60)))
            }
            for (index, item) in asked.enumerated() {
                // A slow reader: its answer waits while the others are read.
                if index == 2 { MonotonicClock.sleep(nanoseconds: 1_000_000) }
                for number in item.numbers { check(try item.client.answer(), thread, number) }
            }
            if pauseNanoseconds > 0 { MonotonicClock.sleep(nanoseconds: pauseNanoseconds) }
        }
    }

    private func id(_ thread: Int, _ number: Int) -> String { "\(prefix)-\(thread)-\(number)" }

    private func request(_ thread: Int, _ number: Int) -> String {
        let body = "{\"data\": {\"number\": \(thread * 10_000_000 + number)}}"
        return "POST \(path) HTTP/1.1\r\nHost: test\r\nX-Request-Id: \(id(thread, number))\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    private func check(_ answer: Answer, _ thread: Int, _ number: Int) {
        let wanted =
            "{\"data\":\(thread * 10_000_000 + number).0,\"requestId\":\"\(id(thread, number))\","
        let isRight = answer.status == 200 && answer.text.hasPrefix(wanted)
        tally.withLock { tally in
            tally.answered += 1
            tally.ids.append(id(thread, number))
            if !isRight {
                tally.wrong.append("\(id(thread, number)): \(answer.status) \(answer.text)")
            }
        }
    }
}
