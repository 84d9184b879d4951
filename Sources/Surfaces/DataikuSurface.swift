// The protocol of the Dataiku API node: `{"features": {…}}` in, `{"result": {…}, "apiContext": …}`
// out. A service is a group of endpoints, a generation is a split.

package import Bytes
import Endpoints
package import JSON

/// Reads requests of the Dataiku API node's clients and writes their answers.
package enum DataikuSurface {
    private static let featuresName = Array("features".utf8)
    private static let itemsName = Array("items".utf8)
    private static let contextName = Array("context".utf8)
    private static let explanationsName = Array("explanations".utf8)
    private static let enabledName = Array("enabled".utf8)
    private static let dispatchName = Array("dispatch".utf8)
    private static let forcedName = Array("forcedGeneration".utf8)
    private static let keyName = Array("dispatchKey".utf8)

    /// How long the steps of an answer took, in microseconds.
    package struct Timing: Sendable {
        /// From the request to the model.
        package var preparing: UInt64 = 0
        /// For a thread of the model's pool.
        package var waiting: UInt64 = 0
        /// In the model.
        package var predicting: UInt64 = 0

        package init() {}
    }

    // MARK: Requests

    /// Finds the rows in a checked request: the features of each are its one argument.
    ///
    /// - Parameter isMulti: whether it has a list of items, each with features of its own.
    package static func decode(
        _ document: borrowing JSONDocument,
        in text: Span<UInt8>,
        isMulti: Bool,
        limits: CallLimits,
        to call: inout PredictionCall
    ) throws(Failure) {
        call.clear()
        guard document.entries[0].kind == .object else {
            throw Failure(.badRequest, "the body must be a JSON object")
        }
        try decodeExplanations(document, text)
        try decodeDispatch(document, text, &call)
        guard isMulti else {
            let place = "the body"
            return try decodeRow(0, document, text, place, &call)
        }
        call.isBatch = true
        guard let items = document.member(itemsName, of: 0, in: text),
            document.entries[items].kind == .array
        else {
            throw Failure(
                .badRequest,
                "the body has no list \"items\"; wanted {\"items\": [{\"features\": {…}}, …]}"
            )
        }
        var index = items + 1
        while index < Int(document.entries[items].next) {
            let number = call.rows.count
            guard number < limits.rows else {
                throw Failure(
                    .badInput,
                    "\"items\" has more than \(limits.rows) elements; send them in several requests"
                )
            }
            try decodeRow(index, document, text, "item \(number)", &call)
            index = Int(document.entries[index].next)
        }
    }

    private static func decodeRow(
        _ object: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ place: @autoclosure () -> String,
        _ call: inout PredictionCall
    ) throws(Failure) {
        guard let features = document.member(featuresName, of: object, in: text),
            document.entries[features].kind == .object
        else {
            throw Failure(
                .badRequest,
                "\(place()) has no object \"features\"; wanted {\"features\": {\"name\": value, …}}"
            )
        }
        call.addArgument(features)
        call.endRow(id: -1, context: value(contextName, of: object, document, text) ?? -1)
    }

    /// A member that is there and not null.
    private static func value(
        _ name: [UInt8],
        of object: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) -> Int? {
        guard let index = document.member(name, of: object, in: text),
            document.entries[index].kind != .null
        else { return nil }
        return index
    }

    /// Explanations may be asked for as long as they are left to the endpoint, or switched off.
    private static func decodeExplanations(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>
    ) throws(Failure) {
        guard let index = value(explanationsName, of: 0, document, text) else { return }
        guard document.entries[index].kind == .object else {
            throw Failure(.badRequest, "\"explanations\" is no object")
        }
        guard let enabled = value(enabledName, of: index, document, text) else { return }
        guard document.entries[enabled].kind == .boolean else {
            throw Failure(.badRequest, "\"explanations.enabled\" is neither true, false nor null")
        }
        guard !document.entries[enabled].flag else {
            throw Failure(
                .badInput,
                "explanations are asked for, and this host computes none: leave "
                    + "\"explanations\" out, or set its \"enabled\" to false or null"
            )
        }
    }

    private static func decodeDispatch(
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ call: inout PredictionCall
    ) throws(Failure) {
        guard let index = value(dispatchName, of: 0, document, text) else { return }
        guard document.entries[index].kind == .object else {
            throw Failure(.badRequest, "\"dispatch\" is no object")
        }
        if let forced = value(forcedName, of: index, document, text) {
            guard document.entries[forced].kind == .string else {
                throw Failure(.badRequest, "\"dispatch.forcedGeneration\" is no string")
            }
            (call.forced, call.isOneArm) = (forced, true)
        }
        if let key = value(keyName, of: index, document, text) {
            (call.subject, call.isOneArm) = (key, true)
        }
    }

    // MARK: Answers

    /// Appends the body of an answer.
    ///
    /// - Parameters:
    ///   - service: the endpoint's group.
    ///   - endpoint: the endpoint's name.
    ///   - timing: how long the steps took.
    ///   - reading: reads results of classifiers; it keeps its memory for the next answer.
    package static func appendAnswer(
        _ outcome: borrowing PredictionOutcome,
        to call: borrowing PredictionCall,
        service: String,
        endpoint: String,
        timing: Timing,
        reading: inout ClassReading,
        requestID: borrowing ByteBuffer,
        body: inout ByteBuffer
    ) {
        if call.isBatch {
            body.append(literal: "{\"results\":[")
            for index in outcome.rows.indices {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                appendResult(outcome.rows[index], outcome, &reading, &body)
            }
            body.append(UInt8(ascii: "]"))
        } else if let row = outcome.rows.last {
            body.append(literal: "{\"result\":")
            appendResult(row, outcome, &reading, &body)
        }
        body.append(literal: ",\"timing\":{\"preProcessing\":")
        body.append(decimal: timing.preparing)
        body.append(literal: ",\"wait\":")
        body.append(decimal: timing.waiting)
        body.append(literal: ",\"enrich\":0,\"preparation\":0,\"prediction\":")
        body.append(decimal: timing.predicting)
        body.append(literal: ",\"postProcessing\":0},\"apiContext\":{\"serviceId\":")
        body.append(jsonString: service)
        body.append(literal: ",\"endpointId\":")
        body.append(jsonString: endpoint)
        if outcome.hasOneSplit {
            body.append(literal: ",\"serviceGeneration\":")
            outcome.splits[0].text.appendArm(to: &body)
        }
        body.append(literal: "},\"requestId\":")
        requestID.withSpan { body.append(jsonString: $0) }
        if !call.isBatch, let row = outcome.rows.last {
            body.append(literal: ",\"split\":")
            outcome.appendSplit(of: row, withSubject: true, &body)
        } else if call.isBatch {
            outcome.appendSplits(&body)
        }
        body.append(UInt8(ascii: "}"))
    }

    private static func appendResult(
        _ row: PredictionOutcome.Row,
        _ outcome: borrowing PredictionOutcome,
        _ reading: inout ClassReading,
        _ body: inout ByteBuffer
    ) {
        let text = outcome.splits[row.split].text
        let isClass = outcome.outputs.withSpan {
            reading.read($0.extracting(row.output), as: text.output)
        }
        body.append(literal: "{\"prediction\":")
        if isClass {
            appendClasses(text.output, reading, &body)
        } else {
            outcome.outputs.withSpan { body.append($0.extracting(row.output)) }
        }
        body.append(literal: ",\"ignored\":false")
        if !outcome.hasOneSplit {
            body.append(literal: ",\"apiContext\":{\"serviceGeneration\":")
            text.appendArm(to: &body)
            body.append(UInt8(ascii: "}"))
        }
        body.append(UInt8(ascii: "}"))
    }

    /// Appends a label, the probability of each, and of two classes the second's in percent.
    private static func appendClasses(
        _ output: OutputDescription,
        _ reading: ClassReading,
        _ body: inout ByteBuffer
    ) {
        var text: [UInt8] = []
        text.append(jsonString: output.classes[reading.prediction])
        text.append(",\"probas\":{")
        for (index, label) in output.classes.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(jsonString: label)
            text.append(UInt8(ascii: ":"))
            text.append(jsonNumber: reading.probabilities[index])
        }
        text.append("}")
        if output.classes.count == 2 {
            let percent = (reading.probabilities[1] * 100).rounded()
            text.append(",\"probaPercentile\":\(Int(percent))")
        }
        body.append(text.span)
    }
}
