// From an admin's request to what is done about it.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Logging
import Platform
import Serving

/// Finds out what an admin wants, and sees to it. Any thread may use it.
struct AdminRouter: Sendable {
    let control: HostControl
    let access: AdminAccess

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
        do throws(AccessRefusal) {
            if case .metrics = peer { return metricsAnswer(head.method, path) }
            let author = try access.author(peer, head, in: text)
            let request = AdminRequest(
                method: head.method,
                parts: path.split(separator: "/").map(String.init),
                body: body,
                author: author
            )
            return route(request, later)
        } catch {
            return refuse(error, head.method, path, peer)
        }
    }

    /// The answer to somebody who may not; it is in the audit log before it leaves.
    private func refuse(
        _ refusal: AccessRefusal,
        _ method: Method,
        _ path: String,
        _ peer: AdminPeer
    ) -> AdminAnswer {
        var author = "somebody over TCP"
        if case .local(let user) = peer { author = "user \(user.map(String.init) ?? "unknown")" }
        control.audit.write(
            "\(method) \(path.prefix(200))",
            author: author,
            outcome: "refused",
            [.init("error", .string(refusal.sentence))]
        )
        let isUnknown = refusal.status == .unauthorized
        var answer = AdminAnswer(
            refusal.status,
            isUnknown ? "unauthorized" : "forbidden",
            refusal.sentence
        )
        if isUnknown { answer.fields = "WWW-Authenticate: Bearer\r\n" }
        return answer
    }

    private func metricsAnswer(_ method: Method, _ path: String) -> AdminAnswer {
        guard method == .get || method == .head else { return AdminAnswer.notAllowed("GET, HEAD") }
        switch path {
        case "/metrics": return metrics()
        case "/health/live", "/health/ready": return health(path)
        default:
            return AdminAnswer(.notFound, "route_not_found", "here is /metrics and nothing else")
        }
    }

    // MARK: Routes

    private func route(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        let isReading = request.method == .get || request.method == .head
        switch (request.parts.first, request.parts.count) {
        case ("metrics", 1): return isReading ? metrics() : .notAllowed("GET, HEAD")
        case ("openapi.json", 1):
            guard isReading else { return .notAllowed("GET, HEAD") }
            return AdminAnswer(.ok, "application/json", Array(OpenAPI.text.utf8))
        case ("health", 2):
            let path = "/" + request.parts.joined(separator: "/")
            return isReading ? health(path) : .notAllowed("GET, HEAD")
        case ("admin", 3...) where request.parts[1] == "v1":
            return routeVersion1(request, Array(request.parts.dropFirst(2)), later)
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
            return isReading
                ? AdminAnswer(.ok, StatusReport(control).json) : .notAllowed("GET, HEAD")
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
            return AdminAnswer(
                .serviceUnavailable,
                "not_ready",
                "no thread can be started: \(error); ask again later"
            )
        }
    }

    // MARK: Looking

    private func metrics() -> AdminAnswer {
        AdminAnswer(
            .ok,
            "text/plain; version=0.0.4; charset=utf-8",
            MetricsText(control).bytes
        )
    }

    private func health(_ path: String) -> AdminAnswer {
        switch path {
        case "/health/live": return AdminAnswer(.ok, .object([.init("live", .boolean(true))]))
        case "/health/ready":
            let readiness = Readiness.host(control.state, control.board.live.committed.snapshot)
            return AdminAnswer(readiness.isReady ? .ok : .serviceUnavailable, readiness.json)
        default: return .notFound
        }
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
        guard let number = Int(wanted), store.numbers.contains(number),
            let revision = try? store.revision(number),
            let value = try? JSONValue(parsing: Array(revision.text.utf8))
        else {
            return AdminAnswer(
                .notFound,
                "revision_not_found",
                "there is no revision '\(wanted)'; GET /admin/v1/revisions lists them"
            )
        }
        return AdminAnswer(.ok, value)
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

    private func commit(
        _ wanted: CommitRequest,
        _ request: AdminRequest,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        let before = control.board.live.committed.revision.number
        control.commits.commit(wanted, author: request.author) { outcome in
            later(AdminAnswer(outcome, before: before))
        }
        return nil
    }

    private func plan(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let keeps = try request.boolean("keepWeights")
            try request.requireOnly(["keepWeights"])
            control.commits.plan(keepsWeights: keeps) { later(AdminAnswer(.ok, $0.json)) }
            return nil
        } catch {
            return error.answer
        }
    }

    private func reload(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let keeps = try request.boolean("keepWeights")
            try request.requireOnly(["keepWeights"])
            return commit(.reload(keepsWeights: keeps), request, later)
        } catch {
            return refused("reload", request, error)
        }
    }

    private func rollback(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let number = try request.number("configRevision")
            try request.requireOnly(["configRevision"])
            return commit(.rollback(to: number), request, later)
        } catch {
            return refused("rollback", request, error)
        }
    }

    private func weights(
        _ request: AdminRequest,
        endpoint: String,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        switch request.method {
        case .delete: return commit(.resetWeights(endpoint: endpoint), request, later)
        case .put:
            do throws(AdminAnswer.Refusal) {
                let members = try request.members()
                try request.requireOnly(["weights"])
                let value = members.first { $0.name == "weights" }?.value
                guard let weights = LiveWeights.weights(value) else {
                    throw AdminAnswer.Refusal(
                        "wanted {\"weights\": {\"control\": 9, \"experiment\": 1}}, each weight "
                            + Weight.rule
                    )
                }
                return commit(.weights(endpoint: endpoint, weights), request, later)
            } catch {
                return refused("weights", request, error)
            }
        default: return .notAllowed("PUT, DELETE")
        }
    }

    private func refused(
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

    // MARK: The store

    /// `PUT` or `DELETE /admin/v1/deployments/<branch>/<name>/aliases/<alias>`
    private func alias(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let deployment = try Self.deployment(parts)
            let (name, store) = (parts[4], control.store)
            guard Names.isAlias(name) else {
                throw AdminAnswer.Refusal("'\(name.prefix(100))' is no alias")
            }
            switch request.method {
            case .put:
                guard let number = try request.number("version"), number > 0 else {
                    throw AdminAnswer.Refusal("wanted {\"version\": 3}, a version's number")
                }
                let reloads = try request.boolean("reload")
                try request.requireOnly(["version", "reload"])
                let detail = "\(deployment) \(name) = \(number)"
                return change("alias set", detail, request, reloads, later) {
                    () throws(DeploymentError) in
                    let before = try store.setAlias(name, of: deployment, to: number)
                    return before.map { [.init("previousVersion", .number("\($0)"))] } ?? []
                }
            case .delete:
                let reloads = try request.boolean("reload")
                try request.requireOnly(["reload"])
                let detail = "\(deployment) \(name)"
                return change("alias remove", detail, request, reloads, later) {
                    () throws(DeploymentError) in
                    let before = try store.removeAlias(name, of: deployment)
                    return [.init("previousVersion", .number("\(before)"))]
                }
            default: return .notAllowed("PUT, DELETE")
            }
        } catch {
            return refused("alias", request, error)
        }
    }

    /// `DELETE /admin/v1/deployments/<branch>/<name>/versions/<number>`
    private func remove(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        guard request.method == .delete else { return .notAllowed("DELETE") }
        do throws(AdminAnswer.Refusal) {
            let deployment = try Self.deployment(parts)
            guard let number = Int(parts[4]), number > 0 else {
                throw AdminAnswer.Refusal("'\(parts[4].prefix(100))' is no version's number")
            }
            try request.requireOnly([])
            let (store, use) = (control.store, control.versionUse)
            return change("remove", "\(deployment) \(number)", request, false, later) {
                () throws(DeploymentError) in
                try store.remove(deployment, number, usedBy: use.users)
                return []
            }
        } catch {
            return refused("remove", request, error)
        }
    }

    /// Changes the store on a thread of its own, writes it down, and reloads if that is wanted.
    private func change(
        _ action: String,
        _ detail: String,
        _ request: AdminRequest,
        _ reloads: Bool,
        _ later: @escaping Completion,
        _ body: @escaping @Sendable () throws(DeploymentError) -> [JSONValue.Member]
    ) -> AdminAnswer? {
        let (control, author) = (self.control, request.author)
        let work: @Sendable () -> Void = {
            let subject = JSONValue.Member("subject", .string(detail))
            do throws(DeploymentError) {
                let facts = try body()
                control.audit.write(action, author: author, outcome: "done", [subject] + facts)
                guard reloads else {
                    return later(
                        AdminAnswer(.ok, .object([.init("outcome", .string("done"))] + facts))
                    )
                }
                let before = control.board.live.committed.revision.number
                control.commits.commit(.reload(keepsWeights: true), author: author) { outcome in
                    later(AdminAnswer(outcome, before: before))
                }
            } catch {
                let problem = JSONValue.Member("error", .string(error.description))
                control.audit.write(action, author: author, outcome: "failed", [subject, problem])
                later(AdminAnswer(.conflict, "store_unchanged", error.description))
            }
        }
        do {
            _ = try Thread(name: "admin-work", stackBytes: 8 << 20, work)
            return nil
        } catch {
            return AdminAnswer(
                .serviceUnavailable,
                "not_ready",
                "no thread can be started: \(error); ask again later"
            )
        }
    }

    private static func deployment(
        _ parts: [String]
    ) throws(AdminAnswer.Refusal) -> DeploymentName {
        let branch = Names.branch(ofFolder: parts[1])
        guard let deployment = DeploymentName(branch: branch, name: parts[2]) else {
            throw AdminAnswer.Refusal(
                "'\(parts[1].prefix(100))/\(parts[2].prefix(100))' is no deployment; in a path the "
                    + "branch stands before the name, with '~' for '/'"
            )
        }
        return deployment
    }
}
