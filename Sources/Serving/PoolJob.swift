// What goes through a pool: the rows of one request for one model, and what they came to.

import Bytes
import Deployments
import Endpoints
import EventLoop
import JSON
import Platform
import PluginHost
import Surfaces
import Synchronization

/// Rows of one request for one model. Nothing in it changes but its cancellation, so it may be on
/// the loop and on the pool's thread at once.
final class PoolJob: Sendable {
    /// Which request it is of.
    let number: RequestNumber?
    /// Whether a worker died while the request was executed: it is asked alone.
    let isSuspect: Bool
    /// Whether rows behind one that fails are of use.
    let goesOn: Bool
    /// The loop that waits for it, and under which number.
    let home: Mailbox<ServingLoop>
    let ticket: UInt64
    /// Which of the request's parts it is.
    let part: Int
    /// How deep lists and objects may be nested in a result, as on a loop.
    let depth: Int
    /// The request's body.
    let content: [UInt8]
    let requestID: [UInt8]
    /// The inputs of all rows, as places in `content`.
    let values: [JSONReference]
    /// Where those of each row stand in `values`.
    let rows: [Range<Int>]
    /// The tensors that it is, instead of rows.
    let tensors: TensorInputs?
    /// Monotonic nanoseconds.
    let deadline: UInt64
    let enqueuedAt: UInt64
    let cancellation = Cancellation()
    private let isWaiting = Atomic<Bool>(true)

    init(
        number: RequestNumber?,
        isSuspect: Bool,
        goesOn: Bool,
        home: Mailbox<ServingLoop>,
        ticket: UInt64,
        part: Int,
        depth: Int,
        content: [UInt8],
        requestID: [UInt8],
        values: [JSONReference],
        rows: [Range<Int>],
        tensors: TensorInputs? = nil,
        deadline: UInt64,
        enqueuedAt: UInt64
    ) {
        self.number = number
        self.isSuspect = isSuspect
        self.goesOn = goesOn
        self.home = home
        self.ticket = ticket
        self.part = part
        self.depth = depth
        self.content = content
        self.requestID = requestID
        self.values = values
        self.rows = rows
        self.tensors = tensors
        self.deadline = deadline
        self.enqueuedAt = enqueuedAt
    }

    /// Hands the results to the loop that waits for them.
    func finish(_ result: PoolResult) {
        let (ticket, part) = (self.ticket, self.part)
        home.post { $0.take(result, ticket: ticket, part: part) }
    }
}

extension PoolJob {
    /// Takes the job out of its queue, for a thread or since nobody waits: true for the first who
    /// does.
    func claim() -> Bool { isWaiting.exchange(false, ordering: .relaxed) }

    /// Tells the loop that nothing was asked.
    func refuse(_ sentence: String) {
        var result = PoolResult(queueNanoseconds: 0)
        result.failures = [(0, Failure(.queueFull, sentence))]
        finish(result)
    }
}

/// What the rows of a job came to.
struct PoolResult: Sendable {
    /// The results of the rows, one behind the other.
    var outputs: [UInt8] = []
    /// Where each stands in `outputs`.
    var rows: [Range<Int>] = []
    /// What a model has written that takes tensors as they are.
    var tensors: TensorAnswer?
    /// The rows that failed, and why. Rows behind the last result have failed as the last one.
    var failures: [(row: Int, failure: Failure)] = []
    /// Why a row has no result; nil: it has one.
    func failure(of row: Int) -> Failure? {
        if failures.isEmpty { return nil }
        return failures.first { $0.row == row }?.failure
            ?? (row < rows.count ? nil : failures.last?.failure)
    }
    var queueNanoseconds: UInt64
    /// Rows that were asked together.
    var batchRows = 1
}

/// Asks one model on one thread of its pool.
final class PoolWorker {
    private let version: LoadedVersion
    /// What its thread says of itself while the model is asked.
    private let note: ThreadNote?
    private var frames: [CallFrame] = []
    private lazy var tensorFrame = TensorFrame()
    private var finished: [(job: PoolJob, result: PoolResult)] = []
    private var check = ResultCheck()
    // What a batch is made of: the bodies and ids of its requests, and its rows.
    private var text: [UInt8] = []
    private var values: [JSONReference] = []
    private var rows: [BatchRow] = []

    init(_ version: LoadedVersion, _ note: ThreadNote?) {
        self.version = version
        self.note = note
    }

    /// Asks everything of these jobs. The results are handed over by the caller, who first says
    /// that this thread is free again: whoever has its answer may ask for more at once.
    func run(_ jobs: [PoolJob]) -> [(job: PoolJob, result: PoolResult)] {
        let now = MonotonicClock.now()
        var ready: [PoolJob] = []
        finished = []
        for job in jobs where !job.cancellation.isCancelled {
            if now >= job.deadline {
                let waited = PoolResult(queueNanoseconds: now - job.enqueuedAt)
                finished.append((job, expired(waited, "waited for a thread of its model", row: 0)))
            } else {
                ready.append(job)
            }
        }
        for job in ready where job.tensors != nil { runTensors(job) }
        ready.removeAll { $0.tensors != nil }
        if version.takesBatches {
            // Together they are copied into one text: the large ones are asked one by one.
            for job in ready where job.content.count > Self.largeBytes {
                runTogether([job], startedAt: now)
            }
            ready.removeAll { $0.content.count > Self.largeBytes }
            if !ready.isEmpty { runTogether(ready, startedAt: now) }
        } else {
            for job in ready { runRows(job) }
        }
        shrink()
        defer { finished = [] }
        return finished
    }

    /// A request with a longer body is asked alone.
    private static let largeBytes = 64 << 10

    /// Asks a model that takes one row at a time.
    private func runRows(_ job: PoolJob) {
        var now = MonotonicClock.now()
        var result = PoolResult(queueNanoseconds: now - job.enqueuedAt)
        let frame = frame(0)
        let (values, content, requestID) = (job.values, job.content, job.requestID)
        for row in job.rows.indices {
            if job.cancellation.isCancelled { return }
            guard row == 0 || now < job.deadline else {
                return finished.append((job, expired(result, "was computed", row: row)))
            }
            beginCall(for: [job], at: now)
            guard let instance = version.instance else { return }
            let end = instance.predict(
                values.span.extracting(job.rows[row]),
                in: content.span,
                requestID: requestID.span,
                deadline: job.deadline,
                cancellation: job.cancellation,
                frame: frame
            )
            note?.end()
            guard take(end, frame, row, of: job, &result) else { break }
            now = MonotonicClock.now()
        }
        finished.append((job, result))
    }

    /// Asks a model that takes tensors as they are.
    private func runTensors(_ job: PoolJob) {
        guard let tensors = job.tensors, let declared = version.tensors?.outputs,
            let instance = version.instance, !job.cancellation.isCancelled
        else { return }
        let now = MonotonicClock.now()
        var result = PoolResult(queueNanoseconds: now - job.enqueuedAt)
        guard now < job.deadline else {
            let waited = expired(result, "waited for a thread of its model", row: 0)
            return finished.append((job, waited))
        }
        beginCall(for: [job], at: now)
        let (content, requestID) = (job.content, job.requestID)
        let end = instance.predict(
            tensors,
            in: content.span,
            requestID: requestID.span,
            deadline: job.deadline,
            cancellation: job.cancellation,
            frame: tensorFrame
        )
        note?.end()
        do throws(Failure) {
            try ResultCheck.requireAnswer(end, of: version)
            result.tensors = try TensorAnswer(tensorFrame, declared)
        } catch {
            result.failures.append((0, error))
        }
        tensorFrame.shrink(to: 1 << 20)
        finished.append((job, result))
    }

    /// Notes that the model is asked for these jobs.
    private func beginCall(for jobs: [PoolJob], at moment: UInt64) {
        guard let note else { return }
        note.setNoRequest()
        for (index, job) in jobs.enumerated() {
            guard let number = job.number else { continue }
            note.setRequest(index, slot: number.slot, key: number.key)
        }
        note.begin(.predictingInPool, of: version.boardEntry, at: moment)
    }

    /// Asks a model that takes several rows at once: those of several jobs, or a part of one job's.
    private func runTogether(_ jobs: [PoolJob], startedAt: UInt64) {
        let limit = version.execution.batch
        if jobs.count == 1, jobs[0].rows.count > limit {
            return runInSteps(jobs[0], startedAt, limit)
        }
        clear()
        for job in jobs { append(job, job.rows.indices, layOut(job)) }
        beginCall(for: jobs, at: startedAt)
        let ends = ask()
        note?.end()
        var next = 0
        for job in jobs {
            var result = PoolResult(queueNanoseconds: startedAt - job.enqueuedAt)
            result.batchRows = rows.count
            for row in job.rows.indices {
                guard take(ends[next + row], frame(next + row), row, of: job, &result) else {
                    break
                }
            }
            next += job.rows.count
            finished.append((job, result))
        }
    }

    private func runInSteps(_ job: PoolJob, _ startedAt: UInt64, _ limit: Int) {
        var result = PoolResult(queueNanoseconds: startedAt - job.enqueuedAt)
        result.batchRows = limit
        clear()
        let place = layOut(job)
        var start = 0
        while start < job.rows.count, result.failures.isEmpty || job.goesOn {
            if job.cancellation.isCancelled { return }
            let now = MonotonicClock.now()
            guard start == 0 || now < job.deadline else {
                return finished.append((job, expired(result, "was computed", row: start)))
            }
            let step = start..<min(start + limit, job.rows.count)
            values.removeAll(keepingCapacity: true)
            rows.removeAll(keepingCapacity: true)
            append(job, step, place)
            beginCall(for: [job], at: now)
            let ends = ask()
            note?.end()
            for row in step {
                guard take(ends[row - start], frame(row - start), row, of: job, &result) else {
                    break
                }
            }
            start = step.upperBound
        }
        finished.append((job, result))
    }

    /// Forgets the batch before.
    private func clear() {
        text.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        rows.removeAll(keepingCapacity: true)
    }

    /// Gives back what a large batch, or a large result, has made grow.
    private func shrink() {
        let large = 1 << 20
        if text.capacity > large { text = [] }
        if values.capacity > large / 32 { values = [] }
        for frame in frames { frame.shrink(to: large / 16) }
        check.shrink(to: large / 16)
    }

    /// Puts a job's body and id behind the text that is there; where they stand.
    private func layOut(_ job: PoolJob) -> (base: Int, requestID: Range<Int>) {
        let base = text.count
        text.append(contentsOf: job.content)
        let id = text.count
        text.append(contentsOf: job.requestID)
        return (base, id..<text.count)
    }

    /// Puts rows of a job behind those that are there.
    private func append(
        _ job: PoolJob,
        _ wanted: Range<Int>,
        _ place: (base: Int, requestID: Range<Int>)
    ) {
        for row in wanted {
            let start = values.count
            for index in job.rows[row] { values.append(job.values[index].moved(by: place.base)) }
            rows.append(
                BatchRow(
                    values: start..<values.count,
                    requestID: place.requestID,
                    deadline: job.deadline,
                    cancellation: job.cancellation
                )
            )
        }
    }

    private func ask() -> [PredictionEnd] {
        if let last = rows.indices.last { _ = frame(last) }
        let (values, text) = (self.values, self.text)
        guard let instance = version.instance else { return [] }
        return instance.predict(rows, of: values.span, in: text.span, frames: frames)
    }

    private func frame(_ index: Int) -> CallFrame {
        while frames.count <= index { frames.append(CallFrame()) }
        return frames[index]
    }

    /// Takes the result of one row; false where the job is done for with it.
    private func take(
        _ end: PredictionEnd,
        _ frame: CallFrame,
        _ row: Int,
        of job: PoolJob,
        _ result: inout PoolResult
    ) -> Bool {
        check.depth = job.depth
        do throws(Failure) {
            try check.require(end, of: version, in: frame)
        } catch {
            result.failures.append((row, error))
            if job.goesOn { result.rows.append(0..<0) }
            return job.goesOn
        }
        let start = result.outputs.count
        frame.withResult { result.outputs.append($0) }
        guard result.outputs.count <= Predictor.outputBytesMaximum else {
            result.failures.append((row, Predictor.outputTooLarge))
            return false
        }
        result.rows.append(start..<result.outputs.count)
        return true
    }

    /// A job's result so far as the failure of one whose time is over.
    private func expired(_ result: PoolResult, _ what: String, row: Int) -> PoolResult {
        var expired = result
        let sentence = "the time of the prediction ended while it \(what)"
        expired.failures.append((row, Failure(.deadlineExceeded, sentence)))
        return expired
    }
}

/// Holds what a model has returned against the contract.
struct ResultCheck {
    private var document = JSONDocument()

    /// Throws why a row has no result that can be sent.
    mutating func require(
        _ end: PredictionEnd,
        of version: LoadedVersion,
        in frame: CallFrame
    ) throws(Failure) {
        try Self.requireAnswer(end, of: version)
        guard !frame.isNumber else { return }
        let fault = frame.withResult { result -> JSONError? in
            do throws(JSONError) {
                try document.parse(result)
                return nil
            } catch {
                return error
            }
        }
        if let fault {
            throw Failure(.modelFailed, "the model wrote a result that is not JSON: \(fault)")
        }
    }

    /// Throws why a call has come to nothing.
    static func requireAnswer(
        _ end: PredictionEnd,
        of version: LoadedVersion
    ) throws(Failure) {
        switch end {
        case .answered: break
        case .unreadable(let position):
            let name = version.description.inputs?[position].name ?? ""
            throw Failure(.badInput, "the input \"\(name)\" is beyond what a double holds")
        case .failed(.invalidInput, let sentence): throw Failure(.badInput, sentence)
        // A model is told of a cancellation when the time is over, or when nobody reads this.
        case .failed(.cancelled, _):
            throw Failure(.deadlineExceeded, "the time of the prediction ended in the model")
        case .failed(.deadline, let sentence): throw Failure(.deadlineExceeded, sentence)
        case .failed(_, let sentence): throw Failure(.modelFailed, sentence)
        }
    }

    /// Gives back what one large result has made grow; see `Predictor.shrink`.
    mutating func shrink(to values: Int) { document.shrink(to: values) }

    /// How deep lists and objects may be nested.
    var depth: Int {
        get { document.depthMaximum }
        set { document.depthMaximum = newValue }
    }

    init(depth: Int = 64) { document.depthMaximum = depth }
}
