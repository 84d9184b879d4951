// Requests for an inference: one split answers all of a call's tensors, either as they are, if its
// model takes them so, or as rows of JSON values.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Platform
import PluginHost
import Surfaces

/// What a predictor keeps of a request with tensors.
struct TensorWork {
    /// The tensors, and how they are to be answered.
    let request = TensorRequest()
    /// The tensors as rows of JSON values, and behind them the request's id.
    var rows: [UInt8] = []
    /// What a model has written that takes tensors as they are.
    var answer: TensorAnswer?
    /// Whether the model takes them as they are.
    var areAsTheyAre = false
    /// Bytes of the header, whose values the document has; nil: it has those of the rows.
    var header: Int?
    /// The name that the request has for the model.
    var model: [UInt8] = []

    /// Forgets the request before.
    mutating func clear() {
        (answer, header, areAsTheyAre) = (nil, nil, false)
    }

    /// Bytes that grow with a request.
    var capacityBytes: Int {
        rows.capacity + request.capacityBytes + (answer?.bytes.capacity ?? 0)
    }

    mutating func shrink(to bytes: Int) {
        if rows.capacity > bytes { rows = [] }
        if model.capacity > bytes { model = [] }
        if let answer, answer.bytes.capacity > bytes { self.answer = nil }
        request.shrink(to: bytes)
    }
}

extension Predictor {
    /// Answers a request for an inference; see `predict`.
    func predict(
        tensorsOf model: ModelTarget,
        _ head: RequestHead,
        in text: Span<UInt8>,
        _ content: Span<UInt8>,
        startedAt: UInt64
    ) throws(Failure) {
        call.beginTensors(timeoutNanoseconds: nil)
        try readTensors(model, head, content)
        call.beginTensors(timeoutNanoseconds: tensors.request.timeoutNanoseconds)
        var forced = try forcedSplit(model.target, head.forcedBackend, text)
        if let arm = model.arm {
            guard allowsForcing else { throw Self.forcingIsOff }
            forced = arm
        }
        begin(head, startedAt)
        outcome.beginRow()
        var arm: Arm
        switch model.target {
        case .deployment(let split): arm = Arm(split: split, assignment: nil, hasSubject: false)
        case .endpoint(let endpoint):
            let hasSubject = try findTensorSubject(endpoint, content)
            let (index, assignment) = pick(
                endpoint,
                forced,
                hasSubject: hasSubject,
                wantsSubject: endpoint.subjectKey != nil || tensors.request.subject != nil
            )
            arm = Arm(
                split: endpoint.splits[index],
                assignment: assignment,
                hasSubject: hasSubject
            )
        }
        self.arm = arm
        do throws(Failure) {
            try answer(tensorsBy: arm, content)
        } catch {
            try fallBack(fromTensors: error, content)
        }
    }

    // MARK: Reading

    private func readTensors(
        _ model: ModelTarget,
        _ head: RequestHead,
        _ content: Span<UInt8>
    ) throws(Failure) {
        let header = head.inferenceHeaderLength ?? content.count
        guard header <= content.count else {
            throw Failure(
                .badRequest,
                "Inference-Header-Content-Length is \(header), and the body has \(content.count) "
                    + "bytes"
            )
        }
        tensors.header = header
        guard header > 0 || content.isEmpty else {
            return try tensors.request.decode(raw: content, as: model.onlyInput)
        }
        try parseHeader(content)
        try tensors.request.decode(document, in: content, header: header)
    }

    /// Lays out the values of the header, unless they are so already.
    private func parseHeader(_ content: Span<UInt8>) throws(Failure) {
        let header = tensors.header ?? 0
        do {
            try document.parse(content.extracting(0..<header))
        } catch {
            throw Failure(.badJSON, "the request is not JSON: \(error)")
        }
    }

    /// Reads the subject of the call: the one that its parameters name, or the one that all its
    /// rows have; false when there is no usable one.
    private func findTensorSubject(
        _ endpoint: PreparedEndpoint,
        _ content: Span<UInt8>
    ) throws(Failure) -> Bool {
        subject.removeAll(keepingCapacity: true)
        var isFound = false
        if let index = tensors.request.subject {
            isFound = Subject.append(document.entries[index], in: content, to: &subject)
        } else if case .member = endpoint.subjectKey {
            isFound = tensors.request.appendSubject(
                endpoint.subjectName,
                document,
                content,
                to: &subject
            )
        }
        guard isFound else {
            subject.removeAll(keepingCapacity: true)
            return false
        }
        try requireShortSubject()
        return true
    }

    // MARK: Answering

    /// Lets a split answer the whole call, or leaves it to the split's pool.
    private func answer(tensorsBy arm: Arm, _ content: Span<UInt8>) throws(Failure) {
        assign(arm)
        // Whatever goes wrong before the rows are known is of one row.
        call.setRows(1)
        switch arm.split.backend {
        case .value(let value):
            try requireOutputs { OpenInferenceSurface.outputNames(.unknown).map { "\($0)" } }
            let rows = try tensors.request.rows(limits)
            call.setRows(rows)
            for row in 0..<rows {
                if row > 0 { assign(arm) }
                outcome.finish(row: row, value.span)
                try requireOutputRoom()
            }
        case .model(let model):
            if let verdict { try verdict.refuse(model) }
            guard !model.isAbsent else { throw absent(model.version) }
            if let declared = model.version.tensors {
                try requireOutputs { declared.outputs.map(\.name) }
                tensors.areAsTheyAre = true
                let inputs = try inputs(declared.inputs, content)
                try ask(model, inputs, declared, content)
            } else {
                try requireOutputs {
                    OpenInferenceSurface.outputNames(arm.split.text.output).map { "\($0)" }
                }
                try answerRows(by: arm, model, content)
            }
        }
    }

    private func requireOutputs(_ list: () -> [String]) throws(Failure) {
        let request = tensors.request
        if request.outputs.isEmpty { return }
        let names = list()
        for output in request.outputs
        where !names.contains(where: { request.names[output.name].elementsEqual($0.utf8) }) {
            throw Failure(
                .badInput,
                "there is no output \"\(request.shown(output.name))\"; there are "
                    + names.map { "\"\($0)\"" }.joined(separator: ", ")
            )
        }
    }

    // MARK: Rows

    private func answerRows(
        by arm: Arm,
        _ model: ServedModel,
        _ content: Span<UInt8>
    ) throws(Failure) {
        let count = try tensors.request.rows(limits)
        let binding = model.version.binding
        tensors.rows.removeAll(keepingCapacity: true)
        var rows = tensors.rows
        tensors.rows = []
        try tensors.request.appendRows(count, for: binding, document, content, to: &rows)
        tensors.rows = rows
        do {
            try document.parse(rows.span)
        } catch {
            throw Failure(.badInput, "the tensors make rows that are no JSON: \(error)")
        }
        tensors.header = nil
        call.takeRows(of: document, areLists: !binding.isDeclared)
        let isTogether = count > 1 && model.version.takesBatches
        let isHere = model.runsOnLoop(rows: count)
        for index in call.rows.indices {
            if index > 0 {
                try requireTime(index)
                outcome.beginRow()
                assign(arm)
            }
            let arguments = call.arguments
            do throws(Failure) {
                let places = arguments.span.extracting(call.rows[index].arguments)
                try bind(model, places, rows.span)
                guard isHere, !isTogether else {
                    postpone(index, to: model)
                    continue
                }
                try ask(model, rows.span)
                frame.withResult { outcome.finish(row: index, $0) }
                try requireOutputRoom()
            } catch {
                throw told(error, index, rows.span)
            }
        }
        if isHere, isTogether { try askTogether() }
    }

    /// Asks the model of the part that was made last all its rows at once, on this thread.
    private func askTogether() throws(Failure) {
        guard let part = takeLastPart(), let instance = part.model.version.instance else { return }
        let idStart = tensors.rows.count
        requestID.withSpan { tensors.rows.append($0) }
        let id = idStart..<tensors.rows.count
        let cancellation = Cancellation()
        let step = part.model.version.execution.batch
        while frames.count < min(step, part.rows.count) { frames.append(CallFrame()) }
        for start in stride(from: 0, to: part.rows.count, by: step) {
            let chosen = start..<min(start + step, part.rows.count)
            if start > 0 { try requireTime(start) }
            let batch = chosen.map {
                BatchRow(
                    values: part.inputs[$0],
                    requestID: id,
                    deadline: part.deadline,
                    cancellation: cancellation
                )
            }
            let (rows, frames, values) = (tensors.rows, self.frames, part.values)
            let ends = noting(part.model) {
                instance.predict(batch, of: values.span, in: rows.span, frames: frames)
            }
            for row in chosen {
                do throws(Failure) {
                    try check.require(
                        ends[row - start],
                        of: part.model.version,
                        in: frames[row - start]
                    )
                } catch {
                    outcome.resume(row: part.rows[row])
                    throw told(error, part.rows[row], rows.span)
                }
                frames[row - start].withResult { outcome.finish(row: part.rows[row], $0) }
                try requireOutputRoom()
            }
        }
        for frame in frames { frame.shrink(to: 1 << 16) }
    }

    // MARK: Tensors as they are

    /// The tensors that a model takes, in the order of its declaration.
    private func inputs(
        _ declared: [TensorDescription],
        _ content: Span<UInt8>
    ) throws(Failure) -> TensorInputs {
        var inputs = TensorInputs()
        for expected in declared {
            guard let tensor = tensors.request.tensor(named: Array(expected.name.utf8).span) else {
                throw Failure(.badInput, "the input \"\(expected.name)\" is missing")
            }
            let shape = tensors.request.shape(of: tensor)
            guard tensor.datatype == expected.datatype, expected.allows(shape) else {
                throw Failure(
                    .badInput,
                    "the input \"\(expected.name)\" is \(tensor.datatype.name) of shape "
                        + "\(shape); the model wants \(expected.datatype.name) of shape "
                        + "\(expected.shape), where -1 is any size"
                )
            }
            var data = tensor.bytes ?? 0..<0
            // One element of BYTES that is a whole body has no length before it.
            let isRaw = tensor.datatype == .bytes && tensors.header == 0
            let isPacked = tensor.bytes == nil || isRaw
            if isPacked {
                let start = inputs.packed.count
                if isRaw {
                    TensorElement.append(content.extracting(data), to: &inputs.packed)
                } else {
                    tensors.request.pack(tensor, document, content, to: &inputs.packed)
                }
                data = start..<inputs.packed.count
            }
            inputs.add(
                expected.name,
                datatype: tensor.datatype.rawValue,
                shape: shape,
                data: data,
                isPacked: isPacked
            )
        }
        return inputs
    }

    private func ask(
        _ model: ServedModel,
        _ inputs: TensorInputs,
        _ declared: TensorsDescription,
        _ content: Span<UInt8>
    ) throws(Failure) {
        guard model.runsOnLoop(rows: 1) else { return postpone(inputs, to: model) }
        guard let instance = model.version.instance else { return }
        let frame = tensorFrame
        let end = noting(model) {
            requestID.withSpan {
                instance.predict(
                    inputs,
                    in: content,
                    requestID: $0,
                    deadline: deadline(of: model),
                    frame: frame
                )
            }
        }
        try ResultCheck.requireAnswer(end, of: model.version)
        tensors.answer = try TensorAnswer(frame, declared.outputs)
        outcome.finish(row: 0, [UInt8]().span)
        frame.shrink(to: 1 << 20)
    }

    // MARK: Falling back

    /// Lets the fallback of the endpoint answer the whole call, once; throws why it does not.
    func fallBack(fromTensors failure: Failure, _ content: Span<UInt8>) throws(Failure) {
        guard let arm, let fallback = facts.endpoint?.fallback, fallback !== arm.split,
            arm.assignment != .forced, arm.assignment != .fallback,
            mayAnswer(fallback, instead: failure)
        else { throw failure }
        arm.split.metrics.errors.count(failure.code)
        let next = Arm(
            split: fallback,
            assignment: .fallback,
            hasSubject: arm.hasSubject,
            intended: arm.split.name
        )
        self.arm = next
        forgetAssignments()
        hasFallenBack = true
        // The document may have the values of rows that were made for another model.
        let header = tensors.request.hasHeader ? headerLength(content) : 0
        tensors.header = header
        (tensors.answer, tensors.areAsTheyAre) = (nil, false)
        if header > 0 { try parseHeader(content) }
        try answer(tensorsBy: next, content)
    }

    /// Bytes of the header: what is behind it are the tensors' bytes.
    private func headerLength(_ content: Span<UInt8>) -> Int {
        tensors.request.tensors.compactMap(\.bytes).map(\.lowerBound).min() ?? content.count
    }

    /// Takes what a pool made of a call with tensors.
    func take(
        tensors result: PoolResult,
        part: PoolPart,
        _ content: Span<UInt8>
    ) throws(Failure) {
        if let failure = result.failures.first {
            let row = part.rows[min(failure.row, part.rows.count - 1)]
            outcome.resume(row: row)
            let rows = tensors.rows
            let told =
                tensors.header == nil ? told(failure.failure, row, rows.span) : failure.failure
            return try fallBack(fromTensors: told, content)
        }
        if let answer = result.tensors {
            tensors.answer = answer
            return outcome.finish(row: 0, [UInt8]().span)
        }
        for (index, row) in part.rows.enumerated() {
            outcome.finish(row: row, result.outputs.span.extracting(result.rows[index]))
        }
    }
}

extension ModelTarget {
    /// The one input that a body without a header is; throws where there are none or several.
    fileprivate var onlyInput: TensorDescription {
        get throws(Failure) {
            let inputs = facts.inputs
            guard inputs.count == 1 else {
                throw Failure(
                    .badInput,
                    "a body without a header (Inference-Header-Content-Length: 0) is for a model "
                        + "of one input; this one has \(inputs.count)"
                )
            }
            return inputs[0]
        }
    }
}
