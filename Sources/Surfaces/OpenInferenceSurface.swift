// The answers of the Open Inference protocol, version 2: a JSON header, and behind it the tensors
// that are wanted as bytes.

package import Bytes
package import Endpoints
import JSON

/// One tensor that a model has written by itself.
package struct TensorResult: Sendable {
    package let name: [UInt8]
    package let datatype: Datatype
    package let shape: [Int]
    /// Where its bytes stand among those of all.
    package let bytes: Range<Int>

    package init(name: [UInt8], datatype: Datatype, shape: [Int], bytes: Range<Int>) {
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.bytes = bytes
    }
}

/// Writes answers to requests for an inference.
package struct OpenInferenceSurface: ~Copyable {
    private var document = JSONDocument()
    private var reading = ClassReading()
    /// The tensors that go behind the header.
    private var binary: [UInt8] = []
    private var text: [UInt8] = []

    package init() {}

    /// Gives back what one large answer has made grow.
    package mutating func shrink(to bytes: Int) {
        if binary.capacity > bytes { binary = [] }
        if text.capacity > bytes { text = [] }
        document.shrink(to: bytes / 16)
        reading.shrink(to: bytes)
    }

    private static let outputName = Array("output".utf8)
    private static let labelName = Array("prediction".utf8)
    private static let numbersName = Array("probas".utf8)

    /// The names of the outputs of a model that answers rows.
    package static func outputNames(_ output: OutputDescription) -> [StaticString] {
        output.classes.isEmpty ? ["output"] : ["prediction", "probas"]
    }

    /// Appends the body of an answer; returns the length of its header if something is behind it.
    ///
    /// - Parameters:
    ///   - outcome: what the rows came to.
    ///   - results: what a model has written by itself, instead of rows; and its bytes.
    ///   - request: what was asked.
    ///   - model: the model's name in the request.
    package mutating func appendAnswer(
        _ outcome: borrowing PredictionOutcome,
        results: [TensorResult]?,
        _ bytes: Span<UInt8>,
        to request: TensorRequest,
        model: Span<UInt8>,
        requestID: borrowing ByteBuffer,
        body: inout ByteBuffer
    ) -> Int? {
        binary.removeAll(keepingCapacity: true)
        let start = body.count
        body.append(literal: "{\"model_name\":")
        body.append(jsonString: model)
        let split = outcome.splits[0]
        body.append(literal: ",\"model_version\":")
        split.text.appendArm(to: &body)
        if !request.id.isEmpty {
            body.append(literal: ",\"id\":")
            let id = request.id
            body.append(id.span)
        }
        body.append(literal: ",\"parameters\":{\"request_id\":")
        requestID.withSpan { body.append(jsonString: $0) }
        split.text.appendParameters(to: &body)
        appendAssignment(outcome, &body)
        body.append(literal: "},\"outputs\":[")
        var count = 0
        if let results {
            for result in results {
                append(result, bytes, request, &count, &body)
            }
        } else if split.text.output.classes.isEmpty {
            appendRows(outcome, request, &count, &body)
        } else {
            appendClasses(outcome, request, &count, &body)
        }
        body.append(literal: "]}")
        guard !binary.isEmpty else { return nil }
        let header = body.count - start
        body.append(binary.span)
        if binary.capacity > 1 << 20 { binary = [] }
        return header
    }

    private func appendAssignment(
        _ outcome: borrowing PredictionOutcome,
        _ body: inout ByteBuffer
    ) {
        if let assignment = outcome.splits[0].assignment {
            body.append(literal: assignment.member)
        }
        if let intended = outcome.splits[0].intended {
            body.append(literal: ",\"intended_backend_name\":")
            body.append(jsonString: intended.span)
        }
        guard let row = outcome.rows.first, row.hasSubject else { return }
        body.append(literal: ",\"subject_id\":")
        outcome.subjects.withSpan { body.append(jsonString: $0.extracting(row.subject)) }
    }

    /// Whether an output is wanted, and how; nil: it is not.
    private func wish(_ name: Span<UInt8>, _ request: TensorRequest) -> Bool? {
        if request.outputs.isEmpty { return request.answersBinary }
        let names = request.names
        return request.outputs.first {
            Bytes.equal(names.span.extracting($0.name), name)
        }?.isBinary
    }

    /// Begins an output: everything before its elements.
    private func begin(
        _ name: Span<UInt8>,
        _ type: Datatype,
        _ shape: [Int],
        _ count: inout Int,
        _ body: inout ByteBuffer
    ) {
        body.append(count == 0 ? "{\"name\":" : ",{\"name\":")
        count += 1
        body.append(jsonString: name)
        body.append(literal: ",\"datatype\":\"")
        body.append(literal: type.name)
        body.append(literal: "\",\"shape\":[")
        for (index, size) in shape.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(decimal: UInt64(size))
        }
        body.append(literal: "]")
    }

    /// Ends an output whose bytes are behind `start`.
    private func end(binaryFrom start: Int, _ body: inout ByteBuffer) {
        body.append(literal: ",\"parameters\":{\"binary_data_size\":")
        body.append(decimal: UInt64(binary.count - start))
        body.append(literal: "}}")
    }

    // MARK: Tensors of a model

    private mutating func append(
        _ result: TensorResult,
        _ bytes: Span<UInt8>,
        _ request: TensorRequest,
        _ count: inout Int,
        _ body: inout ByteBuffer
    ) {
        guard let isBinary = wish(result.name.span, request) else { return }
        begin(result.name.span, result.datatype, result.shape, &count, &body)
        if isBinary {
            let start = binary.count
            binary.append(bytes.extracting(result.bytes))
            return end(binaryFrom: start, &body)
        }
        body.append(literal: ",\"data\":[")
        text.removeAll(keepingCapacity: true)
        TensorResult.appendElements(of: result, bytes, to: &text)
        body.append(text.span)
        body.append(literal: "]}")
    }

    // MARK: Rows

    /// What all rows' results are.
    private enum Kind { case numbers, booleans, strings, vectors(Int), json }

    private mutating func appendRows(
        _ outcome: borrowing PredictionOutcome,
        _ request: TensorRequest,
        _ count: inout Int,
        _ body: inout ByteBuffer
    ) {
        let name = Self.outputName
        guard let isBinary = wish(name.span, request) else { return }
        let rows = outcome.rows.count
        let kind = kind(outcome)
        let type: Datatype
        var shape = [rows]
        switch kind {
        case .numbers: type = .fp64
        case .vectors(let size): (type, shape) = (.fp64, [rows, size])
        case .booleans: type = .bool
        case .strings, .json: type = .bytes
        }
        begin(name.span, type, shape, &count, &body)
        let start = binary.count
        if !isBinary { body.append(literal: ",\"data\":[") }
        for row in 0..<rows {
            if row > 0, !isBinary { body.append(UInt8(ascii: ",")) }
            outcome.outputs.withSpan {
                append($0.extracting(outcome.rows[row].output), kind, isBinary, &body)
            }
        }
        if isBinary { end(binaryFrom: start, &body) } else { body.append(literal: "]}") }
    }

    /// Looks at the results, which are checked JSON: their first bytes say what they are.
    private mutating func kind(_ outcome: borrowing PredictionOutcome) -> Kind {
        var first: UInt8?
        var size: Int?
        for row in outcome.rows {
            let byte = outcome.outputs[row.output.lowerBound]
            let kind = byte == UInt8(ascii: "-") || byte &- 48 < 10 ? UInt8(ascii: "0") : byte
            guard first == nil || first == (kind == UInt8(ascii: "f") ? UInt8(ascii: "t") : kind)
            else { return .json }
            first = kind == UInt8(ascii: "f") ? UInt8(ascii: "t") : kind
            guard first == UInt8(ascii: "[") else { continue }
            let length = outcome.outputs.withSpan { vectorSize($0.extracting(row.output)) }
            guard let length, size == nil || size == length else { return .json }
            size = length
        }
        switch first {
        case UInt8(ascii: "0"): return .numbers
        case UInt8(ascii: "t"): return .booleans
        case UInt8(ascii: "\""): return .strings
        case UInt8(ascii: "["): return .vectors(size ?? 0)
        default: return .json
        }
    }

    /// How many numbers a list has; nil: it has something else.
    private mutating func vectorSize(_ text: Span<UInt8>) -> Int? {
        guard (try? document.parse(text)) != nil, document.entries.count > 1 else { return nil }
        for index in 1..<document.entries.count where document.entries[index].kind != .number {
            return nil
        }
        return document.entries.count - 1
    }

    /// Appends the result of one row.
    private mutating func append(
        _ result: Span<UInt8>,
        _ kind: Kind,
        _ isBinary: Bool,
        _ body: inout ByteBuffer
    ) {
        guard isBinary else {
            switch kind {
            case .json: return body.append(jsonString: result)
            case .vectors: return body.append(result.extracting(1..<result.count - 1))
            case .numbers, .booleans, .strings: return body.append(result)
            }
        }
        switch kind {
        case .numbers: TensorElement.pack(.fp64, result, to: &binary)
        case .booleans: TensorElement.pack(.bool, result, to: &binary)
        case .strings: TensorElement.pack(.bytes, result, to: &binary)
        case .json: TensorElement.append(result, to: &binary)
        case .vectors:
            guard (try? document.parse(result)) != nil else { return }
            for entry in document.entries.dropFirst() {
                TensorElement.pack(.fp64, result.extracting(entry.range), to: &binary)
            }
        }
    }

    // MARK: Classes

    private mutating func appendClasses(
        _ outcome: borrowing PredictionOutcome,
        _ request: TensorRequest,
        _ count: inout Int,
        _ body: inout ByteBuffer
    ) {
        let output = outcome.splits[0].text.output
        var labels: [Int] = []
        var numbers: [Double] = []
        for row in outcome.rows {
            let isRead = outcome.outputs.withSpan {
                reading.read($0.extracting(row.output), as: output)
            }
            // Not what was declared: then it is answered as it is.
            guard isRead else { return appendRows(outcome, request, &count, &body) }
            labels.append(reading.prediction)
            numbers += reading.probabilities
        }
        let labelName = Self.labelName
        if let isBinary = wish(labelName.span, request) {
            begin(labelName.span, .bytes, [labels.count], &count, &body)
            let start = binary.count
            if !isBinary { body.append(literal: ",\"data\":[") }
            for (row, label) in labels.enumerated() {
                let bytes = Array(output.classes[label].utf8)
                guard isBinary else {
                    if row > 0 { body.append(UInt8(ascii: ",")) }
                    body.append(jsonString: bytes.span)
                    continue
                }
                TensorElement.append(bytes.span, to: &binary)
            }
            if isBinary { end(binaryFrom: start, &body) } else { body.append(literal: "]}") }
        }
        let numbersName = Self.numbersName
        guard let isBinary = wish(numbersName.span, request) else { return }
        let shape = [labels.count, output.classes.count]
        begin(numbersName.span, .fp64, shape, &count, &body)
        let start = binary.count
        text.removeAll(keepingCapacity: true)
        for (index, number) in numbers.enumerated() {
            if isBinary {
                TensorElement.append(number.bitPattern, 8, to: &binary)
            } else {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                text.append(jsonNumber: number)
            }
        }
        guard !isBinary else { return end(binaryFrom: start, &body) }
        body.append(literal: ",\"data\":[")
        body.append(text.span)
        body.append(literal: "]}")
    }
}

extension TensorResult {
    /// Appends tensors as the protocol has them in JSON.
    package static func append(
        _ results: [TensorResult],
        _ bytes: Span<UInt8>,
        to text: inout [UInt8]
    ) {
        text.append(UInt8(ascii: "["))
        for (index, result) in results.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append("{\"name\":")
            text.append(jsonString: result.name.span)
            appendType(result.datatype, result.shape, to: &text)
            appendElements(of: result, bytes, to: &text)
            text.append("]}")
        }
        text.append(UInt8(ascii: "]"))
    }

    /// `,"datatype":…,"shape":[…],"data":[`
    static func appendType(_ datatype: Datatype, _ shape: [Int], to text: inout [UInt8]) {
        text.append(",\"datatype\":\"\(datatype.name)\",\"shape\":[")
        text.append(shape.map(String.init).joined(separator: ","))
        text.append("],\"data\":[")
    }

    /// Appends the elements as JSON, with commas between them; what JSON cannot express is null.
    package static func appendElements(
        of result: TensorResult,
        _ bytes: Span<UInt8>,
        to text: inout [UInt8]
    ) {
        var position = result.bytes.lowerBound
        while position < result.bytes.upperBound {
            if position > result.bytes.lowerBound { text.append(UInt8(ascii: ",")) }
            guard let size = result.datatype.size else {
                let count = TensorElement.length(bytes, position)
                position += TensorElement.lengthBytes
                text.append(jsonString: bytes.extracting(position..<position + count))
                position += count
                continue
            }
            if !TensorElement.append(result.datatype, bytes, position, to: &text) {
                text.append("null")
            }
            position += size
        }
    }
}
