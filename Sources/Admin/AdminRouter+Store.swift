// What admins change in the store: aliases, and versions that go.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Platform
import Serving

extension AdminRouter {
    /// Changes the store and says what it was before; a refusal says what is not there.
    private typealias StoreChange = @Sendable () throws -> [JSONValue.Member]

    /// `PUT` or `DELETE /admin/v1/deployments/<branch>/<name>/aliases/<alias>`
    func alias(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        guard request.method == .put || request.method == .delete else {
            return .notAllowed("PUT, DELETE")
        }
        do throws(AdminAnswer.Refusal) {
            let deployment = try Self.deployment(parts)
            guard Names.isAlias(parts[4]) else {
                throw AdminAnswer.Refusal.missing(
                    "alias_not_found",
                    "'\(parts[4].prefix(100))' is no alias: it is a name, not all digits and not "
                        + "latest"
                )
            }
            let reloads = try request.boolean("reload")
            return request.method == .put
                ? try setAlias(parts[4], of: deployment, request, reloads, later)
                : try removeAlias(parts[4], of: deployment, request, reloads, later)
        } catch {
            return refused("alias", request, error)
        }
    }

    private func setAlias(
        _ alias: String,
        of deployment: DeploymentName,
        _ request: AdminRequest,
        _ reloads: Bool,
        _ later: @escaping Completion
    ) throws(AdminAnswer.Refusal) -> AdminAnswer? {
        try request.requireOnly(change: ["version", "reload"])
        guard let number = try request.number("version"), number > 0 else {
            throw AdminAnswer.Refusal("wanted {\"version\": 3}, a version's number")
        }
        let store = control.store
        let detail = "\(deployment) \(alias) = \(number)"
        return try change("alias set", detail, request, reloads, later) {
            _ = try Self.versions(of: deployment, store)
            let before = try store.setAlias(alias, of: deployment, to: number)
            return before.map { [.init("previousVersion", .number("\($0)"))] } ?? []
        }
    }

    private func removeAlias(
        _ alias: String,
        of deployment: DeploymentName,
        _ request: AdminRequest,
        _ reloads: Bool,
        _ later: @escaping Completion
    ) throws(AdminAnswer.Refusal) -> AdminAnswer? {
        try request.requireOnly(change: ["reload"])
        let store = control.store
        return try change("alias remove", "\(deployment) \(alias)", request, reloads, later) {
            _ = try Self.versions(of: deployment, store)
            let isThere = try store.file(deployment).aliases[alias] != nil
            do {
                let before = try store.removeAlias(alias, of: deployment)
                return [.init("previousVersion", .number("\(before)"))]
            } catch {
                guard !isThere else { throw error }
                throw AdminAnswer.Refusal.missing("alias_not_found", "\(error)")
            }
        }
    }

    /// `DELETE /admin/v1/deployments/<branch>/<name>/versions/<number>`
    func remove(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        guard request.method == .delete else { return .notAllowed("DELETE") }
        do throws(AdminAnswer.Refusal) {
            let deployment = try Self.deployment(parts)
            guard let number = Self.number(parts[4]), number > 0 else {
                throw AdminAnswer.Refusal.missing(
                    "version_not_found",
                    "'\(parts[4].prefix(100))' is no version's number"
                )
            }
            try request.requireOnly(change: [])
            let (store, use) = (control.store, control.versionUse)
            return try change("remove", "\(deployment) \(number)", request, false, later) {
                let numbers = try Self.versions(of: deployment, store)
                do {
                    try store.remove(deployment, number, usedBy: use.users)
                    return []
                } catch {
                    guard !numbers.contains(number) else { throw error }
                    throw AdminAnswer.Refusal.missing("version_not_found", "\(error)")
                }
            }
        } catch {
            return refused("remove", request, error)
        }
    }

    /// The versions of a deployment that has some.
    private static func versions(
        of deployment: DeploymentName,
        _ store: DeploymentStore
    ) throws -> [Int] {
        let numbers = try store.storedVersions(deployment)
        guard !numbers.isEmpty else {
            throw AdminAnswer.Refusal.missing(
                "deployment_not_found",
                store.missing(deployment).description
            )
        }
        return numbers
    }

    /// Changes the store on a thread of its own, writes it down, and reloads if that is wanted.
    private func change(
        _ action: String,
        _ detail: String,
        _ request: AdminRequest,
        _ reloads: Bool,
        _ later: @escaping Completion,
        _ body: @escaping StoreChange
    ) throws(AdminAnswer.Refusal) -> AdminAnswer? {
        try requireRunning()
        let (control, author, terms) = (self.control, request.author, try request.terms())
        try requireTerms(terms)
        var known = [JSONValue.Member("subject", .string(detail))]
        if let reason = terms.reason { known.append(.init("because", .string(reason))) }
        let subject = known
        let fail: @Sendable (AdminAnswer.Refusal) -> AdminAnswer = { refusal in
            let problem = JSONValue.Member("error", .string(refusal.sentence))
            control.audit.write(action, author: author, outcome: "failed", subject + [problem])
            return refusal.answer
        }
        let work: @Sendable () -> Void = {
            do {
                let facts = try body()
                control.audit.write(action, author: author, outcome: "done", subject + facts)
                guard reloads else {
                    return later(
                        AdminAnswer(.ok, .object([.init("outcome", .string("done"))] + facts))
                    )
                }
                let before = control.board.live.committed.revision.number
                let reload = CommitTerms(reason: terms.reason, isExplicit: true)
                control.commits.commit(
                    .reload(resetsWeights: false),
                    author: author,
                    terms: reload
                ) { later(AdminAnswer($0, before: before, done: facts)) }
            } catch let refusal as AdminAnswer.Refusal {
                later(fail(refusal))
            } catch {
                later(fail(.init("\(error)", status: .conflict, code: "store_unchanged")))
            }
        }
        do {
            _ = try Thread(name: "admin-work", stackBytes: 8 << 20, work)
            return nil
        } catch {
            return fail(.noThread(error))
        }
    }

    /// Refuses a change of the store where one of the host would be refused.
    private func requireTerms(_ terms: CommitTerms) throws(AdminAnswer.Refusal) {
        let live = control.board.live.committed.revision
        if let frozen = live.frozen {
            throw AdminAnswer.Refusal(frozen.sentence, status: .conflict, code: "frozen")
        }
        guard let wanted = terms.ifRevision, wanted != live.number else { return }
        throw AdminAnswer.Refusal(
            "revision \(live.number) is live, and this was to be a change of revision \(wanted)",
            status: .conflict,
            code: "revision_moved"
        )
    }

    private static func deployment(
        _ parts: [String]
    ) throws(AdminAnswer.Refusal) -> DeploymentName {
        let branch = Names.branch(ofFolder: parts[1])
        guard let deployment = DeploymentName(branch: branch, name: parts[2]) else {
            throw AdminAnswer.Refusal.missing(
                "deployment_not_found",
                "'\(parts[1].prefix(100))/\(parts[2].prefix(100))' is no deployment; in a path the "
                    + "branch stands before the name, with '~' for '/'"
            )
        }
        return deployment
    }
}
