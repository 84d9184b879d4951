// What admins do about workers and about versions that end them.

import HTTP
import JSON
import Serving

extension AdminRouter {
    /// Lists who is in quarantine, or lets some of them run again.
    func quarantine(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        switch request.method {
        case .get, .head:
            return AdminAnswer(.ok, .array(control.quarantine.entries.map(\.json)))
        case .delete:
            do throws(AdminAnswer.Refusal) {
                let deployment = try request.text("deployment")
                let version = try request.number("version")
                try request.requireOnly(["deployment", "version"])
                return try commit(
                    .readmit(deployment: deployment, version: version),
                    request,
                    later
                )
            } catch {
                return refused("quarantine clear", request, error)
            }
        default: return .notAllowed("GET, HEAD, DELETE")
        }
    }

    /// Lets another worker take over.
    func recycle(_ request: AdminRequest) -> AdminAnswer {
        do throws(AdminAnswer.Refusal) {
            try request.requireOnly([])
            try requireRunning()
            guard control.recycle() else {
                throw AdminAnswer.Refusal(
                    "this host was started with --no-supervisor: there is nobody to take over",
                    status: .serviceUnavailable,
                    code: "no_supervisor"
                )
            }
        } catch {
            return refused("recycle", request, error)
        }
        control.audit.write("recycle", author: request.author, outcome: "asked", [])
        return AdminAnswer(.ok, .object([.init("recycling", .boolean(true))]))
    }
}
