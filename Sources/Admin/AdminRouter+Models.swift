// What admins do with clients of Open Inference: the repository of models, on their own listener.

import Bytes
import Deployments
import Endpoints
import HTTP
import JSON
import Serving
import Surfaces

extension AdminRouter {
    /// Routes what stands behind `/v2/repository/`.
    func routeRepository(
        _ request: AdminRequest,
        _ parts: [String],
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        switch (parts.first, parts.count) {
        case ("index", 1):
            guard request.method == .post else { return .notAllowed("POST") }
            return index(request)
        case ("models", 3) where parts[2] == "load" || parts[2] == "unload":
            guard request.method == .post else { return .notAllowed("POST") }
            return load(parts[1], isOn: parts[2] == "load", request, later)
        default: return .notFound
        }
    }

    private func index(_ request: AdminRequest) -> AdminAnswer {
        do throws(Failure) {
            let body = request.body
            let index = try RepositoryIndex(control.board.live.committed.snapshot, body.span)
            return AdminAnswer(.ok, index.json)
        } catch {
            return AdminAnswer(.badRequest, error.code.rawValue, error.sentence)
        }
    }

    /// Refuses what would be passed over: files and settings come by `switchyard deploy`.
    private func requireNothing(_ request: AdminRequest) throws(AdminAnswer.Refusal) {
        try request.requireOnly(["parameters"])
        guard let value = try request.members().first?.value else { return }
        guard let parameters = value.object else {
            throw AdminAnswer.Refusal("'parameters' is no object")
        }
        for parameter in parameters {
            guard parameter.name == "unload_dependents", parameter.value.boolean != nil else {
                throw AdminAnswer.Refusal(
                    "'parameters' has '\(parameter.name.prefix(100))'; it takes unload_dependents, "
                        + "which is true or false: builds and settings come by 'switchyard deploy'"
                )
            }
        }
    }

    /// An endpoint is switched, a deployment loaded or unloaded.
    private func load(
        _ name: String,
        isOn: Bool,
        _ request: AdminRequest,
        _ later: @escaping Completion
    ) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            try requireNothing(request)
            let live = control.board.live.committed.configuration
            if live.endpoints.contains(where: { $0.name == name }) {
                return try commit(.enable([name], isOn), request, later)
            }
            let deployment = ServingSnapshot.deployment(openName: name)
            let isKnown = live.versions.contains { $0.reference.deployment == deployment }
            guard isKnown || live.disabled.contains(deployment) else {
                throw AdminAnswer.Refusal(
                    "there is no endpoint and no loaded deployment '\(name.prefix(100))'",
                    status: .notFound,
                    code: "deployment_not_found"
                )
            }
            return try commit(isOn ? .load(deployment) : .unload(deployment), request, later)
        } catch {
            return refused(isOn ? "load" : "unload", request, error)
        }
    }
}
