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
    let exchange: Exchange
    /// The request's rows and where their results go.
    let predictor: Predictor
    /// The body: the connection's memory is not the pools' to read.
    let content: [UInt8]
    /// What each part of the request waits for.
    private(set) var jobs: [PoolJob] = []
    private(set) var partsLeft = 0
    /// The first thing that went wrong.
    private(set) var failure: Failure?
    /// Who is told once it is complete.
    weak var connection: Connection?

    init(ticket: UInt64, _ exchange: Exchange, _ predictor: Predictor, content: [UInt8]) {
        self.ticket = ticket
        self.exchange = exchange
        self.predictor = predictor
        self.content = content
    }

    /// When the client is told that it took too long, on the monotonic clock.
    var deadline: UInt64 { jobs.reduce(predictor.deadline) { min($0, $1.deadline) } }

    /// Gives the parts to their models' pools; throws where one has no place, and then none works.
    func submit(to home: Mailbox<ServingLoop>, at now: UInt64) throws(Failure) {
        var requestID: [UInt8] = []
        requestID.append(predictor.requestID)
        for (index, part) in predictor.parts.enumerated() {
            let job = PoolJob(
                home: home,
                ticket: ticket,
                part: index,
                content: content,
                requestID: requestID,
                values: part.values,
                rows: part.inputs,
                deadline: part.deadline,
                enqueuedAt: now
            )
            var isTaken = false
            do {
                isTaken = try part.model.pool.submit(job)
            } catch {
                cancel()
                throw Failure(.queueFull, "no thread can be started for the model: \(error)")
            }
            guard isTaken else {
                cancel()
                let version = part.model.version
                throw Failure(
                    .queueFull,
                    "\(version.execution.queue) requests wait for \(version.deployment) version "
                        + "\(version.number) already; send this one again later"
                )
            }
            jobs.append(job)
            partsLeft += 1
        }
    }

    /// Takes what came of one part; true: nothing is left to wait for.
    func take(_ result: PoolResult, part: Int) -> Bool {
        let content = content
        do throws(Failure) {
            try predictor.take(result, part: part, content.span)
        } catch {
            fail(error)
            return true
        }
        partsLeft -= 1
        return partsLeft == 0
    }

    /// Ends it with a failure: nobody waits for what is still at work.
    func fail(_ failure: Failure) {
        self.failure = failure
        cancel()
    }

    /// Gives up: what waits leaves its place, what is computed is told so.
    func cancel() {
        for (index, job) in jobs.enumerated() {
            job.cancellation.cancel()
            predictor.parts[index].model.pool.remove(job)
        }
    }
}
