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
    let connection: ConnectionField
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
        let route = Route(pathText, path: path)
        switch route {
        case .native(let name):
            guard exchange.head.method == .post else {
                refuseMethod("POST", exchange)
                return .done
            }
            var failure: Failure?
            do throws(Failure) {
                let target = try find(pathText, name)
                try predictor.predict(
                    target,
                    exchange.head,
                    in: text,
                    content,
                    startedAt: exchange.startedAt
                )
                if !predictor.parts.isEmpty { return .waits(try postpone(exchange, content)) }
            } catch {
                if predictor.waitsForModel, eventLoop.now < predictor.deadline {
                    return .parked(until: predictor.deadline)
                }
                failure = error
            }
            conclude(exchange, failure, content)
        case .live, .ready, .readyTarget:
            answerHealth(exchange, route, pathText)
        case .unknown:
            let sentence =
                "there is nothing at this path; predictions are at POST /v1/<endpoint>, "
                + "/v1/<deployment>/<version> and /v1/<deployment>/<branch>/<version>"
            fail(Failure(.routeNotFound, sentence), exchange)
        }
        return .done
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
        leaveRecords(key: exchange.number.key, startedAt: exchange.startedAt, content: content)
    }

    /// What a path names.
    private func find(_ text: Span<UInt8>, _ name: Range<Int>) throws(Failure) -> PreparedTarget {
        guard let target = snapshot.target(text, name) else {
            throw snapshot.missing(Bytes.string(text, name))
        }
        if case .endpoint(let endpoint) = target { predictor.facts.endpoint = endpoint }
        return target
    }

    private func succeed(_ exchange: Exchange, _ content: Span<UInt8>) {
        NativeSurface.appendAnswer(
            predictor.outcome,
            to: predictor.call,
            of: predictor.document,
            in: content,
            requestID: predictor.requestID,
            body: &body
        )
        appendSplitFields()
        finishAnswer(.ok, exchange.connection)
    }

    /// The fields that name the split: of a single request that got that far.
    private func appendSplitFields() {
        guard !predictor.call.isBatch, predictor.outcome.isAssigned,
            let split = predictor.outcome.splits.last
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
        NativeSurface.appendFailure(
            Failure(code, fault.problem),
            predictor.outcome,
            requestID: predictor.requestID,
            body: &body
        )
        if fault.status == .serviceUnavailable { fields.append(literal: "Retry-After: 1\r\n") }
        finishAnswer(fault.status, .close, withBody: head?.method != .head)
        leaveRecords(key: number.key, startedAt: startedAt, content: [UInt8]().span)
    }

    private func refuseMethod(_ allowed: String, _ exchange: Exchange) {
        fields.append("Allow: \(allowed)\r\n")
        fail(Failure(.methodNotAllowed, "this path takes \(allowed)"), exchange)
    }

    private func fail(_ failure: Failure, _ exchange: Exchange) {
        predictor.facts.code = failure.code
        NativeSurface.appendFailure(
            failure,
            predictor.outcome,
            requestID: predictor.requestID,
            body: &body
        )
        appendSplitFields()
        let status = failure.code.nativeStatus
        if status == .serviceUnavailable { fields.append(literal: "Retry-After: 1\r\n") }
        finishAnswer(status, exchange.connection, withBody: exchange.head.method != .head)
    }
}
