// The threads of one model, and the requests that wait for them.
//
// The queue is bounded: what finds no place is told so at once. A thread that comes free takes what
// waits, as many rows as one `predict_batch` holds, and never waits for more to come. The threads
// give way to the loops, so that a slow model at full load leaves quick ones their speed.

import Deployments
import Endpoints
import Platform
import PluginHost
import Surfaces

/// What a pool does at a moment.
package struct PoolLoad: Equatable, Sendable {
    /// Requests that wait for a thread.
    package let waiting: Int
    /// Threads that ask the model.
    package let working: Int
    /// Threads that were started.
    package let threads: Int
    /// Requests that found no place in the queue.
    package let refused: UInt64
}

/// A model's pool. Its threads start with the first request.
package final class ModelPool: Sendable {
    private struct Queue {
        private var jobs: [PoolJob] = []
        /// Where the first job stands: what was taken before it is dropped now and then.
        private var first = 0
        /// Jobs that wait. Some of those in the list may have been given up.
        private(set) var count = 0
        /// Threads that have nothing to do.
        var idle = 0
        /// Threads that have not ended.
        var running = 0
        var isStarted = false
        var isStopped = false
        /// What each thread does, by its note.
        var atWork: [Int: (jobs: [PoolJob], since: UInt64)] = [:]
        /// Threads that were given up; they end when they come back.
        var lost: Set<Int> = []
        /// Jobs that found no place.
        var refused: UInt64 = 0

        mutating func append(_ job: PoolJob) {
            jobs.append(job)
            count += 1
        }

        /// Gives a job up, if it still waits; whether it did. What it holds goes with the next
        /// clearing, so that many who leave at once cost little each.
        mutating func remove(_ job: PoolJob) -> Bool {
            guard job.claim() else { return false }
            count -= 1
            if jobs.count - first > 2 * count + 32 {
                jobs = jobs[first...].filter { !$0.cancellation.isCancelled }
                first = 0
            }
            return true
        }

        mutating func removeAll() -> [PoolJob] {
            defer { (jobs, first, count) = ([], 0, 0) }
            return jobs[first...].filter { $0.claim() }
        }

        /// Takes the first job, and those behind it that fit into `rows` together with it.
        mutating func take(rows: Int) -> [PoolJob] {
            var taken: [PoolJob] = []
            var sum = 0
            while first < jobs.count {
                let job = jobs[first]
                let isFull =
                    sum + job.rows.count > rows || taken.count >= ThreadNote.requestsMaximum
                // Of several that are asked together nobody could say whose call ended the worker.
                if !taken.isEmpty, isFull || job.isSuspect || taken[0].isSuspect { break }
                first += 1
                guard job.claim() else { continue }
                sum += job.rows.count
                taken.append(job)
            }
            count -= taken.count
            if first == jobs.count || first > 64 && first * 2 > jobs.count {
                jobs.removeFirst(first)
                first = 0
            }
            idle -= 1
            return taken
        }
    }

    private let version: LoadedVersion
    private let board: WorkerBoard?
    private let queue = Guarded(Queue())

    /// Steps of nice(2) that the threads are behind the loops.
    package static let stepsBehindLoops = 10

    init(_ version: LoadedVersion, _ board: WorkerBoard? = nil) {
        self.version = version
        self.board = board
    }

    /// How many threads there are once it has started.
    package var threadsMaximum: Int { version.execution.threads }

    /// Puts a job behind those that wait; false: there is no place.
    func submit(_ job: PoolJob) throws(SystemError) -> Bool {
        let limit = version.execution.queue
        let threads = threadsMaximum
        let (isTaken, isFirst) = queue.withLock { queue in
            let isFirst = !queue.isStarted && !queue.isStopped
            if isFirst {
                queue.isStarted = true
                queue.running = threads
                queue.idle = threads
            }
            // Threads that are idle take theirs at once: those do not wait.
            let hasPlace = queue.count < limit + queue.idle && !queue.isStopped
            if hasPlace { queue.append(job) } else { queue.refused += 1 }
            return (hasPlace, isFirst)
        }
        if isFirst { try start(threads) }
        if isTaken { queue.notifyOne() }
        return isTaken
    }

    /// How much there is to do.
    package var load: PoolLoad {
        queue.withLock { queue in
            PoolLoad(
                waiting: queue.count,
                working: queue.running - queue.idle,
                threads: queue.running,
                refused: queue.refused
            )
        }
    }

    /// Takes a job out of the queue, if it still waits: its place is free at once. Whether it did.
    func remove(_ job: PoolJob) -> Bool {
        queue.withLock { $0.remove(job) }
    }

    /// Lets the threads end once they have done what they are doing; what waits is given up.
    func stop() {
        queue.withLock { queue in
            queue.isStopped = true
            _ = queue.removeAll()
        }
        queue.notify()
    }

    /// Whether every thread has ended.
    var hasEnded: Bool { queue.withLock { $0.running == 0 && $0.lost.isEmpty } }

    /// Starts the threads, or as many as can be started; throws when that is none.
    private func start(_ count: Int) throws(SystemError) {
        for index in 0..<count {
            do {
                _ = try Thread(name: version.deployment.name, stackBytes: 8 << 20) { self.work() }
            } catch {
                let left = queue.withLock { queue in
                    queue.running -= count - index
                    queue.idle -= count - index
                    guard index == 0 else { return [PoolJob]() }
                    queue.isStarted = false
                    return queue.removeAll()
                }
                guard index == 0 else { return }
                // Other loops may have put theirs there meanwhile.
                for job in left { job.refuse("no thread can be started for the model: \(error)") }
                throw error
            }
        }
    }

    private func work() {
        CurrentThread.giveWay(steps: Self.stepsBehindLoops)
        let note = board?.threadNote()
        let worker = PoolWorker(version, note)
        while true {
            let jobs = next(note?.index)
            guard !jobs.isEmpty else { break }
            let finished = worker.run(jobs)
            let isLost = queue.withLock { queue in
                note.map { queue.atWork[$0.index] = nil }
                if let note, queue.lost.remove(note.index) != nil { return true }
                queue.idle += 1
                return false
            }
            for (job, result) in finished { job.finish(result) }
            if isLost { return }
        }
        queue.withLock { $0.running -= 1 }
    }

    /// What came of giving a thread up.
    enum Replacement {
        case done
        /// It has come back meanwhile.
        case needless
        /// No other thread would help: the model is asked by one at a time, or all the others are
        /// stuck too.
        case useless
    }

    /// Gives a thread up that has the note with this number, if it is still in the call that began
    /// at a moment, and lets another one take its place; its requests are told the sentence.
    func replace(_ note: Int, inCallSince moment: UInt64, _ sentence: String) -> Replacement {
        guard version.description.threading == .concurrent else { return .useless }
        let (jobs, refusal): ([PoolJob], Replacement) = queue.withLock { queue in
            guard let work = queue.atWork[note], work.since <= moment else {
                return ([], .needless)
            }
            guard queue.lost.count + 1 < threadsMaximum else { return ([], .useless) }
            queue.lost.insert(note)
            return (work.jobs, .done)
        }
        guard case .done = refusal else { return refusal }
        do {
            _ = try Thread(name: version.deployment.name, stackBytes: 8 << 20) {
                self.queue.withLock { $0.idle += 1 }
                self.work()
            }
        } catch {
            queue.withLock { $0.running -= 1 }
        }
        for job in jobs {
            var result = PoolResult(queueNanoseconds: 0)
            result.failures = [(0, Failure(.deadlineExceeded, sentence))]
            job.finish(result)
        }
        return .done
    }

    /// What a thread does next, once there is something; nothing when it is to end.
    private func next(_ note: Int?) -> [PoolJob] {
        let rows = version.takesBatches ? version.execution.batch : 1
        return queue.wait { queue -> [PoolJob]? in
            if queue.isStopped { return [] }
            guard queue.count > 0 else { return nil }
            let jobs = queue.take(rows: rows)
            if let note { queue.atWork[note] = (jobs, MonotonicClock.now()) }
            return jobs
        }
    }
}
