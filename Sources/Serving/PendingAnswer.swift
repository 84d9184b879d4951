// A request whose answer waits for pools: everything that the loop has to put together once they
// are done. The loop keeps it under its ticket; the connection keeps the ticket's object.

import Bytes
import Deployments
import EventLoop
import Platform
import PluginHost
import Surfaces

/// What a loop keeps of a request that pools work on.
final class PendingAnswer {
    let ticket: UInt64
    var exchange: Exchange
    /// The request's rows and where their results go.
    let predictor: Predictor
    /// The revision that it is of, whatever is live by now.
    let revision: Int
    /// The body: the connection's memory is not the pools' to read.
    let content: [UInt8]
    /// What each part of the request waits for.
    private(set) var jobs: [PoolJob] = []
    /// The parts that have not come back.
    private var open: Set<Int> = []
    /// The first thing that went wrong.
    private(set) var failure: Failure?
    /// Who is told once it is complete.
    weak var connection: Connection?

    init(
        ticket: UInt64,
        _ exchange: Exchange,
        _ predictor: Predictor,
        revision: Int,
        content: [UInt8]
    ) {
        self.ticket = ticket
        self.revision = revision
        self.exchange = exchange
        self.predictor = predictor
        self.content = content
        let isLarge = content.count > SlotRegion.inputCapacity
        // A pool that asks for several rows together has a copy of its own.
        heapBytes = isLarge ? 2 * content.capacity + predictor.heapBytes : 0
    }

    /// Bytes that it holds on the heap, of a request that is larger than a slot.
    let heapBytes: Int

    /// When something of it takes too long, on the monotonic clock.
    var deadline: UInt64 { open.reduce(predictor.deadline) { min($0, jobs[$1].deadline) } }
    /// What counts the requests that wait, for each part that was given to a pool.
    private var counters: [LoopCounters] = []

    /// Gives the parts that no pool has yet to their models' pools; throws where one has no place,
    /// and then none works.
    func submit(
        to home: Mailbox<ServingLoop>,
        loop: Int,
        at now: UInt64
    ) throws(Failure) {
        let requestID = predictor.requestID.bytes
        // Rows that were made from tensors have a text of their own.
        let content = predictor.isTranscoded ? predictor.tensors.rows : self.content
        for index in jobs.count..<predictor.parts.count {
            let part = predictor.parts[index]
            let job = PoolJob(
                number: exchange.number,
                isSuspect: exchange.isMarked,
                goesOn: predictor.mayFallBack,
                home: home,
                ticket: ticket,
                part: index,
                depth: predictor.limits.depth,
                content: content,
                requestID: requestID,
                values: part.values,
                rows: part.inputs,
                tensors: part.tensors,
                deadline: part.deadline,
                enqueuedAt: now
            )
            var isTaken = false
            do {
                isTaken = try part.model.pool.submit(job)
            } catch {
                giveUp(part, at: now)
                throw Failure(.queueFull, "no thread can be started for the model: \(error)")
            }
            guard isTaken else {
                giveUp(part, at: now)
                let version = part.model.version
                throw Failure(
                    .queueFull,
                    "\(version.execution.queue) requests wait for \(version.deployment) version "
                        + "\(version.number) already; send this one again later"
                )
            }
            jobs.append(job)
            open.insert(index)
            predictor.noteSubmitted(index)
            let counter = predictor.usedSplits[part.split].metrics.loop(loop)
            counter.countWaiting(1)
            counters.append(counter)
        }
    }

    /// Takes it off the counts of requests that wait.
    func stopCounting() {
        for counter in counters { counter.countWaiting(-1) }
        counters = []
    }

    /// Ends it for want of a place for one part, which the failure is then of.
    private func giveUp(_ part: PoolPart, at now: UInt64) {
        cancel(at: now)
        stopCounting()
        predictor.resume(part)
    }

    /// Takes what came of one part.
    func take(_ result: PoolResult, part: Int) {
        // It may have been given up for its time.
        guard open.remove(part) != nil else { return }
        let content = content
        do throws(Failure) {
            try predictor.take(result, part: part, content.span)
        } catch {
            failure = error
            cancel(at: MonotonicClock.now())
            open = []
        }
    }

    /// Whether nothing is left to wait for.
    var isComplete: Bool { open.isEmpty && jobs.count == predictor.parts.count }

    /// Gives up on the parts whose time is over; their endpoint's fallback may answer instead.
    func expire(_ failure: Failure, at now: UInt64) {
        let content = content
        for part in open.sorted() where jobs[part].deadline <= now {
            cancel(part, at: now)
            open.remove(part)
            do throws(Failure) {
                try predictor.expire(part: part, failure, content.span)
            } catch {
                return fail(error, at: now)
            }
        }
    }

    /// Ends it with a failure: nobody waits for what is still at work.
    func fail(_ failure: Failure, at now: UInt64) {
        self.failure = failure
        cancel(at: now)
        if let first = open.min() { predictor.resume(predictor.parts[first]) }
        open = []
    }

    /// Gives up: what waits leaves its place, what is computed is told so.
    func cancel(at now: UInt64) {
        for index in open { cancel(index, at: now) }
    }

    private func cancel(_ index: Int, at now: UInt64) {
        let (job, part) = (jobs[index], predictor.parts[index])
        job.cancellation.cancel()
        if part.model.pool.remove(job) {
            predictor.noteWaiting(part, nanoseconds: now - min(now, job.enqueuedAt))
        }
    }
}
