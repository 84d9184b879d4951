// From a request's body to the results of its rows: read it, choose a split for each row, ask it.
// One predictor belongs to one loop and keeps its memory from request to request.

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

    private(set) var document = JSONDocument()
    private(set) var call = PredictionCall()
    private(set) var outcome = PredictionOutcome()
    var coin: CoinGenerator
    private let limits: CallLimits
    private let allowsForcing: Bool
    private let deadlineNanoseconds: UInt64
    /// When the answer at hand is of no use any more, on the monotonic clock.
    private var deadline: UInt64 = 0
    private let frame = CallFrame()
    private var resultDocument = JSONDocument()
    private var values: [JSONReference] = []
    private var subject: [UInt8] = []

    init(_ configuration: ServerConfiguration, coin: CoinGenerator) {
        limits = configuration.limits.call
        allowsForcing = configuration.allowsForcing
        deadlineNanoseconds = configuration.limits.predictionNanoseconds
        self.coin = coin
        document.depthMaximum = limits.depth
        resultDocument.depthMaximum = limits.depth
        values.reserveCapacity(64)
        subject.reserveCapacity(Subject.bytesMaximum)
    }

    /// Forgets the request before.
    func clear() {
        call.clear()
        outcome.clear()
    }

    /// Gives back what one large request has made grow.
    func shrink(to bytes: Int) {
        frame.shrink(to: bytes)
        if subject.capacity > 4 * Subject.bytesMaximum { subject = [] }
        document.shrink(to: bytes / 16)
        resultDocument.shrink(to: bytes / 16)
        call.clear(keeping: bytes / 16)
        outcome.clear(keeping: bytes)
    }

    /// Answers every row of a request, or throws why one of them cannot be; then there is no
    /// result, and `outcome` says which rows had their split by then.
    ///
    /// - Parameters:
    ///   - target: what the path names.
    ///   - forced: where the split's name that the caller forces stands in `text`.
    ///   - text: the request's head.
    ///   - content: the body.
    ///   - requestID: the request's id.
    func predict(
        _ target: PreparedTarget,
        forced: Range<Int>?,
        in text: Span<UInt8>,
        _ content: Span<UInt8>,
        requestID: [UInt8]
    ) throws(Failure) {
        do {
            try document.parse(content)
        } catch {
            throw Failure(.badJSON, "the body is not JSON: \(error)")
        }
        try NativeSurface.decode(document, in: content, limits: limits, to: &call)
        let forced = try forcedSplit(target, forced, text)
        deadline = MonotonicClock.now() + deadlineNanoseconds
        for index in call.rows.indices {
            outcome.beginRow()
            if index > 0, MonotonicClock.now() > deadline {
                throw Failure(
                    .deadlineExceeded,
                    "the time of \(deadlineNanoseconds / 1_000_000) ms ended behind \(index) of "
                        + "\(call.rows.count) rows; send fewer rows"
                )
            }
            do throws(Failure) {
                try predictRow(call.rows[index], target, forced, content, requestID)
            } catch {
                guard call.isBatch else { throw error }
                let id = Bytes.string(content, document.entries[call.rows[index].id].range)
                throw Failure(error.code, "row \(index) of the batch, id \(id): \(error.sentence)")
            }
        }
    }

    private func predictRow(
        _ row: PredictionCall.Row,
        _ target: PreparedTarget,
        _ forced: Int?,
        _ content: Span<UInt8>,
        _ requestID: [UInt8]
    ) throws(Failure) {
        let arguments = call.arguments
        let split: PreparedSplit
        switch target {
        case .deployment(let deployment):
            split = deployment
            outcome.assign(split.text, nil, subject: nil)
        case .endpoint(let endpoint):
            split = try choose(
                endpoint,
                forced,
                arguments.span.extracting(row.arguments),
                content
            )
        }
        switch split.backend {
        case .value(let value):
            outcome.finishRow(value.span)
        case .model(let model):
            try ask(model, arguments.span.extracting(row.arguments), content, requestID)
            frame.withResult { outcome.finishRow($0) }
        }
        guard outcome.outputs.count <= Self.outputBytesMaximum else {
            throw Failure(
                .tooLarge,
                "the results have more than \(Self.outputBytesMaximum) bytes; send fewer rows"
            )
        }
    }

    // MARK: Choosing

    /// The index of the split that the caller names, if there is one.
    private func forcedSplit(
        _ target: PreparedTarget,
        _ forced: Range<Int>?,
        _ text: Span<UInt8>
    ) throws(Failure) -> Int? {
        guard let forced else { return nil }
        guard allowsForcing else {
            throw Failure(.badRequest, "this host was started with --no-force")
        }
        let asked = Bytes.string(text, forced.prefix(Names.lengthMaximum))
        guard case .endpoint(let endpoint) = target else {
            throw Failure(
                .backendNotFound,
                "a deployment that is called by its own name has no split '\(asked)'"
            )
        }
        guard let index = endpoint.split(named: text, forced) else {
            throw Failure(.backendNotFound, "the endpoint has no split '\(asked)'")
        }
        return index
    }

    /// Chooses the split of a row and notes it.
    private func choose(
        _ endpoint: PreparedEndpoint,
        _ forced: Int?,
        _ arguments: Span<Int>,
        _ content: Span<UInt8>
    ) throws(Failure) -> PreparedSplit {
        var hasSubject = false
        if let experiment = endpoint.endpoint.experiment {
            hasSubject = try findSubject(
                experiment.subjectKey,
                endpoint.subjectName,
                arguments,
                content
            )
        }
        let index: Int
        let assignment: AssignmentKind
        if let forced {
            (index, assignment) = (forced, .forced)
        } else if let only = endpoint.assigner.only {
            (index, assignment) = (only, .only)
        } else if hasSubject {
            let subject = subject
            (index, assignment) = (endpoint.assigner.split(subject: subject.span), .subject)
        } else {
            index = endpoint.assigner.split(random: coin.next())
            assignment = endpoint.endpoint.experiment == nil ? .coin : .noSubject
        }
        let split = endpoint.splits[index]
        outcome.assign(split.text, assignment, subject: hasSubject ? subject : nil)
        return split
    }

    /// Reads the row's subject; false when there is no usable one.
    private func findSubject(
        _ key: SubjectKey,
        _ name: [UInt8],
        _ arguments: Span<Int>,
        _ content: Span<UInt8>
    ) throws(Failure) -> Bool {
        subject.removeAll(keepingCapacity: true)
        guard
            let index = NativeSurface.subject(
                key,
                name: name,
                arguments: arguments,
                of: document,
                in: content
            )
        else { return false }
        guard Subject.append(document.entries[index], in: content, to: &subject) else {
            return false
        }
        guard subject.count <= Subject.bytesMaximum else {
            throw Failure(
                .badInput,
                "the subject has \(subject.count) bytes; at most \(Subject.bytesMaximum) are taken"
            )
        }
        return true
    }

    // MARK: Asking

    /// Asks a model; its result is in the frame afterwards.
    private func ask(
        _ model: LoadedVersion,
        _ arguments: Span<Int>,
        _ content: Span<UInt8>,
        _ requestID: [UInt8]
    ) throws(Failure) {
        do {
            try model.binding.bind(arguments, of: document, in: content, to: &values)
        } catch {
            throw Failure(.badInput, error.description)
        }
        let end = model.instance.predict(
            values,
            in: content,
            requestID: requestID.span,
            deadline: deadline,
            frame: frame
        )
        switch end {
        case .answered: break
        case .unreadable(let position):
            let name = model.description.inputs?[position].name ?? ""
            throw Failure(.badInput, "the input \"\(name)\" is beyond what a double holds")
        case .failed(.invalidInput, let sentence): throw Failure(.badInput, sentence)
        case .failed(.deadline, let sentence): throw Failure(.deadlineExceeded, sentence)
        case .failed(_, let sentence): throw Failure(.modelFailed, sentence)
        }
        guard !frame.isNumber else { return }
        let fault = frame.withResult { result -> JSONError? in
            do throws(JSONError) {
                try resultDocument.parse(result)
                return nil
            } catch {
                return error
            }
        }
        if let fault {
            throw Failure(.modelFailed, "the model wrote a result that is not JSON: \(fault)")
        }
    }
}

@available(*, unavailable)
extension Predictor: Sendable {}
