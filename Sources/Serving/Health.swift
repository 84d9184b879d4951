// The two questions that a load balancer asks, and the answers with their reasons.

import Bytes
import JSON

enum Health {
    /// Writes the body of a health answer; returns whether it is good news.
    static func write(
        isLive: Bool,
        _ state: HostState,
        _ snapshot: ServingSnapshot,
        to body: inout ByteBuffer
    ) -> Bool {
        if isLive {
            // Whoever reads this was answered by a loop that turns.
            body.append(literal: "{\"live\":true}")
            return true
        }
        var reasons: [String] = []
        var isReady = true
        if state.isDraining {
            reasons.append("the host is shutting down")
            isReady = false
        }
        if snapshot.endpoints.isEmpty, snapshot.deployments.isEmpty {
            reasons.append("there is no endpoint and no deployment")
            isReady = false
        }
        if let degraded = snapshot.degraded { reasons.append("degraded: \(degraded)") }
        if state.isLogFailing { reasons.append("the request log cannot be written") }
        if state.recordsLost > 0 {
            reasons.append("\(state.recordsLost) records of the request log were lost")
        }
        let value = JSONValue.object([
            .init("ready", .boolean(isReady)),
            .init("configRevision", .number(String(snapshot.revision))),
            .init("reasons", .array(reasons.map { .string($0) })),
        ])
        body.append(value.text)
        return isReady
    }
}
