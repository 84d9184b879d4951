// The text of `/metrics`, made beside the admin loop and shared by all who ask for it at about the
// same time: with thousands of endpoints it is megabytes, and nobody's scrape may keep an admin
// waiting.

import HTTP
import Platform

/// Makes the text at most once at a time.
final class MetricsPage: Sendable {
    private struct State {
        /// Those who wait for the text that is being made.
        var waiting: [AdminRouter.Completion] = []
        var isMaking = false
    }

    private let state = Guarded(State())

    /// Answers with the text that is being made, or makes one on a thread of its own.
    func ask(
        _ later: @escaping AdminRouter.Completion,
        _ make: @escaping @Sendable () -> [UInt8]
    ) -> AdminAnswer? {
        let isFirst = state.withLock { state in
            state.waiting.append(later)
            defer { state.isMaking = true }
            return !state.isMaking
        }
        guard isFirst else { return nil }
        do {
            _ = try Thread(name: "metrics", stackBytes: 8 << 20) { self.give(make()) }
        } catch {
            give(make())  // no thread to be had: then here
        }
        return nil
    }

    private func give(_ text: [UInt8]) {
        let waiting = state.withLock { state in
            let waiting = state.waiting
            state.waiting = []
            state.isMaking = false
            return waiting
        }
        for later in waiting { later(Self.answer(text)) }
    }

    private static func answer(_ text: [UInt8]) -> AdminAnswer {
        AdminAnswer(.ok, "text/plain; version=0.0.4; charset=utf-8", text)
    }
}
