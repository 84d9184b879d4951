// From a complete request to a complete answer, and to what its record says.

import Bytes
import EventLoop
import HTTP
import Platform
import Surfaces

/// One request and what its answer has to say of the connection.
struct Exchange {
    let head: RequestHead
    /// Which request of which connection it is.
    let number: RequestNumber
    var connection: ConnectionField
    /// When the loop came to it, in monotonic nanoseconds.
    let startedAt: UInt64
    /// Whether a worker died while it was executed before; its slot says what was decided.
    var isMarked = false
}

/// Which request of which connection, in which slot.
struct RequestNumber {
    let slot: Int
    let connection: UInt64
    /// Counts the requests of the connection.
    let sequence: UInt64
    /// What tells it from others in slots, notes and rings.
    var key: UInt64 { connection << 24 | sequence & 0xff_ffff }

    /// No request.
    init() { (slot, connection, sequence) = (0, 0, 0) }

    /// The request that is at hand in a slot, or was last.
    init(_ slot: Slot) {
        self.slot = slot.index
        connection = slot.connection
        sequence = slot.sequence
    }
}

extension ServingLoop {
    /// What became of a request.
    enum Answering {
        /// The answer is in `answer`.
        case done
        /// It waits for pools.
        case waits(PendingAnswer)
        /// For pools to work on it, it would hold so many bytes more than there is room for.
        case lacksRoom(Int)
        /// It waits until a model is loaded, or this moment of the monotonic clock has come.
        case parked(until: UInt64)
    }

    /// Answers one complete request, if that can be done at once.
    ///
    /// - Parameters:
    ///   - exchange: the request.
    ///   - text: the text that the head's places are in.
    ///   - content: the body, without framing.
    func answerRequest(
        _ exchange: Exchange,
        in text: Span<UInt8>,
        content: Span<UInt8>
    ) -> Answering {
        beginRequest(exchange.head, text, exchange.number)
        if exchange.isMarked { takeMark(of: exchange) }
        guard exchange.head.pathHasEscapes else {
            return answer(exchange, text, exchange.head.path, text, content)
        }
        guard Route.decode(text, exchange.head.path, to: &path) else {
            predictor.facts.surface = Route.surface(text, exchange.head.path)
            let sentence = "the path has a percent escape that is malformed or that no name holds"
            fail(Failure(.badRequest, sentence), exchange)
            return .done
        }
        let path = path
        return answer(exchange, path.span, 0..<path.count, text, content)
    }

    /// Answers a request whose path stands at `path` in `pathText`.
    private func answer(
        _ exchange: Exchange,
        _ pathText: Span<UInt8>,
        _ path: Range<Int>,
        _ text: Span<UInt8>,
        _ content: Span<UInt8>
    ) -> Answering {
        var route = Route(pathText, path: path)
        switch route {
        case .native(let name):
            return predict(exchange, .native, text, content) { loop throws(Failure) in
                try loop.find(pathText, name)
            }
        case .unknown(let surface):
            // Some clients double a slash; such a path is read again without it.
            var plain: [UInt8] = []
            if Route.collapse(pathText, path, to: &plain) {
                return answer(exchange, plain.span, 0..<plain.count, text, content)
            }
            route = .unknown(surface)
        default: break
        }
        return answer(exchange, route, pathText, text, content)
    }

    /// Answers a request for something that is no native prediction.
    private func answer(
        _ exchange: Exchange,
        _ route: Route,
        _ pathText: Span<UInt8>,
        _ text: Span<UInt8>,
        _ content: Span<UInt8>
    ) -> Answering {
        switch route {
        case .dataiku(let verb, let target):
            predictor.facts.surface = .dataiku
            guard verb != .other else {
                let sentence =
                    "this host predicts: the verbs of an endpoint are predict and predict-multi"
                fail(Failure(.unsupported, sentence), exchange)
                return .done
            }
            let form = RequestForm.dataiku(isMulti: verb == .predictMulti)
            return predict(exchange, form, text, content) { loop throws(Failure) in
                .endpoint(try loop.findService(pathText, target))
            }
        case .openInference(.infer, let model, let version):
            predictor.facts.surface = .openInference
            return infer(exchange, pathText, model, version, text, content)
        case .openInference(let verb, let model, let version):
            predictor.facts.surface = .openInference
            answerModel(exchange, verb, pathText, model, version, content)
        case .isAlive:
            predictor.facts.surface = .dataiku
            answerPlain(exchange) { _ = $0.writeHealth(isLive: true) }
        case .description: answerPlain(exchange) { $0.writeDescription() }
        case .live, .ready, .readyTarget: answerHealth(exchange, route, pathText)
        case .native: break
        case .unknown(let surface):
            predictor.facts.surface = surface
            fail(Failure(.routeNotFound, Self.nothing(surface)), exchange)
        }
        return .done
    }

    private static func nothing(_ surface: Surface) -> String {
        switch surface {
        case .native:
            "there is nothing at this path; predictions are at POST /v1/<endpoint>, "
                + "/v1/<deployment>/<version> and /v1/<deployment>/<branch>/<version>; GET "
                + "/health/live, /health/ready and /openapi.json say what there is"
        case .dataiku:
            "there is nothing at this path; predictions are at POST "
                + "/public/api/v1/<service>/<endpoint>/predict and …/predict-multi; what admins do "
                + "is on the admin listener"
        case .openInference:
            "there is nothing at this path; inferences are at POST /v2/models/<model>/infer and "
                + "/v2/models/<model>/versions/<version>/infer"
        }
    }

    /// Predicts for a request whose target `find` finds.
    private func predict(
        _ exchange: Exchange,
        _ form: RequestForm,
        _ text: Span<UInt8>,
        _ content: Span<UInt8>,
        _ find: (ServingLoop) throws(Failure) -> PreparedTarget
    ) -> Answering {
        answerPost(exchange, content) { loop throws(Failure) in
            let target = try find(loop)
            try loop.take(target, exchange.head)
            try loop.predictor.predict(
                target,
                form,
                exchange.head,
                in: text,
                content,
                startedAt: exchange.startedAt
            )
        }
    }

    /// Predicts for a request with tensors.
    private func infer(
        _ exchange: Exchange,
        _ pathText: Span<UInt8>,
        _ name: Range<Int>,
        _ version: Range<Int>?,
        _ text: Span<UInt8>,
        _ content: Span<UInt8>
    ) -> Answering {
        answerPost(exchange, content) { loop throws(Failure) in
            let model = try loop.findModel(pathText, name, version)
            try loop.take(model.target, exchange.head)
            loop.predictor.tensors.model.removeAll(keepingCapacity: true)
            loop.predictor.tensors.model.append(pathText.extracting(name))
            try loop.predictor.predict(
                tensorsOf: model,
                exchange.head,
                in: text,
                content,
                startedAt: exchange.startedAt
            )
        }
    }

    /// Answers a request that `predict` answers as far as it can be on this thread.
    @inline(__always)
    private func answerPost(
        _ exchange: Exchange,
        _ content: Span<UInt8>,
        _ predict: (ServingLoop) throws(Failure) -> Void
    ) -> Answering {
        guard exchange.head.method == .post else {
            refuseMethod("POST", exchange)
            return .done
        }
        var failure: Failure?
        do throws(Failure) {
            try predict(self)
            if !predictor.parts.isEmpty { return try postpone(exchange, content) }
        } catch {
            if let parked = parked() { return parked }
            failure = error
        }
        conclude(exchange, failure, content)
        return .done
    }

    /// What becomes of a request that needs a model which is being loaded.
    private func parked() -> Answering? {
        guard predictor.waitsForModel, eventLoop.now < predictor.deadline else { return nil }
        return .parked(until: predictor.deadline)
    }

    /// Notes the endpoint that is to answer; throws for one that is switched off, and for a body
    /// that would have to be decompressed.
    private func take(_ target: PreparedTarget, _ head: RequestHead) throws(Failure) {
        if case .endpoint(let endpoint) = target { try take(endpoint) }
        guard head.hasContentCoding else { return }
        throw Failure(
            .unsupportedEncoding,
            "the body has a Content-Encoding, and this host takes plain bodies alone: send it "
                + "without compression"
        )
    }

    /// Notes the endpoint that answers; throws for one that is switched off.
    private func take(_ endpoint: PreparedEndpoint) throws(Failure) {
        predictor.facts.endpoint = endpoint
        guard endpoint.isDisabled else { return }
        throw Failure(
            .endpointDisabled,
            "the endpoint '\(endpoint.name)' was switched off by an admin; nothing was executed"
        )
    }

    /// Answers a question that is only read, with what `write` makes of it.
    func answerPlain(_ exchange: Exchange, _ write: (ServingLoop) -> Void) {
        let method = exchange.head.method
        guard method == .get || method == .head else { return refuseMethod("GET, HEAD", exchange) }
        write(self)
        finishAnswer(.ok, exchange.connection, withBody: method != .head)
    }

    private func answerHealth(_ exchange: Exchange, _ route: Route, _ pathText: Span<UInt8>) {
        let method = exchange.head.method
        guard method == .get || method == .head else { return refuseMethod("GET, HEAD", exchange) }
        let isFine: Bool
        if case .readyTarget(let name) = route {
            guard let target = snapshot.target(pathText, name) else {
                return fail(snapshot.missing(Bytes.string(pathText, name)), exchange)
            }
            isFine = writeHealth(of: target)
        } else {
            isFine = writeHealth(isLive: route == .live)
        }
        finishAnswer(
            isFine ? .ok : .serviceUnavailable,
            exchange.connection,
            withBody: method != .head
        )
    }

    /// Writes the answer of a prediction, and leaves its records.
    func conclude(_ exchange: Exchange, _ failure: Failure?, _ content: Span<UInt8>) {
        if exchange.isMarked, predictor.verdict != nil { noteGuilty(exchange, content) }
        if predictor.hasFallenBack { predictor.settleFallbacks() }
        if let failure { fail(failure, exchange) } else { succeed(exchange, content) }
        let (key, startedAt) = (exchange.number.key, exchange.startedAt)
        guard predictor.isTranscoded else {
            return leaveRecords(key: key, startedAt: startedAt, content: content)
        }
        let rows = predictor.tensors.rows
        leaveRecords(key: key, startedAt: startedAt, content: rows.span)
    }

    /// What a path names.
    private func find(_ text: Span<UInt8>, _ name: Range<Int>) throws(Failure) -> PreparedTarget {
        guard let target = snapshot.target(text, name) else {
            throw snapshot.missing(Bytes.string(text, name))
        }
        return target
    }

    /// The endpoint of a service.
    private func findService(
        _ text: Span<UInt8>,
        _ path: Range<Int>
    ) throws(Failure) -> PreparedEndpoint {
        guard let endpoint = snapshot.endpoint(ofService: text, path) else {
            throw snapshot.missing(service: Bytes.string(text, path))
        }
        return endpoint
    }

    /// What Open Inference's name of a model stands for.
    func findModel(
        _ text: Span<UInt8>,
        _ name: Range<Int>,
        _ version: Range<Int>?
    ) throws(Failure) -> ModelTarget {
        guard let model = snapshot.openModel(text, name, version: version) else {
            throw snapshot.missing(
                model: Bytes.string(text, name),
                version: version.map { Bytes.string(text, $0) }
            )
        }
        return model
    }

    private func succeed(_ exchange: Exchange, _ content: Span<UInt8>) {
        var contentType: StaticString?
        switch predictor.facts.surface {
        case .native:
            NativeSurface.appendAnswer(
                predictor.outcome,
                to: predictor.call,
                of: predictor.document,
                in: content,
                requestID: predictor.requestID,
                body: &body
            )
        case .dataiku:
            DataikuSurface.appendAnswer(
                predictor.outcome,
                to: predictor.call,
                service: predictor.facts.endpoint?.service ?? "",
                endpoint: predictor.facts.endpoint?.name ?? "",
                timing: predictor.timing,
                reading: &classReading,
                requestID: predictor.requestID,
                body: &body
            )
        case .openInference:
            if appendTensors() { contentType = "application/octet-stream" }
        }
        appendSplitFields()
        finishAnswer(.ok, exchange.connection, contentType: contentType)
    }

    /// Names the parameters of the request that mean nothing here.
    private func appendIgnored() {
        let names = predictor.tensors.request.ignored
        guard !names.isEmpty else { return }
        fields.append("X-Switchyard-Ignored: \(names.joined(separator: ", "))\r\n")
    }

    /// Appends an answer to tensors; whether it has bytes behind its header.
    private func appendTensors() -> Bool {
        appendIgnored()
        let answer = predictor.tensors.answer
        let (bytes, model) = (answer?.bytes ?? [], predictor.tensors.model)
        let header = openInference.appendAnswer(
            predictor.outcome,
            results: answer?.results,
            bytes.span,
            to: predictor.tensors.request,
            model: model.span,
            requestID: predictor.requestID,
            body: &body
        )
        guard let header else { return false }
        fields.append(literal: "Inference-Header-Content-Length: ")
        fields.append(decimal: UInt64(header))
        fields.append(literal: "\r\n")
        return true
    }

    /// The fields that name the split, of a request that got that far: where one answers all of it.
    private func appendSplitFields() {
        guard !predictor.call.isBatch || predictor.call.isOneArm && predictor.outcome.hasOneSplit,
            predictor.outcome.isAssigned, let split = predictor.outcome.splits.last
        else { return }
        split.text.appendFields(to: &fields)
    }

    /// Answers bytes that are no request, with the head if that much is known. The connection ends
    /// with it. It leaves a record, since it may have been a prediction; what certainly is none (a
    /// health question, another path, another method) leaves no record.
    func answerFault(
        _ fault: HTTPFault,
        _ head: RequestHead?,
        in text: Span<UInt8>,
        _ number: RequestNumber
    ) {
        let startedAt = eventLoop.now
        beginRequest(head, text, number)
        let code: FailureCode =
            switch fault.status {
            case .contentTooLarge, .uriTooLong, .headerFieldsTooLarge: .tooLarge
            case .requestTimeout: .deadlineExceeded
            case .serviceUnavailable: .notReady
            default: .badRequest
            }
        predictor.facts.code = code
        if let path = head?.path { predictor.facts.surface = Route.surface(text, path) }
        predictor.facts.surface.appendFailure(
            Failure(code, fault.problem),
            predictor.outcome,
            requestID: predictor.requestID,
            body: &body
        )
        if fault.status == .serviceUnavailable { fields.append(literal: "Retry-After: 1\r\n") }
        // RFC 9110 9.3.2: whatever is answered to HEAD has no content, also where the rest of its
        // head is beyond reading.
        let isHead = head.map { $0.method == .head } ?? Self.beginsWithHead(text)
        finishAnswer(fault.status, .close, withBody: !isHead)
        leaveRecords(key: number.key, startedAt: startedAt, content: [UInt8]().span)
    }

    private static func beginsWithHead(_ text: Span<UInt8>) -> Bool {
        text.count >= 5 && Bytes.equal(text, 0..<5, "HEAD ")
    }

    func refuseMethod(_ allowed: String, _ exchange: Exchange) {
        fields.append("Allow: \(allowed)\r\n")
        fail(Failure(.methodNotAllowed, "this path takes \(allowed)"), exchange)
    }

    func fail(_ failure: Failure, _ exchange: Exchange) {
        predictor.facts.code = failure.code
        predictor.facts.surface.appendFailure(
            failure,
            predictor.outcome,
            requestID: predictor.requestID,
            body: &body
        )
        appendSplitFields()
        let status = failure.code.status(on: predictor.facts.surface)
        if failure.code.isPassing { fields.append(literal: "Retry-After: 1\r\n") }
        finishAnswer(status, exchange.connection, withBody: exchange.head.method != .head)
    }
}
