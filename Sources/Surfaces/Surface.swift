// The protocols that clients speak here. Each has a file that reads its requests and writes its
// answers; nothing of a protocol is known below.

package import Bytes
import Endpoints
import JSON

/// One protocol.
package enum Surface: UInt8, Sendable, CaseIterable {
    /// `/v1/…`: Modelbit's, and this host's own.
    case native
    /// `/public/api/v1/…`: the Dataiku API node's.
    case dataiku
    /// `/v2/…`: Open Inference, as KServe and Triton speak it.
    case openInference

    /// The member of a log record that names it, with a comma before it.
    package var member: StaticString {
        switch self {
        case .native: ",\"surface\":\"native\""
        case .dataiku: ",\"surface\":\"dataiku\""
        case .openInference: ",\"surface\":\"v2\""
        }
    }

    /// Appends the body of a failure, with the split where it happened after the assignment.
    package func appendFailure(
        _ failure: Failure,
        _ outcome: borrowing PredictionOutcome,
        requestID: borrowing ByteBuffer,
        body: inout ByteBuffer
    ) {
        if self == .dataiku {
            body.append(literal: "{\"errorType\":")
            body.append(jsonString: failure.code.rawValue)
            body.append(literal: ",\"message\":")
            body.append(jsonString: failure.sentence)
        } else {
            body.append(literal: "{\"error\":")
            body.append(jsonString: failure.sentence)
        }
        body.append(",\"code\":\"\(failure.code.rawValue)\",\"requestId\":")
        requestID.withSpan { body.append(jsonString: $0) }
        if outcome.isAssigned {
            body.append(literal: ",\"split\":")
            outcome.appendSplit(of: outcome.rows[outcome.rowAtHand], withSubject: true, &body)
        }
        body.append(UInt8(ascii: "}"))
    }
}

extension PredictionOutcome {
    /// Appends who answered a row, why, and whose it is.
    func appendSplit(of row: Row, withSubject: Bool, _ body: inout ByteBuffer) {
        let text = splits[row.split].text
        body.append(UInt8(ascii: "{"))
        text.appendOpening(to: &body)
        if withSubject, row.hasSubject {
            body.append(literal: ",\"subjectId\":")
            subjects.withSpan { body.append(jsonString: $0.extracting(row.subject)) }
        }
        if let assignment = splits[row.split].assignment {
            body.append(literal: assignment.member)
        }
        if let intended = splits[row.split].intended {
            body.append(literal: ",\"intendedBackendName\":")
            body.append(jsonString: intended.span)
        }
        text.appendClosing(to: &body)
        body.append(UInt8(ascii: "}"))
    }

    /// Appends which splits answered, which of them each row, and whose the rows are.
    func appendSplits(_ body: inout ByteBuffer) {
        body.append(literal: ",\"splits\":[")
        for index in splits.indices {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            // Any row of the split: what rows differ in, the subject, is left out.
            guard let row = rows.first(where: { $0.split == index }) else { continue }
            appendSplit(of: row, withSubject: false, &body)
        }
        body.append(literal: "],\"rowSplits\":[")
        for index in rows.indices {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(decimal: UInt64(rows[index].split))
        }
        body.append(UInt8(ascii: "]"))
        guard rows.contains(where: { $0.hasSubject }) else { return }
        body.append(literal: ",\"subjectIds\":[")
        for index in rows.indices {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            let row = rows[index]
            if row.hasSubject {
                subjects.withSpan {
                    body.append(jsonString: $0.extracting(row.subject))
                }
            } else {
                body.append(literal: "null")
            }
        }
        body.append(UInt8(ascii: "]"))
    }

    /// Whether all rows have the same split, chosen in the same way.
    package var hasOneSplit: Bool { splits.count == 1 }
}
