/// Which version of a deployment is meant.
package enum VersionReference: Equatable, Hashable, Sendable, CustomStringConvertible {
    /// The highest number that is ready.
    case latest
    /// This one.
    case number(Int)
    /// The one that a movable name stands for at the moment.
    case alias(String)

    /// Reads `latest`, a number from 1 on, or an alias.
    package init?(_ text: String) {
        if text == "latest" {
            self = .latest
        } else if let number = Int(text), number > 0, String(number) == text {
            self = .number(number)
        } else if Names.isAlias(text) {
            self = .alias(text)
        } else {
            return nil
        }
    }

    /// Whether what it stands for may change.
    package var isMovable: Bool { if case .number = self { false } else { true } }

    /// The text that `init` reads.
    package var description: String {
        switch self {
        case .latest: "latest"
        case .number(let number): String(number)
        case .alias(let name): name
        }
    }

    /// What answers and logs call `alias`: the name that was asked for, if it was not a number.
    package var alias: String? {
        if case .number = self { nil } else { description }
    }
}

/// A model under a name, and which version of it.
package struct DeploymentReference: Equatable, Hashable, Sendable {
    package let branch: String
    package let name: String
    package let version: VersionReference

    package init(branch: String, name: String, version: VersionReference) {
        self.branch = branch
        self.name = name
        self.version = version
    }

    /// The deployment that it is a version of: `main/pricing_model_v1`.
    package var deployment: String { "\(branch)/\(name)" }
}

/// What answers for a split.
package enum Backend: Equatable, Sendable {
    /// A model.
    case deployment(DeploymentReference)
    /// A static answer: its JSON text.
    case value(String)
}

/// One weighted arm of an endpoint.
package struct Split: Equatable, Sendable {
    package let name: String
    /// Its share of the traffic, relative to the other splits'; finite, not negative.
    package let weight: Double
    /// The weight as it was written, in JSON's form.
    package let weightText: String
    package let backend: Backend

    package init(name: String, weight: Double, weightText: String, backend: Backend) {
        self.name = name
        self.weight = weight
        self.weightText = weightText
        self.backend = backend
    }
}

/// Where the subject of a request is found.
package enum SubjectKey: Equatable, Sendable {
    /// A member of the first argument.
    case member(String)
    /// The argument at this position, counted from 0.
    case argument(Int)
}

/// What makes an assignment sticky.
package struct Experiment: Equatable, Sendable {
    /// The seed of the hash.
    package let id: String
    package let subjectKey: SubjectKey

    package init(id: String, subjectKey: SubjectKey) {
        self.id = id
        self.subjectKey = subjectKey
    }
}

/// What clients call: splits, and the rule that chooses one of them.
package struct Endpoint: Equatable, Sendable {
    package let name: String
    /// Sorted by the bytes of their names: the order of the file never matters.
    package let splits: [Split]
    /// Nil: a weighted coin for every row.
    package let experiment: Experiment?
    /// The group that the endpoint belongs to.
    package let service: String
    /// The split that answers when the chosen one cannot; nil: none does.
    package let fallback: String?

    package init(
        name: String,
        splits: [Split],
        experiment: Experiment?,
        service: String,
        fallback: String? = nil
    ) {
        self.fallback = fallback
        self.name = name
        self.splits = splits.sorted {
            Array($0.name.utf8).lexicographicallyPrecedes(Array($1.name.utf8))
        }
        self.experiment = experiment
        self.service = service
    }

    /// What its splits ask.
    package var references: [DeploymentReference] {
        splits.compactMap {
            guard case .deployment(let reference) = $0.backend else { return nil }
            return reference
        }
    }

    /// The deployments that its splits ask, as `branch/name`.
    package var deployments: [String] { references.map(\.deployment) }
}
