// What admins do about workers and about versions that end them.

import HTTP
import JSON
import Serving

extension AdminRouter {
    /// Lets versions that are in quarantine run again.
    func clearQuarantine(_ request: AdminRequest, _ later: @escaping Completion) -> AdminAnswer? {
        do throws(AdminAnswer.Refusal) {
            let deployment = try request.text("deployment")
            let version = try request.number("version")
            try request.requireOnly(change: ["deployment", "version"])
            return try commit(.readmit(deployment: deployment, version: version), request, later)
        } catch {
            return refused("quarantine clear", request, error)
        }
    }

    /// Lets another worker take over.
    func recycle(_ request: AdminRequest) -> AdminAnswer {
        var reason: String?
        do throws(AdminAnswer.Refusal) {
            try request.requireOnly(change: [])
            reason = try request.terms().reason
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
        control.audit.write(
            "recycle",
            author: request.author,
            outcome: "asked",
            reason.map { [.init("because", .string($0))] } ?? []
        )
        return AdminAnswer(.ok, .object([.init("recycling", .boolean(true))]))
    }
}
