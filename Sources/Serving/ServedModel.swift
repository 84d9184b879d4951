// A live version and the place where its calls run: on the loop that has the request, or, once it
// has been slow, on the threads of its pool.
//
// How slowness is found without measuring every call exactly: a loop reads the clock behind a call
// anyway, for the record. Where more than a millisecond has gone by since its last reading, the
// calls that follow are watched: for each, the kernel is asked how long the thread was ready but
// had no processor, and only what is left counts. A busy machine does not make a model slow.

package import Deployments
import Endpoints
package import Logging
import Platform
import Synchronization

/// A model, ready to be asked.
package final class ServedModel: Sendable {
    /// Where calls run.
    package enum Place: UInt8, Sendable { case loop, pool }

    package let version: LoadedVersion
    package let pool: ModelPool
    private let place: Atomic<UInt8>
    private let watchedCalls = Atomic<Int>(0)
    private let staysInline: Bool
    private let log: EventLog

    /// A call that takes longer does not belong on a loop.
    package static let inlineNanoseconds: UInt64 = 1_000_000
    /// Rows of a request that are asked on a loop at most.
    package static let inlineRows = 64
    /// How many calls are watched behind one that seemed slow.
    private static let callsWatched = 100

    /// A model for requests.
    ///
    /// - Parameters:
    ///   - version: what is asked.
    ///   - staysInline: whether the caller's thread is the only one there is.
    ///   - log: where it says that it has moved.
    package init(
        _ version: LoadedVersion,
        staysInline: Bool = false,
        log: EventLog = EventLog { _ in }
    ) {
        self.version = version
        self.staysInline = staysInline
        self.log = log
        pool = ModelPool(version)
        let isInline = staysInline || version.execution.mode == .inline
        place = Atomic((isInline ? Place.loop : .pool).rawValue)
    }

    /// Where calls run at the moment.
    package var currentPlace: Place {
        Place(rawValue: place.load(ordering: .relaxed)) ?? .pool
    }

    /// Whether so many rows of one request are asked on the loop.
    func runsOnLoop(rows: Int) -> Bool {
        staysInline
            || rows <= Self.inlineRows && place.load(ordering: .relaxed) == Place.loop.rawValue
    }

    /// The beginning of a call that is watched.
    struct Watch {
        private let startedAt: UInt64
        private let delay: UInt64

        init() {
            delay = CurrentThread.delayNanoseconds
            startedAt = MonotonicClock.now()
        }

        /// Nanoseconds that the call took, without those in which the thread had no processor.
        func nanoseconds(until end: UInt64) -> UInt64 {
            let delayed = CurrentThread.delayNanoseconds - delay
            return end - startedAt - min(delayed, end - startedAt)
        }
    }

    /// Watches the call that is about to begin, if one before it seemed slow.
    func watchIfNeeded() -> Watch? {
        watchedCalls.load(ordering: .relaxed) > 0 ? Watch() : nil
    }

    /// Takes note of a call that was watched, or, without a watch, of one that seemed slow.
    func note(_ watch: Watch?, end: UInt64) {
        guard !staysInline else { return }
        guard let watch else {
            return watchedCalls.store(Self.callsWatched, ordering: .relaxed)
        }
        watchedCalls.wrappingSubtract(1, ordering: .relaxed)
        let took = watch.nanoseconds(until: end)
        if took > Self.inlineNanoseconds { demote(after: took) }
    }

    /// From now on the pool is asked.
    private func demote(after nanoseconds: UInt64) {
        let (moved, _) = place.compareExchange(
            expected: Place.loop.rawValue,
            desired: Place.pool.rawValue,
            ordering: .relaxed
        )
        guard moved else { return }
        log.write(
            .warning,
            "model.moved_to_pool",
            "a call of \(version.deployment) version \(version.number) took "
                + "\(nanoseconds / 1000) µs on an event loop; from now on its calls run on "
                + "\(pool.threadsMaximum) thread(s) of its own: say 'execution: {mode: pool}' in "
                + "its deployment.yaml, or \"execution\": \"pool\" in describe()",
            [
                "deployment": .text("\(version.deployment)"), "version": .number(version.number),
                "microseconds": .number(Int(clamping: nanoseconds / 1000)),
            ]
        )
    }

    /// Asks the model all its examples before it is ready; throws for one that fails. The second
    /// round tells whether its calls belong on a loop.
    func warmUp() throws(TrialError) {
        try PluginTrial.warmUp(version)
        guard currentPlace == .loop else { return }
        for example in version.examples {
            let watch = Watch()
            try PluginTrial.warmUp(version, with: example)
            note(watch, end: MonotonicClock.now())
        }
        watchedCalls.store(0, ordering: .relaxed)
    }
}
