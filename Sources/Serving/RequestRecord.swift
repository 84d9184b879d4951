// One line of the request log, as a loop leaves it in its ring: the time's text, then the rest of
// the line from the comma behind the sequence number on. The writer puts the number between them.

import Bytes
import Endpoints
import JSON
import Logging
import Platform
import Surfaces

/// What a record is made of.
struct RequestFacts {
    var endpoint: PreparedEndpoint?
    var split: PreparedSplit?
    var assignment: AssignmentKind?
    var hasSubject = false
    var code: FailureCode?
    var status = 200
    var durationNanoseconds: UInt64 = 0
}

/// Writes records.
struct RequestRecord {
    /// Bytes of `2026-11-21T03:00:00.123456Z`.
    static let timeBytes = 27
    /// Records longer than this lose their payloads.
    static let bytesMaximum = 64 * 1024

    private var second: Int64 = -1
    private var secondText: [UInt8] = []

    /// Appends the record of one request to `record`, without its payloads' member and its end.
    mutating func begin(_ facts: RequestFacts, requestID: [UInt8], to record: inout [UInt8]) {
        appendTime(to: &record)
        record.append(",\"requestId\":")
        record.append(jsonString: requestID.span)
        record.append(",\"surface\":\"native\"")
        if let split = facts.split, let assignment = facts.assignment {
            record.append(UInt8(ascii: ","))
            record.append(contentsOf: split.text.opening)
            if facts.endpoint?.endpoint.experiment != nil {
                record.append(",\"algorithm\":\"rendezvous-sha256-v1\"")
            }
            record.append(",\"assignment\":\"")
            record.append(assignment.rawValue)
            record.append("\"")
            record.append(contentsOf: split.text.record)
        } else if let endpoint = facts.endpoint {
            record.append(",\"endpointName\":")
            let name = endpoint.name
            record.append(jsonString: name.span)
        }
        record.append(",\"status\":")
        record.append(decimal: UInt64(facts.status))
        if let code = facts.code {
            record.append(",\"code\":\"")
            record.append(code.rawValue)
            record.append("\"")
        }
        record.append(",\"durationMicroseconds\":")
        record.append(decimal: facts.durationNanoseconds / 1000)
        record.append(",\"queueMicroseconds\":0,\"batchSize\":1,\"results\":[{\"id\":0")
    }

    private mutating func appendTime(to record: inout [UInt8]) {
        let now = WallTime.now()
        if now.seconds != second {
            second = now.seconds
            secondText.removeAll(keepingCapacity: true)
            Timestamp.appendSecond(now.parts, to: &secondText)
        }
        record.append(contentsOf: secondText)
        record.append(UInt8(ascii: "."))
        record.append(decimal: UInt64(max(0, now.microseconds) % 1_000_000), width: 6)
        record.append(UInt8(ascii: "Z"))
    }
}
