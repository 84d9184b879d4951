// Events on their way to standard error. Whoever reads there may stop reading: then events wait
// here, up to a bound, and no thread of the host waits for them.

import Platform

/// Writes lines to standard error, at once where that does not wait, else on a thread of its own.
package final class EventQueue: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        /// Lines that found no room since the last one that did.
        var dropped = 0
        var hasThread = false
        /// Whether the thread is in a call that may wait.
        var isWriting = false
    }

    /// The one of this process.
    package static let shared = EventQueue()

    private let state = Guarded(State())
    /// Bytes that wait at most.
    private let bytesMaximum: Int
    /// Writes as much as can be written without waiting; how many bytes that was.
    private let attempt: @Sendable (Span<UInt8>) -> Int
    /// Writes everything, however long that takes.
    private let write: @Sendable ([UInt8]) -> Void

    package init(
        bytesMaximum: Int = 1 << 20,
        attempt: @escaping @Sendable (Span<UInt8>) -> Int = { StandardStream.tryErrors($0) },
        write: @escaping @Sendable ([UInt8]) -> Void = { StandardStream.errors($0) }
    ) {
        self.bytesMaximum = bytesMaximum
        self.attempt = attempt
        self.write = write
    }

    /// Writes a line, its end included, or keeps it, or drops it where too much waits already.
    package func add(_ line: String) {
        let line = Array(line.utf8)
        let wantsThread = state.withLock { state in
            var rest = line[...]
            if state.waiting.isEmpty, !state.isWriting, state.dropped == 0 {
                rest = rest.dropFirst(attempt(line.span))
            }
            guard !rest.isEmpty else { return false }
            // The rest of a line that is begun always finds room.
            guard rest.count < line.count || state.waiting.count + line.count <= bytesMaximum else {
                state.dropped += 1
                return false
            }
            state.waiting += rest
            defer { state.hasThread = true }
            return !state.hasThread
        }
        state.notify()
        guard wantsThread else { return }
        do {
            _ = try Thread(name: "events", stackBytes: 128 << 10) { self.run() }
        } catch {
            // The next line tries again.
            state.withLock { $0.hasThread = false }
        }
    }

    /// Waits until everything is written, or the moment has come.
    package func flush(by moment: UInt64) {
        _ = state.wait(by: moment) { state in
            state.waiting.isEmpty && !state.isWriting && state.dropped == 0 || !state.hasThread
                ? true : nil
        }
    }

    private func run() {
        while true {
            let bytes: [UInt8] = state.wait { state in
                guard !state.waiting.isEmpty || state.dropped > 0 else { return nil }
                var bytes = state.waiting
                if state.dropped > 0 {
                    bytes += Array(Self.line(dropped: state.dropped).utf8)
                    state.dropped = 0
                }
                state.waiting = []
                state.isWriting = true
                return bytes
            }
            write(bytes)
            state.withLock { $0.isWriting = false }
            state.notify()
        }
    }

    private static func line(dropped count: Int) -> String {
        let line = Guarded("")
        EventLog(sink: { text in line.withLock { $0 = text } }).write(
            .warning,
            "events.dropped",
            "\(count) events were dropped: nobody read standard error, and more would not wait",
            ["count": .number(count)]
        )
        return line.withLock { $0 }
    }
}
