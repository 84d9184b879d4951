// What can be asked of a running host, and what comes of it.

package import Endpoints
import Platform

/// All that is wrong with an attempt.
package struct CommitFailure: Error, Sendable, CustomStringConvertible {
    /// A sentence, or a compiler-like block, for each error.
    package let errors: [String]

    package init(errors: [String]) { self.errors = errors }

    /// All of them, one after the other.
    package var description: String { errors.joined(separator: "\n") }
}

/// What an admin, a signal or the watch asks for.
package enum CommitRequest: Sendable {
    /// What the files say; live weights give way to them unless they are kept.
    case reload(keepsWeights: Bool)
    /// Other weights for the splits of an endpoint that are named.
    case weights(endpoint: String, [(split: String, weight: Weight)])
    /// The weights of an endpoint as the files have them.
    case resetWeights(endpoint: String)
    /// Weights for all endpoints of a service, in shares; splits that are not named get none. The
    /// service is switched on.
    case mapping(service: String, [(split: String, weight: Weight)])
    /// Endpoints that are switched on or off.
    case enable([String], Bool)
    /// A deployment, as `branch/name`, is loaded again.
    case load(String)
    /// A deployment, as `branch/name`, that no endpoint uses, is not loaded any more.
    case unload(String)
    /// An older revision; nil: the one before the current one.
    case rollback(to: Int?)
    /// What is live, with the versions that are not in quarantine any more; nil stands for all.
    case readmit(deployment: String?, version: Int?)

    /// The word that logs and metrics have for it.
    package var name: String {
        switch self {
        case .reload: "reload"
        case .weights, .resetWeights: "weights"
        case .mapping: "mapping"
        case .enable(_, let isOn): isOn ? "enable" : "disable"
        case .load: "load"
        case .unload: "unload"
        case .rollback: "rollback"
        case .readmit: "quarantine clear"
        }
    }

    /// Whether it reads the files.
    var readsFiles: Bool { if case .reload = self { true } else { false } }
}

/// What is live, and how it came to be.
package struct Committed: Sendable {
    package let revision: Revision
    package let snapshot: ServingSnapshot
    package let configuration: HostConfiguration
    /// Why the files are not what is served; nil when they are.
    package let degraded: String?
    /// What is different from what was live before; nothing when nothing is.
    package let changes: [StateChange]
    /// Whether a revision was written.
    package let isNew: Bool

    /// The same once more, for somebody who has changed nothing but what is noted of the files.
    func unchanged(_ revision: Revision) -> Committed {
        Committed(
            revision: revision,
            snapshot: snapshot,
            configuration: configuration,
            degraded: degraded,
            changes: [],
            isNew: false
        )
    }

    /// Every model that it serves, each once.
    package var models: [ServedModel] { snapshot.models }
}
