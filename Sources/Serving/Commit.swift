// What can be asked of a running host, and what comes of it.

package import Endpoints
import Platform

/// All that is wrong with an attempt.
package struct CommitFailure: Error, Sendable, CustomStringConvertible {
    /// A sentence, or a compiler-like block, for each error.
    package let errors: [String]
    /// What kind of failure it is, where that is known.
    package let code: Code

    /// Kinds that a program tells apart.
    package enum Code: String, Sendable {
        case failed = "commit_failed"
        case revisionMoved = "revision_moved"
        case frozen
    }

    package init(errors: [String], code: Code = .failed) {
        self.errors = errors
        self.code = code
    }

    /// The first line of the first error, and how many more there are.
    var summary: String {
        let first = errors.first?.split(separator: "\n").first ?? ""
        return errors.count > 1 ? "\(first); and \(errors.count - 1) more" : String(first)
    }

    /// All of them, one after the other.
    package var description: String { errors.joined(separator: "\n") }
}

/// On which terms something is asked for.
package struct CommitTerms: Sendable {
    /// The revision that it is to be a change of; nil: of whatever is live.
    package var ifRevision: Int?
    /// Why, as whoever asks says it.
    package var reason: String?
    /// Whether somebody has asked for this very change: what signals, the watch and a start do is
    /// not.
    package var isExplicit = false

    package init(ifRevision: Int? = nil, reason: String? = nil, isExplicit: Bool = false) {
        (self.ifRevision, self.reason, self.isExplicit) = (ifRevision, reason, isExplicit)
    }
}

/// What an admin, a signal or the watch asks for.
package enum CommitRequest: Sendable {
    /// What the files say; live weights stay unless the file's own of that endpoint have changed.
    case reload(resetsWeights: Bool)
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
    /// An older revision; nil: the one before what is served.
    case rollback(to: Int?)
    /// One endpoint as it was before.
    case rollbackEndpoint(String)
    /// What a rollback has put aside may come back; the word is a subject of a pin.
    case release(String)
    /// From now on nothing is changed, for this reason.
    case freeze(String)
    case unfreeze
    /// What is live, with the versions that could not be loaded when a worker took over.
    case loadAgain
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
        case .rollback, .rollbackEndpoint: "rollback"
        case .release: "release"
        case .freeze: "freeze"
        case .unfreeze: "unfreeze"
        case .loadAgain: "load again"
        case .readmit: "quarantine clear"
        }
    }

    /// Every such word.
    package static let names = [
        "reload", "weights", "mapping", "enable", "disable", "load", "unload", "rollback",
        "release", "freeze", "unfreeze", "load again", "quarantine clear",
    ]

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
    /// What the files say and pins keep away.
    package var leftOut: [StateChange] = []
    /// What the files say and cannot be: versions that could not be loaded.
    package var warnings: [String] = []
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
