// The lines of the request log, as a loop leaves them in its ring: the time's text, then the rest
// of the line from the comma behind the sequence number on. The writer puts the number between.
//
// A request has one record for each split that answered rows of it, chosen in one way. A record
// that would be longer than 64 KiB is cut into parts between its rows; a row that is too long by
// itself loses its payloads, and says so.

import Bytes
import Endpoints
import JSON
import Logging
import Platform
import Surfaces

/// What a record is made of beside the rows.
struct RequestFacts {
    var surface = Surface.native
    var endpoint: PreparedEndpoint?
    var code: FailureCode?
    var status = 200
    /// Whether a worker died while the request was executed before.
    var isRerun = false
    var durationNanoseconds: UInt64 = 0
}

/// Writes records.
struct RequestRecord: ~Copyable {
    /// Bytes of `2026-11-21T03:00:00.123456Z`.
    static let timeBytes = 27
    /// Bytes of one part before its end and its sequence number; a whole line has at most 64 KiB.
    static let bytesMaximum = 64 * 1024 - 128

    /// The part that is being written; it keeps its memory.
    private var text = ByteBuffer(capacity: 4096)
    private var time = WallTime(microseconds: 0)
    private var second: Int64 = -1
    private var secondText: [UInt8] = []

    /// Writes the records of a request and hands out each part.
    ///
    /// - Parameters:
    ///   - predictor: the request, its rows and what they came to.
    ///   - content: the request's body.
    ///   - time: when it was answered.
    ///   - withPayloads: whether inputs and outputs are wanted.
    ///   - emit: takes one complete part.
    mutating func write(
        _ predictor: Predictor,
        in content: Span<UInt8>,
        at time: WallTime,
        withPayloads: Bool,
        _ emit: (Span<UInt8>) -> Void
    ) {
        self.time = time
        // What was too large to be sent is too large to be logged.
        let withPayloads = withPayloads && predictor.facts.code != .tooLarge
        let splits = predictor.outcome.splits.count
        if splits == 0 {
            return write(predictor, nil, content, withPayloads, emit)
        }
        for split in 0..<splits {
            write(predictor, split, content, withPayloads, emit)
        }
    }

    /// Writes the record of one split, or of a request that had none.
    private mutating func write(
        _ predictor: Predictor,
        _ split: Int?,
        _ content: Span<UInt8>,
        _ withPayloads: Bool,
        _ emit: (Span<UInt8>) -> Void
    ) {
        begin(predictor, split)
        var part = 1
        var rowsStart = text.count
        let rows = split == nil ? predictor.call.rows.count : predictor.outcome.rows.count
        for row in 0..<rows where split == nil || predictor.outcome.rows[row].split == split {
            let before = text.count
            if before > rowsStart { text.append(UInt8(ascii: ",")) }
            let room = Self.bytesMaximum - rowsStart
            appendRow(row, predictor, content, payloadRoom: withPayloads ? room : nil)
            guard text.count > Self.bytesMaximum, before > rowsStart else { continue }
            text.removeLast(text.count - before)
            text.append("],\"part\":\(part)}")
            text.withSpan(emit)
            part += 1
            begin(predictor, split)
            rowsStart = text.count
            appendRow(row, predictor, content, payloadRoom: withPayloads ? room : nil)
        }
        if part == 1 { text.append(literal: "]}") } else { text.append("],\"part\":\(part)}") }
        text.withSpan(emit)
    }

    /// Begins a part: everything before its rows.
    private mutating func begin(
        _ predictor: Predictor,
        _ split: Int?
    ) {
        text.clear(keeping: 1 << 20)
        appendTime()
        text.append(literal: ",\"requestId\":")
        predictor.requestID.withSpan { text.append(jsonString: $0) }
        let facts = predictor.facts
        text.append(literal: facts.surface.member)
        var rows = predictor.call.rows.count
        var queueNanoseconds: UInt64 = 0
        if let split {
            let used = predictor.outcome.splits[split]
            used.text.appendRecordOpening(to: &text)
            if let assignment = used.assignment {
                text.append(literal: assignment.member)
                appendDefaultSeed(assignment, facts.endpoint)
            }
            if let intended = used.intended {
                text.append(literal: ",\"intendedBackendName\":")
                text.append(jsonString: intended.span)
            }
            used.text.appendRecordClosing(to: &text)
            rows = used.batchRows
            queueNanoseconds = used.queueNanoseconds
        } else if let endpoint = facts.endpoint {
            text.append(literal: ",\"endpointName\":")
            text.append(jsonString: endpoint.name)
        }
        text.append(literal: ",\"status\":")
        text.append(decimal: UInt64(facts.status))
        if let code = facts.code {
            text.append(literal: ",\"code\":\"")
            text.append(code.rawValue)
            text.append(UInt8(ascii: "\""))
        }
        if facts.isRerun { text.append(literal: ",\"rerun\":true") }
        text.append(literal: ",\"durationMicroseconds\":")
        text.append(decimal: facts.durationNanoseconds / 1000)
        text.append(literal: ",\"queueMicroseconds\":")
        text.append(decimal: queueNanoseconds / 1000)
        text.append(literal: ",\"batchSize\":")
        text.append(decimal: UInt64(rows))
        text.append(literal: ",\"results\":[")
    }

    /// Appends what a subject was hashed with that the caller has named, and not the endpoint.
    private mutating func appendDefaultSeed(
        _ assignment: AssignmentKind,
        _ endpoint: PreparedEndpoint?
    ) {
        guard assignment == .subject, let endpoint, endpoint.subjectKey == nil else { return }
        text.append(literal: ",\"experimentId\":")
        text.append(jsonString: endpoint.name)
        text.append(",\"algorithm\":\"\(Assigner.algorithm)\"")
    }

    /// Appends one row; `payloadRoom` is how many bytes it may take with inputs and output, and nil
    /// when they are not wanted.
    private mutating func appendRow(
        _ row: Int,
        _ predictor: Predictor,
        _ content: Span<UInt8>,
        payloadRoom: Int?
    ) {
        let start = text.count
        let id = predictor.call.rows[row].id
        text.append(literal: "{\"id\":")
        if id >= 0 {
            text.append(content.extracting(predictor.document.entries[id].range))
        } else {
            text.append(decimal: UInt64(row))
        }
        if row < predictor.outcome.rows.count, predictor.outcome.rows[row].hasSubject {
            text.append(literal: ",\"subjectId\":")
            let place = predictor.outcome.rows[row].subject
            predictor.outcome.subjects.withSpan { text.append(jsonString: $0.extracting(place)) }
        }
        appendContext(of: predictor.call.rows[row], predictor, content)
        if let payloadRoom {
            appendPayloads(row, predictor, content, room: payloadRoom - (text.count - start))
        }
        text.append(UInt8(ascii: "}"))
    }

    /// Bytes of what a caller wants to be logged with a row.
    private static let contextBytesMaximum = 4096

    /// Appends what the caller wants to be logged with the row.
    private mutating func appendContext(
        of row: PredictionCall.Row,
        _ predictor: Predictor,
        _ content: Span<UInt8>
    ) {
        guard row.context >= 0 else { return }
        let place = predictor.document.entries[row.context].range
        guard place.count <= Self.contextBytesMaximum else {
            return text.append(literal: ",\"context\":\"dropped\"")
        }
        let before = text.count
        text.append(literal: ",\"context\":")
        text.append(content.extracting(place))
        removeLineEnds(from: before)
    }

    /// Checked JSON has line ends only between its tokens; a record is one line.
    private mutating func removeLineEnds(from start: Int) {
        for index in start..<text.count where text[index] == 0x0a || text[index] == 0x0d {
            text[index] = 0x20
        }
    }

    /// Appends a row's inputs and its output, or, where they have no room, that they are gone.
    private mutating func appendPayloads(
        _ row: Int,
        _ predictor: Predictor,
        _ content: Span<UInt8>,
        room: Int
    ) {
        if predictor.facts.surface == .openInference, predictor.tensors.areAsTheyAre {
            return appendTensors(predictor, predictor.tensors.answer, content, room: room)
        }
        let arguments = predictor.call.rows[row].arguments
        var output = 0..<0
        if row < predictor.outcome.rows.count { output = predictor.outcome.rows[row].output }
        var bytes = output.count + 64
        for index in arguments {
            bytes += predictor.document.entries[predictor.call.arguments[index]].range.count + 1
        }
        guard bytes <= room else { return text.append(literal: ",\"payloads\":\"dropped\"") }
        let before = text.count
        text.append(literal: ",\"inputs\":[")
        for index in arguments {
            if index > arguments.lowerBound { text.append(UInt8(ascii: ",")) }
            let argument = predictor.call.arguments[index]
            text.append(content.extracting(predictor.document.entries[argument].range))
        }
        text.append(UInt8(ascii: "]"))
        if !output.isEmpty {
            text.append(literal: ",\"output\":")
            predictor.outcome.outputs.withSpan { text.append($0.extracting(output)) }
        }
        removeLineEnds(from: before)
    }

    /// Appends the tensors of a call that went to a model as they are, and what it has written.
    private mutating func appendTensors(
        _ predictor: Predictor,
        _ answer: TensorAnswer?,
        _ content: Span<UInt8>,
        room: Int
    ) {
        let request = predictor.tensors.request
        var inputs: [UInt8] = []
        var outputs: [UInt8] = []
        // An element takes two bytes or more, its comma counted.
        let elements = request.tensors.reduce(0) { $0 + $1.count }
        var isShort = elements <= room / 2 && (answer?.bytes.count ?? 0) <= room
        if isShort {
            request.appendTensors(predictor.document, content, to: &inputs)
            if let answer {
                let bytes = answer.bytes
                TensorResult.append(answer.results, bytes.span, to: &outputs)
            }
            isShort = inputs.count + outputs.count + 64 <= room
        }
        guard isShort else { return text.append(literal: ",\"payloads\":\"dropped\"") }
        text.append(literal: ",\"inputs\":")
        text.append(inputs.span)
        guard answer != nil else { return }
        text.append(literal: ",\"output\":")
        text.append(outputs.span)
    }

    private mutating func appendTime() {
        if time.seconds != second {
            second = time.seconds
            secondText.removeAll(keepingCapacity: true)
            Timestamp.appendSecond(time.parts, to: &secondText)
        }
        text.append(contentsOf: secondText)
        text.append(UInt8(ascii: "."))
        text.append(decimal: UInt64(max(0, time.microseconds) % 1_000_000), width: 6)
        text.append(UInt8(ascii: "Z"))
    }
}
