// The native protocol, which is Modelbit's: `{"data": …}` in, `{"data": …, "split": …}` out.

package import Bytes
package import Endpoints
package import JSON

/// Reads native requests and writes native answers.
package enum NativeSurface {
    private static let dataName = Array("data".utf8)
    private static let timeoutName = Array("timeout_seconds".utf8)

    /// Finds the rows and their arguments in a checked request.
    ///
    /// An object, string, number, boolean or null is one argument; a list holds the arguments; a
    /// list whose first element is a list is a batch of rows `[id, arguments…]`.
    package static func decode(
        _ document: borrowing JSONDocument,
        in text: Span<UInt8>,
        limits: CallLimits,
        to call: inout PredictionCall
    ) throws(Failure) {
        call.clear()
        guard document.entries[0].kind == .object else {
            throw Failure(.badRequest, "the body must be an object with the member \"data\"")
        }
        guard let data = document.member(dataName, of: 0, in: text) else {
            throw Failure(.badRequest, "the body has no member \"data\"")
        }
        // A body with nothing but its data, which is nearly every one, is not searched again.
        if data != 2 || document.entries[data].next != document.entries[0].next {
            try decodeTimeout(document, text, &call)
        }
        let entry = document.entries[data]
        guard entry.kind == .array else {
            call.addArgument(data)
            return call.endRow(id: -1)
        }
        let elements = data + 1..<Int(entry.next)
        if let first = elements.first, document.entries[first].kind == .array {
            return try decodeBatch(elements, document, limits, &call)
        }
        try decodeArguments(elements, document, limits, &call) { "\"data\"" }
        call.endRow(id: -1)
    }

    private static func decodeTimeout(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ call: inout PredictionCall
    ) throws(Failure) {
        guard let index = document.member(timeoutName, of: 0, in: text),
            document.entries[index].kind != .null
        else { return }
        let shown = Bytes.string(text, document.entries[index].range.prefix(40))
        guard document.entries[index].kind == .number, let seconds = Double(shown), seconds > 0
        else {
            throw Failure(
                .badInput,
                "\"timeout_seconds\" is \(shown); wanted a number of seconds above 0"
            )
        }
        call.timeoutNanoseconds = UInt64(min(max(seconds * 1e9, 1), 1e15))
    }

    private static func decodeBatch(
        _ elements: Range<Int>,
        _ document: borrowing JSONDocument,
        _ limits: CallLimits,
        _ call: inout PredictionCall
    ) throws(Failure) {
        call.isBatch = true
        var index = elements.lowerBound
        while index < elements.upperBound {
            let number = call.rows.count
            guard number < limits.rows else {
                throw Failure(
                    .badInput,
                    "the batch has more than \(limits.rows) rows; send it in several requests"
                )
            }
            let row = document.entries[index]
            guard row.kind == .array, Int(row.next) > index + 1 else {
                throw Failure(
                    .badInput,
                    "row \(number) of the batch is \(row.kind == .array ? "empty" : "no list"); "
                        + "every row is a list of an id and the arguments"
                )
            }
            let id = document.entries[index + 1]
            guard id.kind == .string || id.kind == .number,
                id.range.count <= PredictionCall.idBytesMaximum
            else {
                throw Failure(
                    .badInput,
                    "row \(number) of the batch does not begin with an id, which is a number or a "
                        + "string of at most \(PredictionCall.idBytesMaximum) bytes"
                )
            }
            let arguments = index + 2..<Int(row.next)
            try decodeArguments(arguments, document, limits, &call) {
                "row \(number) of the batch"
            }
            call.endRow(id: index + 1)
            index = Int(row.next)
        }
    }

    private static func decodeArguments(
        _ elements: Range<Int>,
        _ document: borrowing JSONDocument,
        _ limits: CallLimits,
        _ call: inout PredictionCall,
        _ place: () -> String
    ) throws(Failure) {
        let before = call.arguments.count
        var index = elements.lowerBound
        while index < elements.upperBound {
            guard call.arguments.count - before < limits.arguments else {
                throw Failure(
                    .badInput,
                    "\(place()) has more than \(limits.arguments) arguments"
                )
            }
            call.addArgument(index)
            index = Int(document.entries[index].next)
        }
    }

    /// The value that names a row's subject: its index in the document, or nil.
    package static func subject(
        _ key: SubjectKey,
        name: [UInt8],
        arguments: Span<Int>,
        of document: borrowing JSONDocument,
        in text: Span<UInt8>
    ) -> Int? {
        switch key {
        case .member:
            guard !arguments.isEmpty else { return nil }
            return document.member(name, of: arguments[0], in: text)
        case .argument(let position):
            return position < arguments.count ? arguments[position] : nil
        }
    }

    /// Appends the body of an answer: `data` first, then what says how it came about.
    package static func appendAnswer(
        _ outcome: borrowing PredictionOutcome,
        to call: borrowing PredictionCall,
        of document: borrowing JSONDocument,
        in text: Span<UInt8>,
        requestID: borrowing ByteBuffer,
        body: inout ByteBuffer
    ) {
        if call.isBatch {
            appendRows(outcome, call, document, text, &body)
        } else {
            body.append(literal: "{\"data\":")
            body.append(outcome.outputs)
        }
        body.append(literal: ",\"requestId\":")
        requestID.withSpan { body.append(jsonString: $0) }
        if call.isBatch {
            appendSplits(outcome, &body)
        } else if let row = outcome.rows.last {
            body.append(literal: ",\"split\":")
            appendSplit(row, outcome, withSubject: true, &body)
        }
        body.append(UInt8(ascii: "}"))
    }

    private static func appendRows(
        _ outcome: borrowing PredictionOutcome,
        _ call: borrowing PredictionCall,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ body: inout ByteBuffer
    ) {
        body.append(literal: "{\"data\":[")
        for index in call.rows.indices {
            body.append(index == 0 ? "[" : ",[")
            body.append(text.extracting(document.entries[call.rows[index].id].range))
            body.append(UInt8(ascii: ","))
            outcome.outputs.withSpan { body.append($0.extracting(outcome.rows[index].output)) }
            body.append(UInt8(ascii: "]"))
        }
        body.append(UInt8(ascii: "]"))
    }

    /// Appends which splits answered, which of them each row, and whose the rows are.
    private static func appendSplits(
        _ outcome: borrowing PredictionOutcome,
        _ body: inout ByteBuffer
    ) {
        body.append(literal: ",\"splits\":[")
        for index in outcome.splits.indices {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            // Any row of the split: what rows differ in, the subject, is left out.
            guard let row = outcome.rows.first(where: { $0.split == index }) else { continue }
            appendSplit(row, outcome, withSubject: false, &body)
        }
        body.append(literal: "],\"rowSplits\":[")
        for index in outcome.rows.indices {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.append(decimal: UInt64(outcome.rows[index].split))
        }
        body.append(UInt8(ascii: "]"))
        guard outcome.rows.contains(where: { $0.hasSubject }) else { return }
        body.append(literal: ",\"subjectIds\":[")
        for index in outcome.rows.indices {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            let row = outcome.rows[index]
            if row.hasSubject {
                outcome.subjects.withSpan {
                    body.append(jsonString: $0.extracting(row.subject))
                }
            } else {
                body.append(literal: "null")
            }
        }
        body.append(UInt8(ascii: "]"))
    }

    /// Appends the body of a failure, with the split where it happened after the assignment.
    package static func appendFailure(
        _ failure: Failure,
        _ outcome: borrowing PredictionOutcome,
        requestID: borrowing ByteBuffer,
        body: inout ByteBuffer
    ) {
        body.append(literal: "{\"error\":")
        body.append(jsonString: failure.sentence)
        body.append(",\"code\":\"\(failure.code.rawValue)\",\"requestId\":")
        requestID.withSpan { body.append(jsonString: $0) }
        if outcome.isAssigned {
            body.append(literal: ",\"split\":")
            appendSplit(outcome.rows[outcome.rowAtHand], outcome, withSubject: true, &body)
        }
        body.append(UInt8(ascii: "}"))
    }

    private static func appendSplit(
        _ row: PredictionOutcome.Row,
        _ outcome: borrowing PredictionOutcome,
        withSubject: Bool,
        _ body: inout ByteBuffer
    ) {
        let text = outcome.splits[row.split].text
        body.append(UInt8(ascii: "{"))
        text.appendOpening(to: &body)
        if withSubject, row.hasSubject {
            body.append(literal: ",\"subjectId\":")
            outcome.subjects.withSpan { body.append(jsonString: $0.extracting(row.subject)) }
        }
        if let assignment = outcome.splits[row.split].assignment {
            body.append(literal: assignment.member)
        }
        if let intended = outcome.splits[row.split].intended {
            body.append(literal: ",\"intendedBackendName\":")
            body.append(jsonString: intended.span)
        }
        text.appendClosing(to: &body)
        body.append(UInt8(ascii: "}"))
    }
}
