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
    var endpoint: PreparedEndpoint?
    var code: FailureCode?
    var status = 200
    var durationNanoseconds: UInt64 = 0
}

/// Writes records.
struct RequestRecord {
    /// Bytes of `2026-11-21T03:00:00.123456Z`.
    static let timeBytes = 27
    /// Bytes of one part before its end and its sequence number; a whole line has at most 64 KiB.
    static let bytesMaximum = 64 * 1024 - 128

    /// The part that is being written; it keeps its memory.
    private var text: [UInt8] = []
    private var second: Int64 = -1
    private var secondText: [UInt8] = []

    init() {
        text.reserveCapacity(4096)
    }

    /// Writes the records of a request and hands out each part.
    ///
    /// - Parameters:
    ///   - predictor: the request, its rows and what they came to.
    ///   - content: the request's body.
    ///   - withPayloads: whether inputs and outputs are wanted.
    ///   - emit: takes one complete part.
    mutating func write(
        _ predictor: Predictor,
        in content: Span<UInt8>,
        withPayloads: Bool,
        _ emit: ([UInt8]) -> Void
    ) {
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
        _ emit: ([UInt8]) -> Void
    ) {
        begin(predictor, split)
        var part = 1
        var rowsStart = text.count
        let rows = split == nil ? predictor.call.rows.count : predictor.outcome.rows.count
        for row in 0..<rows where split == nil || predictor.outcome.rows[row].split == split {
            let before = text.count
            if before > rowsStart { text.append(",") }
            let room = Self.bytesMaximum - rowsStart
            appendRow(row, predictor, content, payloadRoom: withPayloads ? room : nil)
            guard text.count > Self.bytesMaximum, before > rowsStart else { continue }
            text.removeLast(text.count - before)
            text.append("],\"part\":\(part)}")
            emit(text)
            part += 1
            begin(predictor, split)
            rowsStart = text.count
            appendRow(row, predictor, content, payloadRoom: withPayloads ? room : nil)
        }
        text.append(part == 1 ? "]}" : "],\"part\":\(part)}")
        emit(text)
    }

    /// Begins a part: everything before its rows.
    private mutating func begin(
        _ predictor: Predictor,
        _ split: Int?
    ) {
        text.removeAll(keepingCapacity: text.capacity <= 1 << 20)
        appendTime()
        text.append(",\"requestId\":")
        let requestID = predictor.requestID
        text.append(jsonString: requestID.span)
        text.append(",\"surface\":\"native\"")
        let facts = predictor.facts
        var rows = predictor.call.rows.count
        var queueNanoseconds: UInt64 = 0
        if let split {
            let used = predictor.outcome.splits[split]
            text.append(contentsOf: used.text.recordOpening)
            if let assignment = used.assignment {
                text.append(",\"assignment\":\"")
                text.append(assignment.rawValue)
                text.append("\"")
            }
            text.append(contentsOf: used.text.recordClosing)
            rows = used.batchRows
            queueNanoseconds = used.queueNanoseconds
        } else if let endpoint = facts.endpoint {
            text.append(",\"endpointName\":")
            text.append(jsonString: endpoint.endpoint.name)
        }
        text.append(",\"status\":")
        text.append(decimal: UInt64(facts.status))
        if let code = facts.code {
            text.append(",\"code\":\"")
            text.append(code.rawValue)
            text.append("\"")
        }
        text.append(",\"durationMicroseconds\":")
        text.append(decimal: facts.durationNanoseconds / 1000)
        text.append(",\"queueMicroseconds\":")
        text.append(decimal: queueNanoseconds / 1000)
        text.append(",\"batchSize\":")
        text.append(decimal: UInt64(rows))
        text.append(",\"results\":[")
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
        text.append("{\"id\":")
        if id >= 0 {
            text.append(content.extracting(predictor.document.entries[id].range))
        } else {
            text.append(decimal: UInt64(row))
        }
        if row < predictor.outcome.rows.count, predictor.outcome.rows[row].hasSubject {
            text.append(",\"subjectId\":")
            let subjects = predictor.outcome.subjects
            let place = predictor.outcome.rows[row].subject
            text.append(jsonString: subjects.span.extracting(place))
        }
        if let payloadRoom {
            appendPayloads(row, predictor, content, room: payloadRoom - (text.count - start))
        }
        text.append("}")
    }

    /// Appends a row's inputs and its output, or, where they have no room, that they are gone.
    private mutating func appendPayloads(
        _ row: Int,
        _ predictor: Predictor,
        _ content: Span<UInt8>,
        room: Int
    ) {
        let arguments = predictor.call.rows[row].arguments
        var output = 0..<0
        if row < predictor.outcome.rows.count { output = predictor.outcome.rows[row].output }
        var bytes = output.count + 64
        for index in arguments {
            bytes += predictor.document.entries[predictor.call.arguments[index]].range.count + 1
        }
        guard bytes <= room else { return text.append(",\"payloads\":\"dropped\"") }
        let before = text.count
        text.append(",\"inputs\":[")
        for index in arguments {
            if index > arguments.lowerBound { text.append(",") }
            let argument = predictor.call.arguments[index]
            text.append(content.extracting(predictor.document.entries[argument].range))
        }
        text.append("]")
        if !output.isEmpty {
            let outputs = predictor.outcome.outputs
            text.append(",\"output\":")
            text.append(outputs.span.extracting(output))
        }
        // Checked JSON has line ends only between its tokens; a record is one line.
        for index in before..<text.count where text[index] == 0x0a || text[index] == 0x0d {
            text[index] = 0x20
        }
    }

    private mutating func appendTime() {
        let now = WallTime.now()
        if now.seconds != second {
            second = now.seconds
            secondText.removeAll(keepingCapacity: true)
            Timestamp.appendSecond(now.parts, to: &secondText)
        }
        text.append(contentsOf: secondText)
        text.append(UInt8(ascii: "."))
        text.append(decimal: UInt64(max(0, now.microseconds) % 1_000_000), width: 6)
        text.append(UInt8(ascii: "Z"))
    }
}
