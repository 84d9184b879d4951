// From a complete request to a complete answer, and to what its record says.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Platform
import PluginHost
import Surfaces

extension ServingLoop {
    /// Answers one complete request; the answer is in `answer` afterwards.
    ///
    /// - Parameters:
    ///   - head: the request's head.
    ///   - text: the text that the head's places are in.
    ///   - content: the body, without framing.
    ///   - key: which request of which connection it is.
    ///   - connection: what the answer says about the connection.
    func answerRequest(
        _ head: RequestHead,
        in text: Span<UInt8>,
        content: Span<UInt8>,
        key: UInt64,
        connection: ConnectionField
    ) {
        let startedAt = MonotonicClock.now()
        beginRequest(head, text)
        body.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        switch Route(text, path: head.path) {
        case .native(let name):
            guard head.method == .post else {
                return refuseMethod("POST", head, connection)
            }
            arguments.removeAll(keepingCapacity: true)
            do throws(Failure) {
                try predict(name, head, text, content)
                finishAnswer(.ok, connection)
            } catch {
                fail(error, head, connection)
            }
            leaveRecord(key: key, startedAt: startedAt, text: content)
        case .live, .ready:
            guard head.method == .get || head.method == .head else {
                return refuseMethod("GET, HEAD", head, connection)
            }
            let isLive = Route(text, path: head.path) == .live
            let isFine = Health.write(isLive: isLive, state, snapshot, to: &body)
            finishAnswer(
                isFine ? .ok : .serviceUnavailable,
                connection,
                withBody: head.method != .head
            )
        case .unknown:
            fail(
                Failure(
                    .routeNotFound,
                    "there is nothing at this path; predictions are at POST /v1/<endpoint>"
                ),
                head,
                connection
            )
        }
    }

    /// Answers bytes that are no request. The connection ends with it.
    func answerFault(_ fault: HTTPFault, key: UInt64) {
        let startedAt = MonotonicClock.now()
        beginRequest(nil, [UInt8]().span)
        body.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        arguments.removeAll(keepingCapacity: true)
        let code: FailureCode =
            switch fault.status {
            case .contentTooLarge, .uriTooLong, .headerFieldsTooLarge: .tooLarge
            case .requestTimeout: .deadlineExceeded
            default: .badRequest
            }
        facts.code = code
        NativeSurface.appendFailure(
            Failure(code, fault.problem),
            requestID: requestID,
            split: nil,
            to: &body
        )
        finishAnswer(fault.status, .close)
        leaveRecord(key: key, startedAt: startedAt)
    }

    private func refuseMethod(_ allowed: String, _ head: RequestHead, _ connection: ConnectionField)
    {
        fields.append("Allow: \(allowed)\r\n")
        fail(Failure(.methodNotAllowed, "this path takes \(allowed)"), head, connection)
    }

    private func fail(_ failure: Failure, _ head: RequestHead, _ connection: ConnectionField) {
        facts.code = failure.code
        body.removeAll(keepingCapacity: true)
        var split: (text: SplitText, assignment: AssignmentKind, subject: [UInt8]?)?
        if let chosen = facts.split, let assignment = facts.assignment {
            split = (chosen.text, assignment, facts.hasSubject ? subject : nil)
        }
        NativeSurface.appendFailure(failure, requestID: requestID, split: split, to: &body)
        let status = failure.code.nativeStatus
        if status == .serviceUnavailable { fields.append("Retry-After: 1\r\n") }
        finishAnswer(status, connection, withBody: head.method != .head)
    }

    // MARK: Predicting

    /// Finds the endpoint, chooses the split, asks it, and writes the body.
    private func predict(
        _ name: Range<Int>,
        _ head: RequestHead,
        _ text: Span<UInt8>,
        _ content: Span<UInt8>
    ) throws(Failure) {
        guard let endpoint = snapshot.endpoint(named: text, name) else {
            let asked = Bytes.string(text, name.prefix(Names.lengthMaximum))
            throw Failure(.endpointNotFound, "there is no endpoint '\(asked)'")
        }
        facts.endpoint = endpoint
        do {
            try document.parse(content)
        } catch {
            throw Failure(.badJSON, "the body is not JSON: \(error)")
        }
        try NativeSurface.decode(document, in: content, arguments: &arguments)
        let index = try choose(endpoint, head, text, content)
        let split = endpoint.splits[index]
        facts.split = split
        fields.append(contentsOf: split.text.fields)
        switch split.backend {
        case .value(let value):
            finishBody(value.span, split)
        case .model(let model):
            try ask(model, content)
            frame.withResult { finishBody($0, split) }
        }
    }

    private func finishBody(_ result: Span<UInt8>, _ split: PreparedSplit) {
        NativeSurface.appendAnswer(
            result,
            requestID: requestID,
            split: split.text,
            assignment: facts.assignment ?? .coin,
            subject: facts.hasSubject ? subject : nil,
            to: &body
        )
    }

    /// Chooses the split of a request.
    private func choose(
        _ endpoint: PreparedEndpoint,
        _ head: RequestHead,
        _ text: Span<UInt8>,
        _ content: Span<UInt8>
    ) throws(Failure) -> Int {
        if let experiment = endpoint.endpoint.experiment {
            try findSubject(experiment.subjectKey, endpoint.subjectName, content)
        }
        if let forced = head.forcedBackend {
            guard state.configuration.allowsForcing else {
                throw Failure(.badRequest, "this host was started with --no-force")
            }
            guard let index = endpoint.split(named: text, forced) else {
                let asked = Bytes.string(text, forced.prefix(Names.lengthMaximum))
                throw Failure(.backendNotFound, "the endpoint has no split '\(asked)'")
            }
            facts.assignment = .forced
            return index
        }
        if let only = endpoint.assigner.only {
            facts.assignment = .only
            return only
        }
        if facts.hasSubject {
            facts.assignment = .subject
            let subject = subject
            return endpoint.assigner.split(subject: subject.span)
        }
        facts.assignment = endpoint.endpoint.experiment == nil ? .coin : .noSubject
        return endpoint.assigner.split(random: coin.next())
    }

    private func findSubject(
        _ key: SubjectKey,
        _ name: [UInt8],
        _ content: Span<UInt8>
    ) throws(Failure) {
        subject.removeAll(keepingCapacity: true)
        guard
            let index = NativeSurface.subject(
                key,
                name: name,
                arguments: arguments,
                of: document,
                in: content
            )
        else { return }
        let entry = document.entries[index]
        guard Subject.append(entry, in: content, to: &subject) else {
            subject.removeAll(keepingCapacity: true)
            return
        }
        guard subject.count <= Subject.bytesMaximum else {
            throw Failure(
                .badInput,
                "the subject has \(subject.count) bytes; at most \(Subject.bytesMaximum) are taken"
            )
        }
        facts.hasSubject = true
    }

    /// Asks a model; its result is in the frame afterwards.
    private func ask(_ model: LoadedVersion, _ content: Span<UInt8>) throws(Failure) {
        do {
            try model.binding.bind(arguments, of: document, in: content, to: &values)
        } catch {
            throw Failure(.badInput, error.description)
        }
        let end = model.instance.predict(
            values,
            in: content,
            requestID: requestID.span,
            deadline: 0,
            frame: frame
        )
        switch end {
        case .answered: break
        case .unreadable(let position):
            let name = model.description.inputs?[position].name ?? ""
            throw Failure(.badInput, "the input \"\(name)\" is beyond what a double holds")
        case .failed(.invalidInput, let sentence): throw Failure(.badInput, sentence)
        case .failed(.deadline, let sentence): throw Failure(.deadlineExceeded, sentence)
        case .failed(_, let sentence): throw Failure(.modelFailed, sentence)
        }
        guard !frame.isNumber else { return }
        let fault = frame.withResult { result -> JSONError? in
            do throws(JSONError) {
                try resultDocument.parse(result)
                return nil
            } catch {
                return error
            }
        }
        if let fault {
            throw Failure(.modelFailed, "the model wrote a result that is not JSON: \(fault)")
        }
    }
}
