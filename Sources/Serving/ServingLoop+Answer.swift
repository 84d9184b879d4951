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
    let key: UInt64
    let connection: ConnectionField
    /// When the loop came to it, in monotonic nanoseconds.
    let startedAt: UInt64
}

extension ServingLoop {
    /// Answers one complete request; the answer is in `answer` afterwards, unless it waits for a
    /// pool: then what it waits for is returned.
    ///
    /// - Parameters:
    ///   - exchange: the request.
    ///   - text: the text that the head's places are in.
    ///   - content: the body, without framing.
    func answerRequest(
        _ exchange: Exchange,
        in text: Span<UInt8>,
        content: Span<UInt8>
    ) -> PendingAnswer? {
        beginRequest(exchange.head, text)
        guard exchange.head.pathHasEscapes else {
            return answer(exchange, text, exchange.head.path, text, content)
        }
        guard Route.decode(text, exchange.head.path, to: &path) else {
            let sentence = "the path has a percent escape that is malformed or that no name holds"
            fail(Failure(.badRequest, sentence), exchange)
            return nil
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
    ) -> PendingAnswer? {
        let route = Route(pathText, path: path)
        switch route {
        case .native(let name):
            guard exchange.head.method == .post else {
                refuseMethod("POST", exchange)
                return nil
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
                if !predictor.parts.isEmpty { return try postpone(exchange, content) }
            } catch {
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
        return nil
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
        if let failure { fail(failure, exchange) } else { succeed(exchange, content) }
        leaveRecords(key: exchange.key, startedAt: exchange.startedAt, content: content)
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
        key: UInt64
    ) {
        let startedAt = eventLoop.now
        beginRequest(head, text)
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
        leaveRecords(key: key, startedAt: startedAt, content: [UInt8]().span)
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
