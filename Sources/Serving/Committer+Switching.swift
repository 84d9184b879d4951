// What admins do by the verbs of other protocols: shares for a whole service, switching endpoints
// and deployments off and on. Each is a commit like any other.

import Endpoints
import Logging
import Platform

extension Committer {
    /// The current state with what such a request changes.
    func switched(
        _ request: CommitRequest,
        _ current: Committed,
        author: String
    ) throws(CommitFailure) -> Proposal {
        var proposal = Proposal(current)
        switch request {
        case .mapping(let service, let weights):
            try map(service, weights, author, current, &proposal)
        case .enable(let names, let isOn):
            for name in names {
                guard current.configuration.endpoints.contains(where: { $0.name == name }) else {
                    throw CommitFailure(errors: [current.configuration.missing(endpoint: name)])
                }
            }
            proposal.disabled.removeAll { names.contains($0) }
            if !isOn { proposal.disabled += names }
        case .load(let deployment):
            proposal.disabled.removeAll { $0 == deployment }
            proposal.loads = deployment
        case .unload(let deployment):
            let users = current.configuration.endpoints.filter {
                $0.deployments.contains(deployment)
            }
            guard users.isEmpty else {
                let names = users.map(\.name).joined(separator: ", ")
                throw CommitFailure(errors: [
                    "\(deployment) answers for the endpoints \(names): take it out of their files "
                        + "and reload first"
                ])
            }
            if !proposal.disabled.contains(deployment) { proposal.disabled.append(deployment) }
        case .reload, .weights, .resetWeights, .rollback, .rollbackEndpoint, .release, .freeze,
            .unfreeze, .readmit, .loadAgain:
            preconditionFailure("these have ways of their own")
        }
        proposal.disabled.sort()
        return proposal
    }

    /// Sets the live weights of every endpoint of a service.
    private func map(
        _ service: String,
        _ weights: [(split: String, weight: Weight)],
        _ author: String,
        _ current: Committed,
        _ proposal: inout Proposal
    ) throws(CommitFailure) {
        let endpoints = current.configuration.endpoints.filter { $0.service == service }
        guard !endpoints.isEmpty else {
            throw CommitFailure(errors: ["there is no endpoint of the service '\(service)'"])
        }
        var errors: [String] = []
        let since = Timestamp.text(.now())
        for endpoint in endpoints {
            for (split, _) in weights
            where !endpoint.splits.contains(where: { $0.name == split }) {
                let names = endpoint.splits.map(\.name).joined(separator: ", ")
                errors.append(
                    "the endpoint \(endpoint.name) has no split '\(split)'; it has \(names)"
                )
            }
            let all = endpoint.splits.map { split in
                (
                    split: split.name,
                    weight: weights.first { $0.split == split.name }?.weight ?? .zero
                )
            }
            proposal.liveWeights.removeAll { $0.endpoint == endpoint.name }
            proposal.liveWeights.append(
                LiveWeights(endpoint: endpoint.name, weights: all, author: author, since: since)
            )
        }
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        proposal.liveWeights.sort { $0.endpoint < $1.endpoint }
        proposal.disabled.removeAll { name in endpoints.contains { $0.name == name } }
    }
}
