// A live version and the place where its calls run: on the loop that has the request, or, once it
// has been slow, on the threads of its pool.
//
// A busy machine does not make a model slow: of a call that took over a millisecond, the kernel is
// asked how long its thread had been ready without a processor since the last such question, and
// only what is left counts. What had gone before may hide one slow call, but not the next one. And
// one slow call is none: it may have been the first, or the machine's own pause. The second within
// ten seconds moves the model.

package import Deployments
import Endpoints
import JSON
package import Logging
package import Platform
import PluginHost
import Synchronization

extension [ServedModel] {
    /// Each of them once, in the order of their first place.
    package var distinct: [ServedModel] {
        var seen: Set<ObjectIdentifier> = []
        return filter { seen.insert(ObjectIdentifier($0)).inserted }
    }
}

/// A model, ready to be asked.
package final class ServedModel: Sendable {
    /// Where calls run.
    package enum Place: UInt8, Sendable { case loop, pool }

    package let version: LoadedVersion
    package let pool: ModelPool
    /// Where the process tells of its models, and the model's entry there; 0: it has none.
    let board: WorkerBoard?
    var boardEntry: UInt32 { version.boardEntry }
    /// Whether there is no model: its version says why.
    let isAbsent: Bool
    /// `main/pricing version 3`
    var name: String { "\(version.deployment) version \(version.number)" }
    private let place: Atomic<UInt8>
    /// When a call was slow last, on the monotonic clock.
    private let lastSlow = Atomic<UInt64>(0)
    /// Whether it was moved for calls that were slow, and not for an example.
    private let movedForCalls = Atomic<Bool>(false)
    private let staysInline: Bool
    private let log: EventLog
    /// What the model says of its own health.
    private let health = Guarded(HealthState())

    private struct HealthState {
        var ailment: String?
        /// Whether a thread beside those of requests asks the model: for its health, or examples.
        var isAsked = false
        var isWarmingUp = false
        var isRetired = false
    }

    /// A call that takes longer does not belong on a loop.
    package static let inlineNanoseconds: UInt64 = 1_000_000
    /// A first call that takes longer is not slow for being the first.
    private static let coldNanoseconds: UInt64 = 100_000_000
    /// How long a slow call is remembered.
    private static let memoryNanoseconds: UInt64 = 10_000_000_000
    /// Rows of a request that are asked on a loop at most.
    package static let inlineRows = 64

    /// A model for requests.
    ///
    /// - Parameters:
    ///   - version: what is asked.
    ///   - staysInline: whether the caller's thread is the only one there is.
    ///   - board: where the process tells of its models.
    ///   - log: where it says that it has moved.
    package init(
        _ version: LoadedVersion,
        staysInline: Bool = false,
        board: WorkerBoard? = nil,
        log: EventLog = EventLog { _ in }
    ) {
        self.version = version
        isAbsent = version.instance == nil
        self.staysInline = staysInline
        self.board = board
        self.log = log
        pool = ModelPool(version, board)
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

    /// Takes note of a call that took over a millisecond, at a moment; `delay` is of its thread.
    func noteSlow(_ nanoseconds: UInt64, at moment: UInt64, _ delay: RunDelay) {
        guard !staysInline else { return }
        let waited = delay.next()
        guard nanoseconds > Self.inlineNanoseconds + waited else { return }
        let last = lastSlow.exchange(moment, ordering: .relaxed)
        if last > 0, moment &- last < Self.memoryNanoseconds {
            movedForCalls.store(true, ordering: .relaxed)
            demote(after: nanoseconds - waited)
        }
    }

    /// Gives a model that was moved for slow calls another chance on the loops: a reload does.
    func forgetSlowCalls() {
        guard movedForCalls.exchange(false, ordering: .relaxed) else { return }
        lastSlow.store(0, ordering: .relaxed)
        place.store(Place.loop.rawValue, ordering: .relaxed)
    }

    /// From now on the pool is asked.
    private func demote(
        after nanoseconds: UInt64,
        _ what: String = "a call",
        _ whereabouts: String = " on an event loop"
    ) {
        let (moved, _) = place.compareExchange(
            expected: Place.loop.rawValue,
            desired: Place.pool.rawValue,
            ordering: .relaxed
        )
        guard moved else { return }
        let (log, version, threads) = (self.log, self.version, pool.threadsMaximum)
        // On a thread of its own: the log may be a pipe that nobody reads, and this is a loop.
        _ = try? Thread(name: "event") {
            log.write(
                .warning,
                "model.moved_to_pool",
                "\(what) of \(version.deployment) version \(version.number) took "
                    + "\(nanoseconds / 1000) µs\(whereabouts); from now on its calls run on "
                    + "\(threads) thread(s) of its own: say 'execution: {mode: pool}' in "
                    + "its deployment.yaml, or \"execution\": \"pool\" in describe()",
                [
                    "deployment": .text("\(version.deployment)"),
                    "version": .number(version.number),
                    "microseconds": .number(Int(clamping: nanoseconds / 1000)),
                ]
            )
        }
    }

    /// Why the model cannot answer, in its own words; nil while it can, as far as it was asked.
    package var ailment: String? {
        version.absence?.sentence ?? health.withLock { $0.ailment }
    }

    /// Asks the model how it is, on a thread of its own; whoever gives no answer in time is ill
    /// until the answer comes.
    func askHealth(nanoseconds: UInt64) {
        guard let instance = version.instance, instance.knowsItsHealth else { return }
        let mayAsk = health.withLock { state in
            guard !state.isAsked, !state.isRetired else { return false }
            state.isAsked = true
            return true
        }
        guard mayAsk else { return }
        do {
            let isInTime: Void? = try BoundedTask.run(name: "health", nanoseconds: nanoseconds) {
                let answer = self.noting(.checkingHealth) { instance.askHealth() }
                self.health.withLock { state in
                    state.isAsked = false
                    switch answer {
                    case .fine: state.ailment = nil
                    case .ill(let ailment): state.ailment = ailment
                    case .busy: break
                    }
                }
            }
            guard isInTime == nil else { return }
            health.withLock { state in
                guard state.isAsked else { return }
                state.ailment = "no answer to health() within \(nanoseconds / 1_000_000) ms"
            }
        } catch {
            // No thread to be had: nothing is known, and it is asked again.
            health.withLock { $0.isAsked = false }
        }
    }

    /// Ends the model, on a thread of its own: true: done; false: another function of its plugin
    /// has its turn; nil: there is no end within the time, and the thread is left behind.
    func destroy(nanoseconds: UInt64) -> Bool? {
        guard let instance = version.instance else { return true }
        do {
            return try BoundedTask.run(name: "destroy", nanoseconds: nanoseconds) {
                self.noting(.destroying) { instance.destroy() }
            }
        } catch {
            return noting(.destroying) { instance.destroy() }  // no thread to be had: then here
        }
    }

    /// Lets nobody ask it any more but requests; whether somebody still does.
    func isAskedAside() -> Bool {
        health.withLock { state in
            state.isRetired = true
            return state.isAsked || state.isWarmingUp
        }
    }

    /// Asks the model all its examples before it is ready, on a thread of its own; throws for one
    /// that fails, and when there is no end within the time. Then the thread is left behind.
    func warmUp(nanoseconds: UInt64) throws {
        if version.examples.isEmpty { return }
        health.withLock { $0.isWarmingUp = true }
        let result: Result<Void, TrialError>?
        do {
            result = try BoundedTask.run(name: "warm-up", nanoseconds: nanoseconds) {
                let result = self.noting(.warmingUp) {
                    Result { () throws(TrialError) in try self.askExamples() }
                }
                self.health.withLock { $0.isWarmingUp = false }
                return result
            }
        } catch {
            health.withLock { $0.isWarmingUp = false }
            throw error
        }
        guard let result else {
            throw TrialError(
                description: "examples that have no answer after \(nanoseconds / 1_000_000) ms"
            )
        }
        try result.get()
    }

    /// Runs the model's code for no request, with a note of it on the board.
    private func noting<R>(_ activity: WorkerBoard.Activity, _ body: () -> R) -> R {
        board.noting(activity, of: boardEntry, body)
    }

    /// Asks every example, and one that was a little slow again, since the first call of a model
    /// may be: whether its calls belong on a loop is known then.
    private func askExamples() throws(TrialError) {
        let delay = RunDelay()
        for example in version.examples {
            var took = try time(of: example, delay)
            if took > Self.inlineNanoseconds, took < Self.coldNanoseconds {
                took = try time(of: example, delay)
            }
            if took > Self.inlineNanoseconds { demote(after: took, "an example", "") }
        }
    }

    /// Nanoseconds that an example takes a thread that has a processor.
    private func time(of example: JSONValue, _ delay: RunDelay) throws(TrialError) -> UInt64 {
        _ = delay.next()
        let start = MonotonicClock.now()
        try PluginTrial.warmUp(version, with: example)
        let took = MonotonicClock.now() - start
        return took - min(took, delay.next())
    }
}
