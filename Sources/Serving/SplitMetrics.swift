// What is counted of answers, for `/metrics` and `status`.
//
// Each loop has counters of its own, which only it writes, with plain loads and stores that cannot
// be torn; whoever reads adds them up. So counting takes no lock and shares no line of the cache,
// and reading disturbs nobody. Errors are few, and all loops count them in one place.

package import Surfaces
import Synchronization

/// Which answers are counted together.
package struct SeriesKey: Hashable, Sendable {
    /// Empty for a deployment that is called by its own name.
    package var endpoint = ""
    /// Empty where no split was chosen, and for a deployment that is called by its own name.
    package var split = ""
    /// Empty for a static answer, as the two below it.
    package var branch = ""
    package var deployment = ""
    package var version = ""

    package init(endpoint: String = "", split: String = "") {
        self.endpoint = endpoint
        self.split = split
    }
}

/// Failures by their code.
package final class ErrorCounters: Sendable {
    private let counts: InlineArray<24, Atomic<UInt64>>

    package init() {
        precondition(FailureCode.allCases.count <= 24, "a place for each code")
        counts = InlineArray { _ in Atomic(0) }
    }

    func count(_ code: FailureCode) {
        counts[code.place].wrappingAdd(1, ordering: .relaxed)
    }

    /// How many failures there were of a code.
    package subscript(code: FailureCode) -> UInt64 {
        counts[code.place].load(ordering: .relaxed)
    }

    /// How many failures there were.
    package var total: UInt64 { FailureCode.allCases.reduce(0) { $0 + self[$1] } }
}

/// What one loop counts of one split.
final class LoopCounters: Sendable {
    private let buckets: InlineArray<20, Atomic<UInt64>>
    private let nanoseconds = Atomic<UInt64>(0)
    private let waiting = Atomic<Int>(0)
    private let last = Atomic<UInt64>(0)

    init() {
        buckets = InlineArray { _ in Atomic(0) }
    }

    /// Counts one answer, at some milliseconds since 1970. Called by the loop only.
    func count(nanoseconds duration: UInt64, at milliseconds: UInt64) {
        last.store(milliseconds, ordering: .relaxed)
        var place = 0
        while place < SplitMetrics.bounds.count, duration > SplitMetrics.bounds[place] {
            place += 1
        }
        let count = buckets[place].load(ordering: .relaxed)
        buckets[place].store(count &+ 1, ordering: .relaxed)
        let sum = nanoseconds.load(ordering: .relaxed)
        nanoseconds.store(sum &+ duration, ordering: .relaxed)
    }

    /// Counts requests that wait for a pool. Called by the loop only.
    func countWaiting(_ change: Int) {
        waiting.store(waiting.load(ordering: .relaxed) + change, ordering: .relaxed)
    }

    func add(to counts: inout SplitCounts) {
        for place in 0..<20 { counts.buckets[place] += buckets[place].load(ordering: .relaxed) }
        counts.nanoseconds += nanoseconds.load(ordering: .relaxed)
        counts.lastMilliseconds = max(counts.lastMilliseconds, last.load(ordering: .relaxed))
        counts.waiting += waiting.load(ordering: .relaxed)
    }
}

/// What was counted of one split at a moment.
package struct SplitCounts: Sendable {
    /// Answers by their time; the last bucket is for those beyond every bound.
    package var buckets = [UInt64](repeating: 0, count: 20)
    /// The time of all answers together.
    package var nanoseconds: UInt64 = 0
    /// Requests that wait for a pool, or that it computes.
    package var waiting = 0
    /// When the last answer was, in milliseconds since 1970; 0: there was none.
    package var lastMilliseconds: UInt64 = 0
    /// How many answers there were.
    package var requests: UInt64 { buckets.reduce(0, +) }
}

/// The counters of one split and version, or of one version that is called by its own name. They go
/// on from revision to revision, as long as what they count stays.
package final class SplitMetrics: Sendable {
    /// Upper bounds of the buckets, in nanoseconds.
    package static let bounds: InlineArray<19, UInt64> = [
        10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000,
        2_500_000_000, 5_000_000_000, 10_000_000_000,
    ]

    package let key: SeriesKey
    package let errors = ErrorCounters()
    private let loops: [LoopCounters]

    /// Counters for so many loops.
    package init(_ key: SeriesKey, loops: Int) {
        self.key = key
        self.loops = (0..<loops).map { _ in LoopCounters() }
    }

    /// The counters of one loop.
    func loop(_ index: Int) -> LoopCounters { loops[index] }

    /// What was counted so far.
    package var counts: SplitCounts {
        var counts = SplitCounts()
        for loop in loops { loop.add(to: &counts) }
        return counts
    }
}

/// Hands out counters: those that a series had, or new ones.
struct SeriesBook {
    private var known: [SeriesKey: SplitMetrics] = [:]
    private var used: [SeriesKey: SplitMetrics] = [:]
    private var errors: [String: ErrorCounters] = [:]
    private var usedErrors: [String: ErrorCounters] = [:]
    private let loops: Int

    init(loops: Int) {
        self.loops = loops
    }

    /// Begins the next state: what is not asked for until its end is forgotten.
    mutating func beginState() {
        (used, usedErrors) = ([:], [:])
    }

    mutating func endState() {
        (known, errors) = (used, usedErrors)
        beginState()
    }

    mutating func metrics(_ key: SeriesKey) -> SplitMetrics {
        let metrics = used[key] ?? known[key] ?? SplitMetrics(key, loops: loops)
        used[key] = metrics
        return metrics
    }

    /// Failures of an endpoint's requests that no split was chosen for.
    mutating func unassigned(_ endpoint: String) -> ErrorCounters {
        let counters = usedErrors[endpoint] ?? errors[endpoint] ?? ErrorCounters()
        usedErrors[endpoint] = counters
        return counters
    }
}
