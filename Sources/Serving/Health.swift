// The questions that a load balancer asks of a loop. Whoever reads an answer was answered by a loop
// that turns, which is what "live" means.

import Bytes
import JSON
import Surfaces

extension ServingLoop {
    /// Writes the body of the answer to a question about the host; returns whether it is good news.
    func writeHealth(isLive: Bool) -> Bool {
        if isLive {
            body.append(literal: "{\"live\":true}")
            return true
        }
        return write(Readiness.host(state, snapshot))
    }

    /// Writes the body of the answer to a question about an endpoint or a version.
    func writeHealth(of target: PreparedTarget) -> Bool {
        switch target {
        case .endpoint(let endpoint): return write(Readiness.endpoint(endpoint))
        case .deployment(let split):
            guard case .model(let model) = split.backend else { return write(Readiness()) }
            return write(Readiness.version(model))
        }
    }

    private func write(_ readiness: Readiness) -> Bool {
        body.append(readiness.json.text)
        return readiness.isReady
    }
}
