// From an admin's request to what is done about it.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Logging
import Platform
import Serving
import Surfaces

/// Finds out what an admin wants, and sees to it. Any thread may use it.
struct AdminRouter: Sendable {
    let control: HostControl
    let access: AdminAccess
    let refusals: RefusalLog
    private let metricsPage = MetricsPage()

    init(control: HostControl, access: AdminAccess) {
        self.control = control
        self.access = access
        refusals = RefusalLog(folder: control.configuration.logs)
    }

    /// Hands an answer over, from any thread.
    typealias Completion = @Sendable (AdminAnswer) -> Void

    /// Answers at once, or says nothing and calls `later` when there is an answer.
    func answer(
        _ head: RequestHead,
        in text: Span<UInt8>,
        body: [UInt8],
        _ peer: AdminPeer,
        later: @escaping Completion
    ) -> AdminAnswer? {
        let path = Bytes.string(text, head.path)
        let isDataiku =
            Self.parts(head, in: text)?.starts(with: ["admin", "api"])
            ?? path.hasPrefix("/admin/api/")
        guard isDataiku else { return answerNatively(head, in: text, body: body, peer, later) }
        return answerNatively(head, in: text, body: body, peer) { later($0.inDataikuForm) }?
            .inDataikuForm
    }

    private func answerNatively(
        _ head: RequestHead,
        in text: Span<UInt8>,
        body: [UInt8],
        _ peer: AdminPeer,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        let path = Bytes.string(text, head.path)
        do throws(AccessRefusal) {
            let author = try access.author(peer, head, in: text)
            if !HeaderFields.values(of: "if-match", in: text, head).isEmpty {
                return AdminAnswer(
                    .badRequest,
                    "bad_request",
                    "found If-Match, and nothing here gives an ETag; wanted \"ifRevision\": N in "
                        + "the body, which a change takes"
                )
            }
            if case .metrics = peer { return metricsAnswer(head.method, path, later) }
            guard let parts = Self.parts(head, in: text) else { return .notFound }
            return route(
                AdminRequest(method: head.method, parts: parts, body: body, author: author),
                later
            )
        } catch {
            return refuse(error, head.method, path, peer)
        }
    }

    /// The parts of a path without its escapes; a `/` at the end is passed over. Clients of other
    /// protocols double slashes, so those of their paths are passed over too.
    private static func parts(_ head: RequestHead, in text: Span<UInt8>) -> [String]? {
        var decoded: [UInt8] = []
        guard Route.decode(text, head.path, to: &decoded) else { return nil }
        let parts = decoded.split(separator: UInt8(ascii: "/"))
            .map { String(decoding: $0, as: UTF8.self) }
        if parts.starts(with: ["admin", "api"]) || parts.first == "v2" { return parts }
        if decoded.count > 1, decoded.last == UInt8(ascii: "/") { decoded.removeLast() }
        return decoded.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .dropFirst().map { String(decoding: $0, as: UTF8.self) }
    }

    /// The answer to somebody who may not.
    private func refuse(
        _ refusal: AccessRefusal,
        _ method: Method,
        _ path: String,
        _ peer: AdminPeer
    ) -> AdminAnswer {
        let request = "\("\(method)".uppercased()) \(path.prefix(200))"
        refusals.note(refusal, peer.place, request: request)
        let code =
            switch refusal.status {
            case .unauthorized: "unauthorized"
            case .tooManyRequests: "too_many_wrong_keys"
            default: "forbidden"
            }
        var answer = AdminAnswer(refusal.status, code, refusal.sentence)
        if refusal.status == .unauthorized { answer.fields = "WWW-Authenticate: Bearer\r\n" }
        if let seconds = refusal.retrySeconds { answer.fields += "Retry-After: \(seconds)\r\n" }
        answer.isRefusal = true
        return answer
    }

    private func metricsAnswer(
        _ method: Method,
        _ path: String,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        guard path == "/metrics" else {
            return AdminAnswer(.notFound, "route_not_found", "here is /metrics and nothing else")
        }
        let isReading = method == .get || method == .head
        return isReading ? metrics(later) : AdminAnswer.notAllowed("GET, HEAD")
    }

    // MARK: Routes

    private func route(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        let isReading = request.method == .get || request.method == .head
        switch (request.parts.first, request.parts.count) {
        case ("metrics", 1): return isReading ? metrics(later) : .notAllowed("GET, HEAD")
        case ("openapi.json", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return AdminAnswer(.ok, "application/json", Array(OpenAPI.text.utf8))
        case ("health", 2) where ["live", "ready"].contains(request.parts[1]):
            return isReading ? health(request.parts[1]) : .notAllowed("GET, HEAD")
        case ("admin", 3...) where request.parts[1] == "v1":
            return routeVersion1(request, Array(request.parts.dropFirst(2)), later)
        case ("admin", 3...) where request.parts[1] == "api":
            return routeDataiku(request, Array(request.parts.dropFirst(2)), later)
        case ("v2", 3...) where request.parts[1] == "repository":
            return routeRepository(request, Array(request.parts.dropFirst(2)), later)
        default: return .notFound
        }
    }

    private func routeVersion1(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        let isReading = request.method == .get || request.method == .head
        switch (parts[0], parts.count) {
        case ("status", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return aside(later) { AdminAnswer(.ok, StatusReport(control).json) }
        case ("endpoints", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return AdminAnswer(.ok, .array(StatusReport(control).endpoints))
        case ("deployments", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return AdminAnswer(.ok, .array(StatusReport(control).deployments))
        case ("endpoints", 2):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return StatusReport(control).endpoint(parts[1])
        case ("endpoints", 3) where parts[2] == "weights":
            return weights(request, endpoint: parts[1], later)
        case ("revisions", 1), ("revisions", 2):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return aside(later) { revisions(parts.dropFirst().first) }
        case ("plan", 1):
            guard request.method == .post else { return .notAllowed("POST") }
            return plan(request, later)
        case ("reload", 1):
            guard request.method == .post else { return .notAllowed("POST") }
            return reload(request, later)
        case ("rollback", 1):
            guard request.method == .post else { return .notAllowed("POST") }
            return rollback(request, later)
        case ("freeze", 1):
            guard request.method == .post || request.method == .delete else {
                return .notAllowed("POST, DELETE")
            }
            return freeze(request, later)
        case ("quarantine", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return AdminAnswer(.ok, .array(control.quarantine.entries.map(\.json)))
        case ("quarantine", 2) where parts[1] == "clear":
            guard request.method == .post else { return .notAllowed("POST") }
            return clearQuarantine(request, later)
        case ("crashes", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            let crashes = control.crashes
            return aside(later) { AdminAnswer(.ok, .array(crashes.summaries(50))) }
        case ("recycle", 1):
            guard request.method == .post else { return .notAllowed("POST") }
            return recycle(request)
        case ("deployments", 5) where parts[3] == "aliases":
            return alias(request, parts, later)
        case ("deployments", 5) where parts[3] == "versions":
            return remove(request, parts, later)
        default: return .notFound
        }
    }

    /// Does what may wait for a disk on a thread of its own.
    private func aside(
        _ later: @escaping Completion,
        _ body: @escaping @Sendable () -> AdminAnswer
    ) -> AdminAnswer? {
        do {
            _ = try Thread(name: "admin-work", stackBytes: 8 << 20) { later(body()) }
            return nil
        } catch {
            return AdminAnswer.Refusal.noThread(error).answer
        }
    }

    // MARK: Looking

    private func metrics(_ later: @escaping Completion) -> AdminAnswer? {
        let (control, page) = (self.control, metricsPage)
        return page.ask(later) { MetricsText(control).bytes }
    }

    private func health(_ question: String) -> AdminAnswer {
        if question == "live" { return AdminAnswer(.ok, .object([.init("live", .boolean(true))])) }
        let readiness = Readiness.host(control.state, control.board.live.committed.snapshot)
        return AdminAnswer(readiness.isReady ? .ok : .serviceUnavailable, readiness.json)
    }

    private func revisions(_ wanted: String?) -> AdminAnswer {
        let store = control.revisions
        let current = control.board.live.committed.revision.number
        guard let wanted else {
            let list = store.numbers.reversed().map { number in
                Self.summary(number, store, current: current)
            }
            return AdminAnswer(.ok, .array(list))
        }
        guard let number = Self.number(wanted), store.numbers.contains(number),
            let revision = try? store.revision(number),
            let value = try? JSONValue(parsing: Array(revision.text.utf8))
        else {
            return AdminAnswer(
                .notFound,
                "revision_not_found",
                "there is no revision '\(wanted.prefix(100))'; GET /admin/v1/revisions lists them"
            )
        }
        return AdminAnswer(.ok, value)
    }

    /// A number in a path, as it is written everywhere.
    static func number(_ text: String) -> Int? {
        Bytes.decimal(text.utf8).flatMap { Int(exactly: $0) }
    }

    private static func summary(
        _ number: Int,
        _ store: RevisionStore,
        current: Int
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("configRevision", .number("\(number)")),
            .init("current", .boolean(number == current)),
        ]
        do {
            let revision = try store.revision(number)
            members += [
                .init("created", .string(revision.created)),
                .init("author", .string(revision.author)),
                .init("changes", .array(revision.changes.map { .string($0) })),
            ]
        } catch {
            members.append(.init("error", .string("\(error)")))
        }
        return .object(members)
    }

    // MARK: Changing

    func commit(
        _ wanted: CommitRequest,
        _ request: AdminRequest,
        _ later: @escaping Completion
    ) throws(AdminAnswer.Refusal) -> AdminAnswer? {
        try requireRunning()
        let before = control.board.live.committed.revision.number
        // Requests of other protocols have bodies of their own.
        let isOurs = request.parts.starts(with: ["admin", "v1"])
        let terms = isOurs ? try request.terms() : CommitTerms(isExplicit: true)
        control.commits.commit(wanted, author: request.author, terms: terms) { outcome in
            later(AdminAnswer(outcome, before: before))
        }
        return nil
    }

    /// Whether live weights end; what says that they stay is what they do anyway.
    private func resetsWeights(_ request: AdminRequest) throws(AdminAnswer.Refusal) -> Bool {
        let (keeps, resets) = (
            try request.boolean("keepWeights"), try request.boolean("resetWeights")
        )
        guard !(keeps && resets) else {
            throw AdminAnswer.Refusal("'keepWeights' and 'resetWeights' contradict each other")
        }
        if keeps {
            control.log.write(
                .warning,
                "admin.deprecated",
                "'keepWeights' by \(request.author): live weights stay anyway; the member is not "
                    + "taken by the next version"
            )
        }
        return resets
    }

    private func plan(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let resets = try resetsWeights(request)
            try request.requireOnly(["keepWeights", "resetWeights"])
            let control = control
            return aside(later) {
                CurrentThread.giveWay(steps: ModelPool.stepsBehindLoops)
                return AdminAnswer(.ok, control.plan(resetsWeights: resets).json)
            }
        } catch {
            return error.answer
        }
    }

    private func reload(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let resets = try resetsWeights(request)
            try request.requireOnly(change: ["keepWeights", "resetWeights"])
            return try commit(.reload(resetsWeights: resets), request, later)
        } catch {
            return refused("reload", request, error)
        }
    }

    private func rollback(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let number = try request.number("configRevision")
            let (endpoint, subject) = (try request.text("endpoint"), try request.text("release"))
            try request.requireOnly(change: ["configRevision", "endpoint", "release"])
            switch (number, endpoint, subject) {
            case (_, nil, nil): return try commit(.rollback(to: number), request, later)
            case (nil, let endpoint?, nil):
                return try commit(.rollbackEndpoint(endpoint), request, later)
            case (nil, nil, let subject?): return try commit(.release(subject), request, later)
            default:
                throw AdminAnswer.Refusal(
                    "wanted one of 'configRevision', 'endpoint' and 'release'"
                )
            }
        } catch {
            return refused("rollback", request, error)
        }
    }

    private func freeze(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            guard request.method == .post else {
                try request.requireOnly(change: [])
                return try commit(.unfreeze, request, later)
            }
            try request.requireOnly(change: ["text"])
            guard let text = try request.text("text"), !text.isEmpty,
                text.unicodeScalars.count <= AdminRequest.reasonMaximum
            else {
                throw AdminAnswer.Refusal(
                    "wanted {\"text\": \"why\"} of 1 to 500 characters: whoever is refused reads it"
                )
            }
            return try commit(.freeze(Visible.line(text)), request, later)
        } catch {
            return refused("freeze", request, error)
        }
    }

    private func weights(
        _ request: AdminRequest,
        endpoint: String,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        guard request.method == .put || request.method == .delete else {
            return .notAllowed("PUT, DELETE")
        }
        do throws(AdminAnswer.Refusal) {
            let live = control.board.live.committed.configuration
            guard live.endpoints.contains(where: { $0.name == endpoint }) else {
                throw .missing("endpoint_not_found", live.missing(endpoint: endpoint))
            }
            guard request.method == .put else {
                try request.requireOnly(change: [])
                return try commit(.resetWeights(endpoint: endpoint), request, later)
            }
            let members = try request.members()
            try request.requireOnly(change: ["weights"])
            let value = members.first { $0.name == "weights" }?.value
            guard let weights = LiveWeights.weights(value) else {
                // Numbers that are none of these are understood, and refused nevertheless.
                let areNumbers = (value?.object ?? []).allSatisfy {
                    if case .number(let text) = $0.value {
                        (Double(text) ?? -1) >= 0
                    } else {
                        false
                    }
                }
                let isMisfit = areNumbers && value?.object?.isEmpty == false
                throw AdminAnswer.Refusal(
                    "wanted {\"weights\": {\"control\": 9, \"experiment\": 1}}, each weight "
                        + Weight.rule,
                    status: isMisfit ? .conflict : .badRequest,
                    code: isMisfit ? "commit_failed" : "bad_request"
                )
            }
            return try commit(.weights(endpoint: endpoint, weights), request, later)
        } catch {
            return refused("weights", request, error)
        }
    }

    /// Nothing is changed on the way out.
    func requireRunning() throws(AdminAnswer.Refusal) {
        guard control.state.isDraining else { return }
        throw AdminAnswer.Refusal(
            "the host is shutting down; ask again when it has started",
            status: .serviceUnavailable,
            code: "draining"
        )
    }

    func refused(
        _ action: String,
        _ request: AdminRequest,
        _ refusal: AdminAnswer.Refusal
    ) -> AdminAnswer {
        control.audit.write(
            action,
            author: request.author,
            outcome: "refused",
            [.init("error", .string(refusal.sentence))]
        )
        return refusal.answer
    }
}
