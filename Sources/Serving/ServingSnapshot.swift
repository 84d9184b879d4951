// Everything that is live, prepared for requests. Immutable; a request keeps the one it began with.

import Bytes
package import Deployments
package import Endpoints
package import Surfaces

/// What answers for a split, ready to be asked.
package enum PreparedBackend: Sendable {
    /// The JSON text of a static answer.
    case value([UInt8])
    /// A live model.
    case model(ServedModel)
}

/// One split, or one deployment by its own name, with all its text written already.
package final class PreparedSplit: Sendable {
    package let name: [UInt8]
    package let backend: PreparedBackend
    package let text: SplitText
    package let metrics: SplitMetrics

    package init(name: String, backend: PreparedBackend, text: SplitText, metrics: SplitMetrics) {
        self.name = Array(name.utf8)
        self.backend = backend
        self.text = text
        self.metrics = metrics
    }
}

/// One endpoint, ready for requests.
package final class PreparedEndpoint: Sendable {
    package let name: String
    /// What a request's subject stands under; nil: there is no experiment, and no subject.
    package let subjectKey: SubjectKey?
    package let assigner: Assigner
    package let splits: [PreparedSplit]
    /// What answers when the chosen split cannot.
    package let fallback: PreparedSplit?
    /// The bytes of the member that holds the subject; empty for a position.
    package let subjectName: [UInt8]
    /// Failures of requests that no split was chosen for.
    package let unassigned: ErrorCounters

    package init(
        endpoint: Endpoint,
        splits: [PreparedSplit],
        unassigned: ErrorCounters = ErrorCounters()
    ) {
        self.unassigned = unassigned
        name = endpoint.name
        subjectKey = endpoint.experiment?.subjectKey
        self.splits = splits
        fallback = endpoint.fallback.flatMap { name in
            splits.first { $0.name.elementsEqual(name.utf8) }
        }
        assigner = Assigner(experiment: endpoint.experiment?.id, splits: endpoint.splits)
        if case .member(let member) = endpoint.experiment?.subjectKey {
            subjectName = Array(member.utf8)
        } else {
            subjectName = []
        }
    }

    /// The index of the split with this name, which stands in a request.
    package func split(named text: Span<UInt8>, _ range: Range<Int>) -> Int? {
        splits.firstIndex { Bytes.equal(text, range, $0.name) }
    }
}

/// What a path names.
package enum PreparedTarget: Sendable {
    case endpoint(PreparedEndpoint)
    /// A deployment that is called by its own name; the split has no name of its own.
    case deployment(PreparedSplit)
}

/// A version that is live, under one of the references that it can be asked for by.
package struct PreparedDeployment: Sendable {
    package let reference: DeploymentReference
    package let model: ServedModel
    /// What is counted of direct calls.
    package let metrics: SplitMetrics
    package var version: LoadedVersion { model.version }

    package init(reference: DeploymentReference, model: ServedModel, metrics: SplitMetrics) {
        self.reference = reference
        self.model = model
        self.metrics = metrics
    }
}

/// A numbered, complete state of the host.
package final class ServingSnapshot: Sendable {
    /// The revision that it was made from.
    package let revision: Int
    package let endpoints: [PreparedEndpoint]
    package let deployments: [PreparedDeployment]
    /// Every model, each once.
    package let models: [ServedModel]
    /// Why the files are not what is served; nil when they are.
    package let degraded: String?
    /// Every path that means something, without its `/v1/`, one behind the other, and where each
    /// ends; and what it means.
    private let paths: [UInt8]
    private let pathEnds: [UInt32]
    private let targets: [PreparedTarget]
    /// Indices into `targets` by the hash of the path; -1 is empty; a power of two long.
    private let table: [Int32]

    /// Prepares the paths: an endpoint's name alone or with `latest`; a deployment's name with a
    /// version, with a branch and a version, and alone where no endpoint has it.
    package init(
        revision: Int,
        endpoints: [PreparedEndpoint],
        deployments: [PreparedDeployment] = [],
        degraded: String? = nil
    ) {
        self.degraded = degraded
        models = deployments.map(\.model).distinct
        self.revision = revision
        self.endpoints = endpoints
        self.deployments = deployments
        var meanings = PathMeanings()
        for endpoint in endpoints {
            let name = endpoint.name
            for path in [name, "\(name)/latest", "\(name)/main/latest"] {
                meanings.add(path, .endpoint(endpoint))
            }
        }
        for deployment in deployments {
            meanings.add(deployment, revision)
        }
        targets = meanings.targets
        paths = meanings.paths.flatMap { $0 }
        var end: UInt32 = 0
        pathEnds = meanings.paths.map {
            end += UInt32($0.count)
            return end
        }
        var size = 8
        while size < targets.count * 2 { size *= 2 }
        var table = [Int32](repeating: -1, count: size)
        for (index, path) in meanings.paths.enumerated() {
            var place = ServingSnapshot.hash(path.span) & (size - 1)
            while table[place] >= 0 { place = (place + 1) & (size - 1) }
            table[place] = Int32(index)
        }
        self.table = table
    }

    /// The names that each model can be asked for by, beside its number.
    package var aliases: [ObjectIdentifier: [String]] {
        Dictionary(grouping: deployments) { ObjectIdentifier($0.model) }
            .mapValues { $0.compactMap(\.reference.version.alias) }
    }

    /// What the path means that stands in a request, without its `/v1/`.
    package func target(_ text: Span<UInt8>, _ path: Range<Int>) -> PreparedTarget? {
        let paths = paths
        let mask = table.count - 1
        var place = ServingSnapshot.hash(text.extracting(path)) & mask
        while table[place] >= 0 {
            let candidate = Int(table[place])
            let start = candidate == 0 ? 0 : Int(pathEnds[candidate - 1])
            let known = paths.span.extracting(start..<Int(pathEnds[candidate]))
            if Bytes.equal(text.extracting(path), known) { return targets[candidate] }
            place = (place + 1) & mask
        }
        return nil
    }

    /// Why a path, without its `/v1/`, names nothing.
    package func missing(_ path: String) -> Failure {
        let parts = path.split(separator: "/").map { String($0.prefix(Names.lengthMaximum)) }
        guard parts.count > 1, let name = parts.first, let version = parts.last else {
            let names = endpoints.map(\.name) + deployments.map(\.reference.name)
            let guess = Suggestion.nearest(to: path, in: names)
            return Failure(
                .endpointNotFound,
                "there is no endpoint and no deployment '\(parts.first ?? "")'"
                    + (guess.map { "; did you mean '\($0)'?" } ?? "")
            )
        }
        let branch = parts.count == 3 ? Names.branch(ofFolder: parts[1]) : "main"
        let loaded = deployments.filter {
            $0.reference.name == name && $0.reference.branch == branch
        }
        if loaded.isEmpty, endpoints.contains(where: { $0.name == name }) {
            return Failure(
                .deploymentNotFound,
                "'\(name)' is an endpoint, which has no versions: leave '\(version)' out, or name "
                    + "a deployment"
            )
        }
        guard !loaded.isEmpty else {
            return Failure(
                .deploymentNotFound,
                "there is no deployment '\(branch)/\(name)' with a version that can be loaded"
            )
        }
        let argument = DeploymentName(branch: branch, name: name)?.argument ?? name
        let versions = loaded.map { deployment in
            let number = deployment.version.number
            return deployment.reference.version.alias.map { "\(number) (\($0))" } ?? "\(number)"
        }.joined(separator: ", ")
        return Failure(
            .versionNotLoaded,
            "the version '\(version)' of \(branch)/\(name) is not loaded; loaded are \(versions)"
                + "; 'switchyard alias set \(argument) ALIAS VERSION --reload' loads one"
        )
    }

    /// FNV-1a; names are few, short, and the host's own.
    private static func hash(_ name: Span<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in name.indices {
            hash = (hash ^ UInt64(name[index])) &* 0x100_0000_01b3
        }
        return Int(truncatingIfNeeded: hash >> 16 ^ hash)
    }
}

/// Collects paths; the first meaning of a path is the one that counts.
private struct PathMeanings {
    var paths: [[UInt8]] = []
    var targets: [PreparedTarget] = []
    private var known: Set<String> = []

    mutating func add(_ path: String, _ target: PreparedTarget) {
        guard known.insert(path).inserted else { return }
        paths.append(Array(path.utf8))
        targets.append(target)
    }

    mutating func add(_ deployment: PreparedDeployment, _ revision: Int) {
        let reference = deployment.reference
        // By the reference, and by the number that it stands for.
        let number = DeploymentReference(
            branch: reference.branch,
            name: reference.name,
            version: .number(deployment.version.number)
        )
        for reference in reference == number ? [number] : [reference, number] {
            let target = PreparedTarget.deployment(
                PreparedSplit(
                    name: "",
                    backend: .model(deployment.model),
                    text: SplitText(
                        direct: reference,
                        version: deployment.version.number,
                        revision: revision
                    ),
                    metrics: deployment.metrics
                )
            )
            let folder = Names.folder(ofBranch: reference.branch)
            add("\(reference.name)/\(folder)/\(reference.version)", target)
            guard reference.branch == "main" else { continue }
            add("\(reference.name)/\(reference.version)", target)
            if reference.version == .latest { add(reference.name, target) }
        }
    }
}
