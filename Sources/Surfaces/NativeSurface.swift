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
            throw Failure(.badRequest, listInstead(document))
        }
        guard let data = document.member(dataName, of: 0, in: text) else {
            throw Failure(.badRequest, membersInstead(document, text))
        }
        // A body with nothing but its data, which is nearly every one, is not searched again.
        if data != 2 || document.entries[data].next != document.entries[0].next {
            try decodeOptions(document, text, &call)
        }
        let entry = document.entries[data]
        guard entry.kind == .array else {
            call.addArgument(data)
            return call.endRow(id: -1)
        }
        let elements = data + 1..<Int(entry.next)
        if let first = elements.first, document.entries[first].kind == .array {
            return try decodeBatch(elements, document, text, limits, &call)
        }
        try decodeArguments(elements, document, limits, &call) { "\"data\"" }
        call.endRow(id: -1)
    }

    /// What to send instead of a body that is no object.
    private static func listInstead(_ document: borrowing JSONDocument) -> String {
        let wanted = "the body must be an object with the member \"data\""
        guard document.entries[0].kind == .array, document.entries.count > 1 else { return wanted }
        guard document.entries[1].kind == .object else {
            return "\(wanted): {\"data\": …}, a batch as {\"data\": [[id, …], …]}"
        }
        return "\(wanted), and it is a list of objects, as pandas' orient=\"records\" writes it: "
            + "send {\"data\": [[0, {…}], [1, {…}]]}, each object with an id before it"
    }

    /// What to send instead of a body that has other members.
    private static func membersInstead(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) -> String {
        let missing = "the body has no member \"data\""
        func has(_ name: StaticString) -> Bool {
            document.member(Array("\(name)".utf8), of: 0, in: text) != nil
        }
        if has("columns") || has("dataframe_split") || has("dataframe_records") {
            return "\(missing), and looks like a table of pandas or MLflow: send a batch, "
                + "{\"data\": [[0, {\"column\": value, …}], …]}, each row with an id before it"
        }
        if has("instances") {
            return "\(missing), and looks like a request of TensorFlow Serving or Vertex: send "
                + "{\"data\": …}, a batch as [[id, …], …]"
        }
        if has("inputs") {
            return "\(missing), and looks like a request of Open Inference: send it to "
                + "/v2/models/NAME/infer"
        }
        if has("features") {
            return "\(missing), and looks like a request of Dataiku: send it to "
                + "/public/api/v1/SERVICE/ENDPOINT/predict"
        }
        return "\(missing): send the inputs as {\"data\": {…}}"
    }

    private static let formatName = Array("response_format".utf8)
    private static let webhookName = Array("response_webhook".utf8)

    /// Reads what stands beside the data: the time, and ways to answer that there are none of.
    private static func decodeOptions(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ call: inout PredictionCall
    ) throws(Failure) {
        try decodeTimeout(document, text, &call)
        if let index = document.member(webhookName, of: 0, in: text),
            document.entries[index].kind != .null
        {
            throw Failure(
                .badRequest,
                "\"response_webhook\" asks for an answer by a call of the host's; it answers in "
                    + "the response alone: leave the member out"
            )
        }
        guard let index = document.member(formatName, of: 0, in: text),
            document.entries[index].kind != .null
        else { return }
        let shown = Bytes.string(text, document.entries[index].range.prefix(40))
        throw Failure(
            .badRequest,
            "\"response_format\" is \(shown); this host has no links, it answers in the response "
                + "itself: leave the member out"
        )
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
        _ text: Span<UInt8>,
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
            guard isID(id, text) else {
                throw Failure(
                    .badInput,
                    "row \(number) of the batch does not begin with an id, which is a number or a "
                        + "string of at most \(PredictionCall.idCharactersMaximum) characters"
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

    /// Whether a value names a row.
    private static func isID(_ id: JSONEntry, _ text: Span<UInt8>) -> Bool {
        let most = PredictionCall.idCharactersMaximum
        guard id.kind == .string else { return id.kind == .number && id.range.count <= most }
        if id.contents.count <= most { return true }
        // A character takes twelve bytes at most, as two escapes.
        guard id.contents.count <= most * 12 else { return false }
        var characters = 0
        JSONText.unescape(text.extracting(id.contents)) { byte in
            if byte & 0xc0 != 0x80 { characters += 1 }
        }
        return characters <= most
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
            outcome.appendSplits(&body)
        } else if let row = outcome.rows.last {
            body.append(literal: ",\"split\":")
            outcome.appendSplit(of: row, withSubject: true, &body)
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
}
