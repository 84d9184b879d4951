// Events that others can cause as often as they like: one line a minute for each kind.

package import Logging
import Platform

/// Writes the first of a kind at once, and of those behind it one a minute, with their number.
package final class RareEvents: Sendable {
    private struct Past {
        var writtenAt: UInt64
        var left = 0
    }

    private let log: EventLog
    private let past = Guarded<[String: Past]>([:])
    private static let pauseNanoseconds: UInt64 = 60_000_000_000

    package init(_ log: EventLog) { self.log = log }

    /// Notes one of a kind, as a warning; `event` is a constant name, `kind` one of few words.
    package func note(
        _ event: String,
        kind: String,
        _ message: @autoclosure () -> String,
        at now: UInt64 = MonotonicClock.now()
    ) {
        let left: Int? = past.withLock { past in
            if var known = past[kind], now < known.writtenAt + Self.pauseNanoseconds {
                known.left += 1
                past[kind] = known
                return nil
            }
            let left = past[kind]?.left ?? 0
            past[kind] = Past(writtenAt: now)
            return left
        }
        guard let left else { return }
        let others = left == 0 ? "" : "; and \(left) more since the last such line"
        log.write(
            .warning,
            event,
            message() + others,
            ["kind": .text(kind), "others": .number(left)]
        )
    }
}
