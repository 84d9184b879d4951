// Whether a host, an endpoint or a version wants traffic, and why not.

import Deployments
import Endpoints
package import JSON

/// The answer to "are you ready", with its reasons.
package struct Readiness: Sendable {
    package var isReady = true
    /// What there is to say, also of a host that is ready.
    package var reasons: [String] = []
    /// What it is of, as members of the answer.
    private var subject: [JSONValue.Member] = []

    /// `{"ready": …, …, "reasons": […]}`
    package var json: JSONValue {
        .object(
            [.init("ready", .boolean(isReady))] + subject + [
                .init("reasons", .array(reasons.map { .string($0) }))
            ]
        )
    }

    /// Whether the host should get traffic: it is not on its way out, there is something to serve,
    /// and every endpoint has a split that can answer.
    package static func host(_ state: HostState, _ snapshot: ServingSnapshot) -> Readiness {
        var readiness = Readiness()
        readiness.subject = [.init("configRevision", .number("\(snapshot.revision)"))]
        if state.isDraining {
            readiness.refuse("the host is shutting down")
        }
        if snapshot.endpoints.isEmpty, snapshot.deployments.isEmpty {
            readiness.refuse("there is no endpoint and no deployment")
        }
        for endpoint in snapshot.endpoints {
            let own = self.endpoint(endpoint)
            // What an admin has switched off says nothing of the host.
            if !own.isReady, !endpoint.isDisabled { readiness.isReady = false }
            readiness.reasons += own.reasons
        }
        for model in snapshot.models { readiness.reasons += version(model).reasons }
        for failure in state.failures {
            let name = "\(failure.deployment) version \(failure.number)"
            readiness.reasons.append("\(name) could not be loaded: \(failure.reason)")
        }
        if let failure = state.failedReload {
            readiness.reasons.append("the last reload changed nothing: \(failure)")
        }
        if let degraded = snapshot.degraded { readiness.reasons.append("degraded: \(degraded)") }
        if state.isLogFailing { readiness.reasons.append("the request log cannot be written") }
        if state.isAuditFailing { readiness.reasons.append("the audit log cannot be written") }
        if state.recordsLost > 0 {
            readiness.reasons.append("\(state.recordsLost) records of the request log were lost")
        }
        return readiness
    }

    /// Whether an endpoint can answer: a split that gets traffic can.
    package static func endpoint(_ endpoint: PreparedEndpoint) -> Readiness {
        var readiness = Readiness()
        readiness.subject = [.init("endpointName", .string(endpoint.name))]
        var canAnswer = false
        for (index, split) in endpoint.splits.enumerated()
        where endpoint.assigner.getsTraffic(index) {
            if case .model(let model) = split.backend, let ailment = model.ailment {
                let name = String(decoding: split.name, as: UTF8.self)
                readiness.reasons.append(
                    "endpoint \(endpoint.name), split \(name): \(ailment)"
                )
            } else {
                canAnswer = true
            }
        }
        readiness.isReady = canAnswer
        if endpoint.isDisabled {
            readiness.refuse("endpoint \(endpoint.name) is switched off by an admin")
        }
        return readiness
    }

    /// Whether a version can answer.
    package static func version(_ model: ServedModel) -> Readiness {
        var readiness = Readiness()
        let version = model.version
        readiness.subject = [
            .init("branch", .string(version.deployment.branch)),
            .init("name", .string(version.deployment.name)),
            .init("version", .number("\(version.number)")),
        ]
        if let ailment = model.ailment {
            readiness.refuse("\(version.deployment) version \(version.number): \(ailment)")
        }
        return readiness
    }

    private mutating func refuse(_ reason: String) {
        isReady = false
        reasons.append(reason)
    }
}
