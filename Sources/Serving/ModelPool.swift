// The threads of one model, and the requests that wait for them.
//
// The queue is bounded: what finds no place is told so at once. A thread that comes free takes what
// waits, as many rows as one `predict_batch` holds, and never waits for more to come. The threads
// give way to the loops, so that a slow model at full load leaves quick ones their speed.

import Deployments
import Platform
import PluginHost

/// A model's pool. Its threads start with the first request.
package final class ModelPool: Sendable {
    private struct Queue {
        var jobs: [PoolJob] = []
        /// Threads that have nothing to do.
        var idle = 0
        /// Threads that have not ended.
        var running = 0
        var isStarted = false
        var isStopped = false

        /// Takes the first job, and those behind it that fit into `rows` together with it.
        mutating func take(rows: Int) -> [PoolJob] {
            var count = 1
            var sum = jobs[0].rows.count
            while count < jobs.count, sum + jobs[count].rows.count <= rows {
                sum += jobs[count].rows.count
                count += 1
            }
            defer { jobs.removeFirst(count) }
            idle -= 1
            return Array(jobs.prefix(count))
        }
    }

    private let version: LoadedVersion
    private let queue = Guarded(Queue())

    /// Steps of nice(2) that the threads are behind the loops.
    private static let stepsBehindLoops = 10

    init(_ version: LoadedVersion) {
        self.version = version
    }

    /// How many threads there are once it has started.
    package var threadsMaximum: Int { version.execution.threads }

    /// Requests that wait.
    package var waiting: Int { queue.withLock { $0.jobs.count } }

    /// Puts a job behind those that wait; false: there is no place.
    func submit(_ job: PoolJob) throws(SystemError) -> Bool {
        let isFirst = queue.withLock { queue in
            defer { queue.isStarted = true }
            return !queue.isStarted
        }
        if isFirst { try start() }
        let limit = version.execution.queue
        let isTaken = queue.withLock { queue in
            // Threads that are idle take theirs at once: those do not wait.
            guard queue.jobs.count < limit + queue.idle, !queue.isStopped else { return false }
            queue.jobs.append(job)
            return true
        }
        if isTaken { queue.notifyOne() }
        return isTaken
    }

    /// Takes a job out of the queue, if it still waits: its place is free at once.
    func remove(_ job: PoolJob) {
        queue.withLock { queue in queue.jobs.removeAll { $0 === job } }
    }

    /// Lets the threads end once they have done what they are doing; what waits is given up.
    func stop() {
        queue.withLock { queue in
            queue.isStopped = true
            queue.jobs = []
        }
        queue.notify()
    }

    /// Whether every thread has ended.
    var hasEnded: Bool { queue.withLock { $0.running == 0 } }

    private func start() throws(SystemError) {
        let count = threadsMaximum
        queue.withLock { queue in
            queue.running = count
            queue.idle = count
        }
        for index in 0..<count {
            do {
                _ = try Thread(name: version.deployment.name, stackBytes: 8 << 20) {
                    CurrentThread.giveWay(steps: Self.stepsBehindLoops)
                    let worker = PoolWorker(self.version)
                    while true {
                        let jobs = self.next()
                        guard !jobs.isEmpty else { break }
                        worker.run(jobs)
                        self.queue.withLock { $0.idle += 1 }
                    }
                    self.queue.withLock { $0.running -= 1 }
                }
            } catch {
                queue.withLock { queue in
                    queue.running -= count - index
                    queue.idle -= count - index
                }
                if index == 0 {
                    queue.withLock { $0.isStarted = false }
                    throw error
                }
                return
            }
        }
    }

    /// What a thread does next, once there is something; nothing when it is to end.
    private func next() -> [PoolJob] {
        let rows = version.instance.takesBatches ? version.execution.batch : 1
        return queue.wait { queue -> [PoolJob]? in
            if queue.isStopped { return [] }
            return queue.jobs.isEmpty ? nil : queue.take(rows: rows)
        }
    }
}
