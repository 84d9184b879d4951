// What Open Inference calls a repository: every name that can be asked for, and how it is.

import Bytes
import Deployments
import Endpoints
package import JSON
package import Surfaces

/// The models of a host, as a list.
package struct RepositoryIndex {
    private let snapshot: ServingSnapshot
    private let isReadyOnly: Bool
    private static let bodyBytesMaximum = 1024

    /// The index of a state.
    ///
    /// - Parameter content: the request's body: nothing, or `{"ready": …}`.
    package init(_ snapshot: ServingSnapshot, _ content: Span<UInt8>) throws(Failure) {
        self.snapshot = snapshot
        guard content.count <= Self.bodyBytesMaximum else {
            throw Failure(
                .badRequest,
                "the body has more than \(Self.bodyBytesMaximum) bytes; wanted none, or "
                    + "{\"ready\": true}"
            )
        }
        var text: [UInt8] = []
        text.append(content)
        guard !text.isEmpty else {
            isReadyOnly = false
            return
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            throw Failure(.badJSON, "the body is not JSON: \(error)")
        }
        guard value.object != nil, value["ready"] == nil || value["ready"]?.boolean != nil else {
            throw Failure(.badRequest, "wanted no body, or {\"ready\": true} or {\"ready\": false}")
        }
        isReadyOnly = value["ready"]?.boolean ?? false
    }

    /// `[{"name": …, "version": …, "state": …, "reason": …}, …]`
    package var json: JSONValue {
        var list: [JSONValue] = []
        for endpoint in snapshot.endpoints {
            let readiness = Readiness.endpoint(endpoint)
            let reason = readiness.isReady ? "" : readiness.reasons.joined(separator: "; ")
            add(
                endpoint.name,
                nil,
                endpoint.isDisabled ? "switched off by an admin" : reason,
                &list
            )
        }
        var known: Set<String> = []
        for deployment in snapshot.deployments {
            let version = deployment.version
            let name = version.deployment.openName
            guard known.insert("\(name)/\(version.number)").inserted else { continue }
            add(name, version.number, deployment.model.ailment ?? "", &list)
        }
        for name in snapshot.unloaded {
            add(ServingSnapshot.openName(name), nil, "unloaded by an admin", &list)
        }
        return .array(list)
    }

    private func add(
        _ name: String,
        _ version: Int?,
        _ reason: String,
        _ list: inout [JSONValue]
    ) {
        let isReady = reason.isEmpty
        if isReadyOnly, !isReady { return }
        var members = [JSONValue.Member("name", .string(name))]
        if let version { members.append(.init("version", .string("\(version)"))) }
        members.append(.init("state", .string(isReady ? "READY" : "UNAVAILABLE")))
        members.append(.init("reason", .string(reason)))
        list.append(.object(members))
    }
}
