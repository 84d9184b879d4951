// From a request's body to the results of its rows: read it, choose a split for each row, ask it.
// A predictor belongs to one loop and keeps its memory from request to request; a request that
// waits for a pool takes one along.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Platform
import PluginHost
import Surfaces

/// Predicts, one request at a time.
final class Predictor {
    /// Bytes of all results of one request.
    static let outputBytesMaximum = CallFrame.resultBytesMaximum

    var document = JSONDocument()
    var call = PredictionCall()
    var outcome = PredictionOutcome()
    /// The splits of `outcome`, in its order.
    var usedSplits: [PreparedSplit] = []
    /// What coins are flipped with: made from `coinSeed` when the first one is, so that a request
    /// that is executed again has the same ones.
    var coin: CoinGenerator?
    var coinSeed: UInt64 = 0
    /// Which request is at hand.
    var number = RequestNumber()
    /// What its thread says of itself while a model is asked.
    var note: ThreadNote?
    /// Whether the request needs a model that is being loaded.
    private(set) var waitsForModel = false
    /// Whether a row was given to a fallback.
    var hasFallenBack = false
    /// Why the model is not asked that has ended the worker before: this is the answer instead.
    var verdict: CallVerdict?
    let limits: CallLimits
    let allowsForcing: Bool
    private let deadlineNanoseconds: UInt64
    /// When the request began, and when its answer is of no use any more, on the monotonic clock.
    private(set) var startedAt: UInt64 = 0
    private(set) var deadline: UInt64 = 0
    /// When the clock was last read.
    var moment: UInt64 = 0
    /// What pools have to do before there is an answer.
    private(set) var parts: [PoolPart] = []
    func noteSubmitted(_ part: Int) { parts[part].isSubmitted = true }
    /// The id of the request at hand, and what its record says of it as a whole.
    var requestID = ByteBuffer(capacity: 256)
    var facts = RequestFacts()
    let frame = CallFrame()
    /// Frames for rows that are asked together.
    var frames: [CallFrame] = []
    private(set) lazy var tensorFrame: TensorFrame = {
        hasTensorFrame = true
        return TensorFrame()
    }()
    private var hasTensorFrame = false
    private let runDelay: RunDelay
    var check: ResultCheck
    private var values: [JSONReference] = []
    var subject: [UInt8] = []
    /// Who answers the whole call, where that is one split.
    var arm: Arm?
    /// What is kept of a request with tensors.
    var tensors = TensorWork()
    /// When a model was asked first, or its pool, on the monotonic clock; 0: none was.
    private(set) var askedAt: UInt64 = 0

    /// A predictor for the thread that `runDelay` is of.
    init(
        _ configuration: ServerConfiguration,
        runDelay: RunDelay,
        note: ThreadNote? = nil
    ) {
        self.note = note
        self.runDelay = runDelay
        limits = configuration.limits.call
        allowsForcing = configuration.allowsForcing
        deadlineNanoseconds = configuration.limits.predictionNanoseconds
        check = ResultCheck(depth: limits.depth)
        document.depthMaximum = limits.depth
        values.reserveCapacity(64)
        usedSplits.reserveCapacity(8)
        subject.reserveCapacity(Subject.bytesMaximum)
    }

    /// Whether the document has the values of rows that were made from tensors.
    var isTranscoded: Bool { facts.surface == .openInference && tensors.header == nil }

    /// Forgets the request before.
    func clear() {
        if facts.surface == .openInference { tensors.clear() }
        moment = 0
        call.clear()
        outcome.clear()
        usedSplits.removeAll(keepingCapacity: true)
        if !parts.isEmpty { parts = [] }
        facts = RequestFacts()
        coin = nil
        arm = nil
        askedAt = 0
        verdict = nil
        waitsForModel = false
        hasFallenBack = false
    }

    /// Bytes on the heap that grow with a request, of this one.
    var heapBytes: Int {
        document.capacityBytes + call.capacityBytes + outcome.capacityBytes + tensors.capacityBytes
            + parts.reduce(0) { $0 + $1.capacityBytes }
    }

    /// Gives back what one large request has made grow.
    func shrink(to bytes: Int) {
        frame.shrink(to: bytes)
        for frame in frames { frame.shrink(to: bytes) }
        if hasTensorFrame { tensorFrame.shrink(to: bytes) }
        if values.capacity > bytes / 32 { values = [] }
        if parts.capacity > 64 { parts = [] }
        if requestID.capacity > bytes { requestID.clear(keeping: bytes) }
        if subject.capacity > 4 * Subject.bytesMaximum { subject = [] }
        document.shrink(to: bytes / 16)
        tensors.shrink(to: bytes)
        check.shrink(to: bytes / 16)
        call.clear(keeping: bytes / 16)
        outcome.clear(keeping: bytes)
    }

    /// Answers every row of a request, or throws why one of them cannot be; then there is no
    /// result, and `outcome` says which rows had their split by then. What is left to pools is in
    /// `parts` afterwards.
    ///
    /// - Parameters:
    ///   - target: what the path names.
    ///   - form: what the body looks like.
    ///   - head: the request's head.
    ///   - text: what the head's places are in.
    ///   - content: the body.
    ///   - startedAt: monotonic nanoseconds.
    func predict(
        _ target: PreparedTarget,
        _ form: RequestForm,
        _ head: RequestHead,
        in text: Span<UInt8>,
        _ content: Span<UInt8>,
        startedAt: UInt64
    ) throws(Failure) {
        do {
            try document.parse(content)
        } catch {
            throw Failure(.badJSON, BodyWords.sentence(content, error))
        }
        switch form {
        case .native:
            try NativeSurface.decode(document, in: content, limits: limits, to: &call)
        case .dataiku(let isMulti):
            try DataikuSurface.decode(
                document,
                in: content,
                isMulti: isMulti,
                limits: limits,
                to: &call
            )
        }
        var forced = try forcedSplit(target, head.forcedBackend, text)
        if let index = call.forced {
            let name = JSONText.unescaped(content.extracting(document.entries[index].contents))
            forced = try forcedSplit(target, 0..<name.count, name.span)
        }
        begin(head, startedAt)
        for index in call.rows.indices {
            outcome.beginRow()
            if index > 0 { try requireTime(index) }
            do throws(Failure) {
                try predictRow(call.rows[index], target, forced, content)
            } catch {
                throw told(error, index, content)
            }
        }
    }

    /// How long the steps of the request took, whose answer is written now.
    var timing: DataikuSurface.Timing {
        var timing = DataikuSurface.Timing()
        let asked = askedAt > 0 ? askedAt : moment
        timing.preparing = (asked - min(asked, startedAt)) / 1000
        timing.waiting = (outcome.splits.map(\.queueNanoseconds).max() ?? 0) / 1000
        let rest = (moment - min(moment, asked)) / 1000
        timing.predicting = rest - min(rest, timing.waiting)
        return timing
    }

    /// Throws when the time is over behind some rows.
    func requireTime(_ row: Int) throws(Failure) {
        guard moment > deadline else { return }
        throw Failure(
            .deadlineExceeded,
            "the time of \((deadline - startedAt) / 1_000_000) ms ended behind \(row) of "
                + "\(call.rows.count) rows; send fewer rows"
        )
    }

    func begin(_ head: RequestHead, _ startedAt: UInt64) {
        self.startedAt = startedAt
        moment = startedAt
        var time = deadlineNanoseconds
        if let asked = head.timeoutNanoseconds { time = min(time, asked) }
        if let asked = call.timeoutNanoseconds { time = min(time, asked) }
        deadline = startedAt + time
    }

    private func predictRow(
        _ row: PredictionCall.Row,
        _ target: PreparedTarget,
        _ forced: Int?,
        _ content: Span<UInt8>
    ) throws(Failure) {
        let arguments = call.arguments
        let split: PreparedSplit
        switch target {
        case .deployment(let deployment):
            split = deployment
            assign(split, nil, subject: nil)
        case .endpoint(let endpoint):
            split = try choose(
                endpoint,
                forced,
                arguments.span.extracting(row.arguments),
                content
            )
        }
        let index = outcome.rows.count - 1
        do throws(Failure) {
            try answer(index, by: split, arguments.span.extracting(row.arguments), content)
        } catch {
            try fallBack(index, error, content)
        }
    }

    /// Answers a row by a split, or leaves it to the split's pool.
    func answer(
        _ row: Int,
        by split: PreparedSplit,
        _ arguments: Span<Int>,
        _ content: Span<UInt8>
    ) throws(Failure) {
        switch split.backend {
        case .value(let value):
            outcome.finish(row: row, value.span)
        case .model(let model):
            try bind(model, arguments, content)
            if let verdict { try verdict.refuse(model) }
            guard !model.isAbsent else { throw absent(model.version) }
            guard model.runsOnLoop(rows: call.rows.count) else { return postpone(row, to: model) }
            try ask(model, content)
            frame.withResult { outcome.finish(row: row, $0) }
        }
        try requireOutputRoom()
    }

    /// Throws when the results so far are more than a host holds.
    @inline(__always)
    func requireOutputRoom() throws(Failure) {
        guard outcome.outputs.count <= Self.outputBytesMaximum else { throw Self.outputTooLarge }
    }

    /// The failure of a request whose results are more than a host holds.
    static let outputTooLarge = Failure(
        .tooLarge,
        "the results have more than \(outputBytesMaximum) bytes; send fewer rows"
    )

    // MARK: Asking

    /// Finds the inputs of a row in its arguments.
    func bind(
        _ model: ServedModel,
        _ arguments: Span<Int>,
        _ content: Span<UInt8>
    ) throws(Failure) {
        do {
            try model.version.binding.bind(arguments, of: document, in: content, to: &values)
        } catch {
            throw Failure(.badInput, error.description)
        }
    }

    /// Why a version cannot be asked. Nothing was executed of the row at hand.
    func absent(_ version: LoadedVersion) -> Failure {
        let name = "\(version.deployment) version \(version.number)"
        switch version.absence {
        case .quarantined(let sentence):
            return Failure(.deploymentQuarantined, "\(name) is not run: \(sentence)")
        case .unloadable(let sentence): return Failure(.notReady, "\(name): \(sentence)")
        case .loading, nil:
            waitsForModel = true
            return Failure(.notReady, "\(name) was not loaded in time; send this again later")
        }
    }

    /// Asks a model on this thread; its result is in the frame afterwards.
    func ask(
        _ model: ServedModel,
        _ content: Span<UInt8>
    ) throws(Failure) {
        let values = self.values
        let end = noting(model) {
            requestID.withSpan { requestID in
                model.version.instance?.predict(
                    values.span,
                    in: content,
                    requestID: requestID,
                    deadline: deadline(of: model),
                    frame: frame
                ) ?? .failed(.internalError, "there is no model")
            }
        }
        try check.require(end, of: model.version, in: frame)
    }

    /// Asks a model on this thread, with a note of it, and looks how long that took.
    @inline(__always)
    func noting<R>(_ model: ServedModel, _ body: () -> R) -> R {
        let start = MonotonicClock.now()
        if askedAt == 0 { askedAt = start }
        if let note {
            note.setRequest(slot: number.slot, key: number.key)
            note.begin(.predicting, of: model.boardEntry, at: start)
        }
        let result = body()
        note?.end()
        moment = MonotonicClock.now()
        if moment - start > ServedModel.inlineNanoseconds {
            model.noteSlow(moment - start, at: moment, runDelay)
        }
        return result
    }

    func deadline(of model: ServedModel) -> UInt64 {
        guard let own = model.version.execution.deadlineNanoseconds else { return deadline }
        return min(deadline, startedAt + own)
    }

    /// Adds a row to what goes to the model's pool.
    func postpone(_ row: Int, to model: ServedModel) {
        if askedAt == 0 { askedAt = moment }
        let split = outcome.rows[row].split
        let index =
            parts.firstIndex { $0.split == split && !$0.isSubmitted }
            ?? {
                parts.append(
                    PoolPart(model: model, split: split, deadline: deadline(of: model))
                )
                return parts.count - 1
            }()
        let start = parts[index].values.count
        parts[index].values.append(contentsOf: values)
        parts[index].inputs.append(start..<parts[index].values.count)
        parts[index].rows.append(row)
    }

    /// Leaves a call with tensors to the model's pool.
    func postpone(_ inputs: TensorInputs, to model: ServedModel) {
        if askedAt == 0 { askedAt = moment }
        let split = outcome.rows[0].split
        var part = PoolPart(model: model, split: split, deadline: deadline(of: model))
        part.inputs = [0..<0]
        part.rows = [0]
        part.tensors = inputs
        parts.append(part)
    }

    /// Takes the part back that was made last: it is asked on this thread.
    func takeLastPart() -> PoolPart? { parts.popLast() }

    /// Takes what the pool made of a part; the error names the row as `predict` does.
    func take(
        _ result: PoolResult,
        part: Int,
        _ content: Span<UInt8>
    ) throws(Failure) {
        let part = parts[part]
        outcome.noteBatch(
            split: part.split,
            rows: result.batchRows,
            queueNanoseconds: result.queueNanoseconds
        )
        if facts.surface == .openInference {
            return try take(tensors: result, part: part, content)
        }
        for (index, row) in part.rows.enumerated() {
            if let failure = result.failure(of: index) {
                outcome.resume(row: row)
                do throws(Failure) {
                    try fallBack(row, failure, content)
                } catch {
                    throw told(error, row, content)
                }
            } else {
                outcome.finish(row: row, result.outputs.span.extracting(result.rows[index]))
            }
        }
        try requireOutputRoom()
    }

    /// Goes back to the first row of a part, of which a failure is.
    func resume(_ part: PoolPart) {
        outcome.resume(row: part.rows[0])
    }

    /// Notes how long a part has waited that was never asked.
    func noteWaiting(_ part: PoolPart, nanoseconds: UInt64) {
        outcome.noteBatch(split: part.split, rows: 0, queueNanoseconds: nanoseconds)
    }

    /// A failure as the client is told it: that of a batch names its row.
    func told(_ failure: Failure, _ row: Int, _ content: Span<UInt8>) -> Failure {
        guard call.isBatch else { return failure }
        guard call.rows[row].id >= 0 else {
            return Failure(failure.code, "row \(row) of \(call.rows.count): \(failure.sentence)")
        }
        let id = Bytes.string(content, document.entries[call.rows[row].id].range)
        return Failure(failure.code, "row \(row) of the batch, id \(id): \(failure.sentence)")
    }
}

/// The rows of one split of a request that are for a pool.
struct PoolPart {
    let model: ServedModel
    /// Which of the outcome's splits it is.
    let split: Int
    /// Monotonic nanoseconds.
    let deadline: UInt64
    /// The inputs of all rows, and where those of each stand.
    var values: [JSONReference] = []
    var inputs: [Range<Int>] = []
    /// Which of the request's rows they are.
    var rows: [Int] = []
    /// The tensors that it is, instead of rows.
    var tensors: TensorInputs?
    /// Whether the pool has it.
    var isSubmitted = false

    /// Bytes that it holds.
    var capacityBytes: Int {
        values.capacity * MemoryLayout<JSONReference>.stride
            + inputs.capacity * MemoryLayout<Range<Int>>.stride
            + rows.capacity * MemoryLayout<Int>.stride + (tensors?.packed.capacity ?? 0)
    }
}

/// What the body of a request looks like.
enum RequestForm {
    case native
    case dataiku(isMulti: Bool)
}

/// A split that was chosen for a whole call, and why.
struct Arm {
    let split: PreparedSplit
    let assignment: AssignmentKind?
    /// Whether the predictor has the subject that it was chosen for.
    let hasSubject: Bool
    /// The name of the split that could not answer.
    var intended: [UInt8]?
}

@available(*, unavailable)
extension Predictor: Sendable {}
