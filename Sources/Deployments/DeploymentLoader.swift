// From a stored version to a live model.
//
// The bytes that were hashed are the bytes that are opened: the version's files are read once, held
// against the manifest, and written to a private folder under a name made of their hash; the loader
// maps that copy. So nothing that happens to the store while the host runs can reach it, and a path
// is never used for two builds (the system's loader would return the old code for it).
//
// One image per hash, however many versions and instances use it. An image is never closed.

import Bytes
import Digest
package import Endpoints
package import JSON
package import Logging
package import Platform
package import PluginHost

/// Why a version has no model.
package enum Absence: Equatable, Sendable {
    /// It is being loaded.
    case loading
    /// It has ended workers, and is not run again; why and since when, as a sentence.
    case quarantined(String)
    /// A worker that goes on with its revision could not load it; why, as a sentence.
    case unloadable(String)

    /// Whether it is worth trying again.
    package var isPassing: Bool { if case .unloadable = self { true } else { false } }

    /// Why it cannot answer, for people.
    package var sentence: String {
        switch self {
        case .loading: "its model is being loaded"
        case .quarantined(let sentence), .unloadable(let sentence): sentence
        }
    }
}

/// A live version, or one that is known and has no model at the moment.
package final class LoadedVersion: Sendable {
    package let deployment: DeploymentName
    package let number: Int
    /// The hash of the plugin's file.
    package let pluginHash: String
    /// Whether the model takes several rows at once.
    package var takesBatches: Bool { instance?.takesBatches ?? false }
    /// What the model says of itself.
    package let description: ModelDescription
    /// The tensors that it takes and gives as they are; nil: it takes JSON values alone.
    package let tensors: TensorsDescription?
    /// How requests become the model's inputs.
    package let binding: InputBinding
    /// The model; nil: there is none, and `absence` says why.
    package let instance: ModelInstance?
    package let absence: Absence?
    /// Where and how its calls run.
    package let execution: Execution
    /// The `data` of requests that it must answer before it is ready.
    package let examples: [JSONValue]
    /// The names of its private copies.
    let copies: [String]
    /// The model's entry on the board of the process; 0: it has none.
    package let boardEntry: UInt32

    package init(
        deployment: DeploymentName,
        number: Int,
        pluginHash: String,
        description: ModelDescription,
        instance: ModelInstance?,
        tensors: TensorsDescription? = nil,
        absence: Absence? = nil,
        execution: Execution,
        examples: [JSONValue],
        copies: [String] = [],
        boardEntry: UInt32 = 0
    ) {
        self.copies = copies
        self.boardEntry = boardEntry
        self.deployment = deployment
        self.number = number
        self.pluginHash = pluginHash
        self.description = description
        self.tensors = tensors
        self.instance = instance
        self.absence = absence
        self.execution = execution
        self.examples = examples
        binding = InputBinding(description.inputs)
    }

    /// A version without a model.
    package convenience init(
        absent deployment: DeploymentName,
        number: Int,
        pluginHash: String,
        _ absence: Absence
    ) {
        self.init(
            deployment: deployment,
            number: number,
            pluginHash: pluginHash,
            description: .unknown,
            instance: nil,
            absence: absence,
            execution: Execution(.unknown),
            examples: []
        )
    }
}

/// Loads versions. Used by one thread at a time.
package final class DeploymentLoader {
    private let store: DeploymentStore
    /// The folder of private copies.
    private let copies: String
    private let probe: PluginProbe
    private let log: EventLog
    private let board: WorkerBoard?
    private let poolThreads: Int
    /// How long opening a plugin and its `create` may take together.
    private let createNanoseconds: UInt64
    private let images = Guarded<[String: Plugin]>([:])
    /// Builds, by their hash, whose opening or `create` runs, or has been left behind.
    private let inTheMaking = Guarded<Set<String>>([])
    /// How many libraries are in the process: they stay for good.
    package var imageCount: Int { images.withLock { $0.count } }

    /// A loader.
    ///
    /// - Parameters:
    ///   - store: where versions are.
    ///   - copies: the folder of private copies.
    ///   - probe: what tries unknown builds.
    ///   - log: where the models' log lines go.
    ///   - board: where the process tells of its models.
    ///   - poolThreads: threads of a pool that nobody says a number for.
    ///   - createNanoseconds: how long opening a plugin and its `create` may take together.
    package init(
        store: DeploymentStore,
        copies: String,
        probe: PluginProbe,
        log: EventLog,
        board: WorkerBoard? = nil,
        poolThreads: Int = CurrentProcess.processors,
        createNanoseconds: UInt64 = 30_000_000_000
    ) {
        self.store = store
        self.copies = copies
        self.probe = probe
        self.log = log
        self.board = board
        self.poolThreads = poolThreads
        self.createNanoseconds = createNanoseconds
    }

    /// Makes a stored version live, to run as its deployment's settings say.
    package func load(
        _ deployment: DeploymentName,
        _ number: Int,
        _ settings: ExecutionSettings
    ) throws(DeploymentError) -> LoadedVersion {
        let manifest = try store.manifest(deployment, number)
        let source = store.folder(deployment, number)
        do {
            try Directory.createAll(copies, mode: 0o700)
            let copy = try privateCopy(manifest, source)
            let resources = try resources(manifest, source)
            try probeOnce(copy.path, manifest, source, resources)
            let hang = settings.hangNanoseconds
            let entry =
                board?.add(
                    WorkerBoard.Model(
                        deployment: "\(deployment)",
                        version: number,
                        build: manifest.pluginHash,
                        hangNanoseconds: hang
                    )
                ) ?? 0
            let (plugin, instance) = try create(manifest, copy, source, resources, entry)
            let description = try ModelDescription(json: plugin.description)
            return LoadedVersion(
                deployment: deployment,
                number: number,
                pluginHash: manifest.pluginHash,
                description: description,
                instance: instance,
                tensors: try plugin.tensorsDescription.map { text throws(DescriptionError) in
                    try TensorsDescription(json: text)
                },
                execution: try execution(description, settings, deployment, source),
                examples: description.examples + (try Self.examples(manifest)),
                copies: names(manifest),
                boardEntry: entry
            )
        } catch let error as DeploymentError {
            throw error
        } catch let error as SystemError {
            throw DeploymentError("loading \(deployment) version \(number): \(error)")
        } catch {
            throw DeploymentError("\(error)")
        }
    }

    /// Opens the plugin, unless its image is in the process already, and makes an instance of it;
    /// both run the author's code, so they have a thread of their own and only so much time.
    private func create(
        _ manifest: Manifest,
        _ copy: PrivateCopy,
        _ source: String,
        _ resources: String,
        _ entry: UInt32
    ) throws -> (Plugin, ModelInstance) {
        let board = self.board
        let (log, images, inTheMaking) = (self.log, self.images, self.inTheMaking)
        let hash = manifest.pluginHash
        guard inTheMaking.withLock({ $0.insert(hash).inserted }) else {
            throw DeploymentError(
                "\(source)/plugin.so: found that opening it, or its create(), has not come back "
                    + "from the time before; wanted an end of that; deploy another build"
            )
        }
        let result = try BoundedTask.run(name: "create", nanoseconds: createNanoseconds) {
            defer { inTheMaking.withLock { _ = $0.remove(hash) } }
            return board.noting(.creating, of: entry) {
                Result {
                    let plugin =
                        try images.withLock { $0[hash] }
                        ?? Plugin(
                            path: copy.path,
                            bytes: copy.bytes,
                            shownAs: "\(source)/plugin.so"
                        )
                    images.withLock { $0[hash] = plugin }
                    let instance = try ModelInstance(
                        plugin: plugin,
                        name: manifest.name,
                        version: manifest.version,
                        settings: manifest.settings,
                        resources: resources,
                        log: { level, source, text in
                            board?.addLog(text, of: entry)
                            log.write(
                                LogLevel(level),
                                "plugin.log",
                                text,
                                ["deployment": .text(source)]
                            )
                        }
                    )
                    return (plugin, instance)
                }
            }
        }
        guard let result else {
            throw DeploymentError(
                "\(source)/plugin.so: found no end of opening it and of its create() within "
                    + "\(createNanoseconds / 1_000_000) ms (--limit plugin-load); its thread is "
                    + "left behind; raise the limit or deploy a quicker build"
            )
        }
        return try result.get()
    }

    private func execution(
        _ description: ModelDescription,
        _ settings: ExecutionSettings,
        _ deployment: DeploymentName,
        _ source: String
    ) throws(DeploymentError) -> Execution {
        let execution = Execution(description, settings, threads: poolThreads)
        if let ignored = execution.ignored {
            log.write(
                .warning,
                "execution.ignored",
                "\(source): \(ignored)",
                ["deployment": .text("\(deployment)")]
            )
        }
        return execution
    }

    /// The examples that a version was deployed with.
    private static func examples(_ manifest: Manifest) throws(DeploymentError) -> [JSONValue] {
        let value = try? JSONValue(parsing: Array(manifest.examples.utf8))
        guard let list = value?.array else {
            throw DeploymentError("the manifest's 'examples' are no list; deploy the build again")
        }
        return list
    }

    /// A copy of a plugin that nobody else can change, and the bytes that lie in it.
    private struct PrivateCopy {
        let path: String
        let bytes: [UInt8]
    }

    // MARK: Private copies

    /// The names in the folder of private copies that belong to a version.
    private func names(_ manifest: Manifest) -> [String] {
        let resources = Self.resourcesName(manifest)
        let folder = resources.map { Path.absolute("\(copies)/\($0)/resources") } ?? ""
        return ["\(manifest.pluginHash).so", Self.markerName(manifest, folder)]
            + (resources.map { [$0] } ?? [])
    }

    /// Removes private copies of versions that are neither in the store nor in memory, and what a
    /// process that died has left half-made.
    package func removeUnusedCopies(except inMemory: [LoadedVersion]) {
        var wanted = Set(inMemory.flatMap(\.copies))
        guard let deployments = try? store.deployments(),
            let found = try? Directory.names(in: copies)
        else { return }
        for deployment in deployments {
            for number in (try? store.versions(deployment)) ?? [] {
                // Of a version that cannot be read nobody knows which copies are its own.
                guard let manifest = try? store.manifest(deployment, number) else { return }
                wanted.formUnion(names(manifest))
            }
        }
        for name in found where !wanted.contains(name) {
            try? Directory.removeAll("\(copies)/\(name)")
        }
    }

    private func privateCopy(_ manifest: Manifest, _ source: String) throws -> PrivateCopy {
        let hash = manifest.pluginHash
        let path = Path.absolute("\(copies)/\(hash).so")
        try checkOwner("\(source)/plugin.so")
        guard let file = manifest.files.first(where: { $0.path == "plugin.so" }) else {
            throw DeploymentError("\(source)/manifest.yaml lists no plugin.so")
        }
        let bytes = try DeploymentStore.readChecked(file, in: source)
        // A copy that somebody else has written to is replaced by the checked bytes.
        let existing = try? File.read(path, limit: bytes.count)
        if existing != bytes {
            try File.writeAtomically(path, bytes, mode: 0o500)
        }
        return PrivateCopy(path: path, bytes: bytes)
    }

    /// Copies the resources beside the plugins; returns their folder, or an empty text.
    private func resources(_ manifest: Manifest, _ source: String) throws -> String {
        let files = manifest.files.filter { $0.path != "plugin.so" }
        guard let name = Self.resourcesName(manifest) else { return "" }
        let folder = Path.absolute("\(copies)/\(name)")
        guard !File.exists(folder) else { return "\(folder)/resources" }
        let staging = try Directory.createTemporary(in: copies, prefix: ".new-")
        defer { try? Directory.removeAll(staging) }
        for file in files {
            let bytes = try DeploymentStore.readChecked(file, in: source)
            try Directory.createAll(Path.folder(of: "\(staging)/\(file.path)"), mode: 0o700)
            try File.writeNew("\(staging)/\(file.path)", bytes, mode: 0o400)
        }
        try File.rename(staging, to: folder)
        return "\(folder)/resources"
    }

    /// The name of the folder that a version's resources are copied to; nil when it has none.
    private static func resourcesName(_ manifest: Manifest) -> String? {
        let files = manifest.files.filter { $0.path != "plugin.so" }
        guard !files.isEmpty else { return nil }
        var key = SHA256()
        for file in files { key.update("\(file.path)\u{0}\(file.sha256)\n") }
        return "\(key.finishText()).resources"
    }

    /// The name of the file that says that a build was probed with these settings and resources by
    /// this program: another one may ask more of a plugin.
    private static func markerName(_ manifest: Manifest, _ resources: String) -> String {
        var key = SHA256()
        key.update("\(manifest.pluginHash)\n\(manifest.settings)\n\(resources)")
        key.update("\n\(manifest.examples)")
        if let program = try? File.facts("/proc/self/exe") {
            key.update("\n\(program.size) \(program.written) \(program.inode)")
        }
        return "\(key.finishText()).probed"
    }

    /// Probes a build that this host has not seen with these settings and resources.
    private func probeOnce(
        _ path: String,
        _ manifest: Manifest,
        _ source: String,
        _ resources: String
    ) throws {
        let marker = "\(copies)/\(Self.markerName(manifest, resources))"
        if File.exists(marker) { return }
        _ = try probe.run(
            ProbeRequest(
                file: path,
                shownAs: "\(source)/plugin.so",
                name: manifest.name,
                version: manifest.version,
                settings: manifest.settings,
                resources: resources,
                examples: manifest.examples
            )
        )
        try File.writeAtomically(marker, [], mode: 0o600)
    }

    /// Refuses a plugin that others could have changed.
    private func checkOwner(_ path: String) throws {
        let facts = try File.facts(path, followingLinks: false)
        let isOurs = facts.owner == CurrentProcess.user || facts.owner == 0
        // What is mounted read-only nobody here can change: whoever mounts it has chosen it, as an
        // orchestrator does, which gives files whatever owner and mode it likes.
        let isSafe = isOurs && facts.mode & 0o022 == 0 || File.isOnReadOnlyMount(path)
        guard facts.kind == .regular, isSafe else {
            throw DeploymentError(
                "\(path): found \(facts.kind.rawValue) of user \(facts.owner) with mode "
                    + "\(String(facts.mode, radix: 8)); wanted a regular file of this user or root "
                    + "that nobody else may write, or one on a read-only mount; deploy the build "
                    + "again"
            )
        }
    }
}

extension LogLevel {
    init(_ level: PluginLogLevel) {
        self =
            switch level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
    }
}
