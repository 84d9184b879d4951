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
    /// The group that it belongs to.
    package let service: String
    /// Whether an admin has switched it off.
    package let isDisabled: Bool
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
        unassigned: ErrorCounters = ErrorCounters(),
        isDisabled: Bool = false
    ) {
        self.unassigned = unassigned
        self.isDisabled = isDisabled
        service = endpoint.service
        name = endpoint.name
        subjectKey = endpoint.experiment?.subjectKey
        self.splits = splits
        fallback = endpoint.fallback.flatMap { name in
            splits.first { $0.name.elementsEqual(name.utf8) }
        }
        // Without an experiment a caller may name a subject nevertheless; its seed is the name.
        assigner = Assigner(
            experiment: endpoint.experiment?.id ?? endpoint.name,
            splits: endpoint.splits
        )
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
    /// Deployments that an admin has unloaded, as `branch/name`.
    let unloaded: [String]
    private let paths: PathTable<PreparedTarget>
    /// Endpoints by their service and name, with a slash between them.
    private let services: PathTable<PreparedEndpoint>
    /// What Open Inference calls models, alone or with a slash and a version.
    private let openModels: PathTable<ModelTarget>
    /// What refusals of unknown names look into.
    let names: KnownNames

    /// Prepares the paths: an endpoint's name alone or with `latest`; a deployment's name with a
    /// version, with a branch and a version, and alone where no endpoint has it.
    package init(
        revision: Int,
        endpoints: [PreparedEndpoint],
        deployments: [PreparedDeployment] = [],
        degraded: String? = nil,
        unloaded: [String] = []
    ) {
        self.unloaded = unloaded
        self.degraded = degraded
        models = deployments.map(\.model).distinct
        self.revision = revision
        self.endpoints = endpoints
        self.deployments = deployments
        names = KnownNames(endpoints, deployments)
        var list = PathList<PreparedTarget>()
        var services = PathList<PreparedEndpoint>()
        var models = PathList<ModelTarget>()
        for endpoint in endpoints {
            let name = endpoint.name
            for path in [name, "\(name)/latest", "\(name)/main/latest"] {
                list.add(path, .endpoint(endpoint))
            }
            services.add("\(endpoint.service)/\(name)", endpoint)
            for path in [name, "\(name)/latest"] {
                models.add(path, ModelTarget(target: .endpoint(endpoint)))
            }
        }
        for deployment in deployments {
            for (reference, target) in deployment.targets(revision) {
                list.add(reference, target)
                models.add(reference, target)
            }
        }
        for endpoint in endpoints {
            for (index, split) in endpoint.splits.enumerated() {
                models.add(
                    "\(endpoint.name)/\(String(decoding: split.name, as: UTF8.self))",
                    ModelTarget(target: .endpoint(endpoint), arm: index)
                )
            }
        }
        paths = PathTable(list)
        self.services = PathTable(services)
        openModels = PathTable(models)
    }

    /// The names that each model can be asked for by, beside its number.
    package var aliases: [ObjectIdentifier: [String]] {
        Dictionary(grouping: deployments) { ObjectIdentifier($0.model) }
            .mapValues { $0.compactMap(\.reference.version.alias) }
    }

    /// What the path means that stands in a request, without its `/v1/`.
    package func target(_ text: Span<UInt8>, _ path: Range<Int>) -> PreparedTarget? {
        paths.meaning(text.extracting(path))
    }

    /// The endpoint that a service and a name stand for, which are in a request, with a slash
    /// between them.
    func endpoint(ofService text: Span<UInt8>, _ path: Range<Int>) -> PreparedEndpoint? {
        services.meaning(text.extracting(path))
    }

    /// What Open Inference's name of a model and of its version stand for.
    func openModel(
        _ text: Span<UInt8>,
        _ name: Range<Int>,
        version: Range<Int>?
    ) -> ModelTarget? {
        guard let version else { return openModels.meaning(text.extracting(name)) }
        var path: [UInt8] = []
        path.append(text.extracting(name))
        path.append(UInt8(ascii: "/"))
        path.append(text.extracting(version))
        return openModels.meaning(path.span)
    }

    /// The name in Open Inference of a deployment that is `branch/name`.
    static func openName(_ deployment: String) -> String {
        guard let slash = deployment.lastIndex(of: "/") else { return deployment }
        return openName(
            branch: String(deployment[..<slash]),
            name: String(deployment[slash...].dropFirst())
        )
    }

    /// The same, of its two parts.
    static func openName(branch: String, name: String) -> String {
        branch == "main" ? name : "\(Names.folder(ofBranch: branch))~\(name)"
    }

    /// The deployment, as `branch/name`, that a name in Open Inference stands for.
    package static func deployment(openName name: String) -> String {
        guard let tilde = name.lastIndex(of: "~") else { return "main/\(name)" }
        return "\(Names.branch(ofFolder: String(name[..<tilde])))/\(name[tilde...].dropFirst())"
    }
}

extension DeploymentName {
    /// Its name in Open Inference.
    var openName: String { ServingSnapshot.openName(branch: branch, name: name) }
}

/// What Open Inference calls a model.
struct ModelTarget: Sendable {
    let target: PreparedTarget
    /// The split that the version names, of an endpoint; nil: it names none.
    var arm: Int?
}

extension PreparedDeployment {
    /// What is meant by the reference, and by the number that it stands for.
    fileprivate func targets(_ revision: Int) -> [(DeploymentReference, PreparedTarget)] {
        let number = DeploymentReference(
            branch: reference.branch,
            name: reference.name,
            version: .number(version.number)
        )
        return (reference == number ? [number] : [reference, number]).map { reference in
            let split = PreparedSplit(
                name: "",
                backend: .model(model),
                text: SplitText(
                    direct: reference,
                    version: version.number,
                    revision: revision,
                    output: version.description.output
                ),
                metrics: metrics
            )
            return (reference, .deployment(split))
        }
    }
}

extension PathList<PreparedTarget> {
    /// Adds a version under its paths on the native surface.
    fileprivate mutating func add(_ reference: DeploymentReference, _ target: PreparedTarget) {
        let folder = Names.folder(ofBranch: reference.branch)
        add("\(reference.name)/\(folder)/\(reference.version)", target)
        guard reference.branch == "main" else { return }
        add("\(reference.name)/\(reference.version)", target)
        if reference.version == .latest { add(reference.name, target) }
    }
}

extension PathList<ModelTarget> {
    /// Adds a version under its names in Open Inference: a branch stands before the name.
    fileprivate mutating func add(_ reference: DeploymentReference, _ target: PreparedTarget) {
        let folder = Names.folder(ofBranch: reference.branch)
        var names = ["\(folder)~\(reference.name)"]
        if reference.branch == "main" { names.append(reference.name) }
        for name in names {
            add("\(name)/\(reference.version)", ModelTarget(target: target))
            if reference.version == .latest { add(name, ModelTarget(target: target)) }
        }
    }
}
