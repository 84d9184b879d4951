// The models that are in memory: those that are served, and those that were until a moment ago and
// are kept for a while, so that going back to them loads nothing.

package import Deployments
import Logging
import Platform

/// Loads models and keeps them. Used by one thread at a time.
final class ModelShelf {
    /// A model, and what its version's files were when they were last looked at.
    private struct Entry {
        let model: ServedModel
        let manifest: Manifest
        let settings: ExecutionSettings
        var traits: [FileFacts]?
        /// When nobody keeps it any longer, on the monotonic clock; nil while it is served.
        var keptUntil: UInt64?
    }

    private let store: DeploymentStore
    private let loader: DeploymentLoader
    private let log: EventLog
    private let board: WorkerBoard?
    let quarantine: QuarantineBook
    /// Stand-ins for versions that are not run.
    private var held: [String: ServedModel] = [:]
    private let warmUpNanoseconds: UInt64
    private let graceNanoseconds: UInt64
    private var entries: [Entry] = []
    /// Where the entries of a version stand, the newest last.
    private var places: [String: [Int]] = [:]
    /// Models that were made and are not wanted: their `destroy` has not run.
    private var unwanted: [ServedModel] = []
    /// Why a version could not be loaded when that was last tried.
    private var failures: [String: VersionFailure] = [:]
    /// The same, by deployment and number.
    var failuresInOrder: [VersionFailure] {
        failures.values.sorted {
            ("\($0.deployment)", $0.number) < ("\($1.deployment)", $1.number)
        }
    }
    /// What has failed in the attempt at hand: it is not tried once for each of its names.
    private var triedInVain: [String: String] = [:]
    func beginAttempt() { triedInVain = [:] }

    init(
        store: DeploymentStore,
        loader: DeploymentLoader,
        log: EventLog,
        board: WorkerBoard?,
        quarantine: QuarantineBook,
        warmUpNanoseconds: UInt64,
        graceNanoseconds: UInt64
    ) {
        self.store = store
        self.loader = loader
        self.log = log
        self.board = board
        self.quarantine = quarantine
        self.warmUpNanoseconds = warmUpNanoseconds
        self.graceNanoseconds = graceNanoseconds
    }

    /// Libraries that are in the process for good.
    var imageCount: Int { loader.imageCount }
    /// Every model in memory.
    var models: [ServedModel] { entries.map(\.model) }
    /// Those that are not served, and until when they are kept.
    var kept: [(model: ServedModel, until: UInt64)] {
        entries.compactMap { entry in entry.keptUntil.map { (entry.model, $0) } }
    }

    static func key(_ deployment: DeploymentName, _ number: Int) -> String {
        "\(deployment)/\(number)"
    }

    /// What tells a version from other ones: `branch/name/number`.
    static func key(_ version: LoadedVersion) -> String {
        key(version.deployment, version.number)
    }

    // MARK: Models

    /// The model of a stored version as its files and its deployment's settings are now: loaded
    /// unless it is in memory and nothing of it has changed.
    func model(
        _ deployment: DeploymentName,
        _ number: Int
    ) throws(DeploymentError) -> ServedModel {
        let key = Self.key(deployment, number)
        if let failure = triedInVain[key] { throw DeploymentError(failure) }
        do {
            let settings = try store.file(deployment).execution
            if !quarantine.entries.isEmpty {
                let build = try store.manifest(deployment, number).pluginHash
                if let model = held(deployment, number, build) { return model }
            }
            for place in places[key, default: []].reversed()
            where entries[place].settings == settings {
                try checkUnchanged(place, deployment)
                failures[key] = nil
                return entries[place].model
            }
            let model = try load(deployment, number, settings)
            failures[key] = nil
            return model
        } catch {
            failures[key] = VersionFailure(
                deployment: deployment,
                number: number,
                reason: error.description
            )
            triedInVain[key] = error.description
            throw error
        }
    }

    /// The model of the very build that a revision was committed with: one in memory as it is, else
    /// loaded.
    func model(
        _ deployment: DeploymentName,
        _ number: Int,
        pluginHash: String
    ) throws(DeploymentError) -> ServedModel {
        if let model = held(deployment, number, pluginHash) { return model }
        if let model = inMemory(deployment, number, pluginHash: pluginHash) { return model }
        let model = try model(deployment, number)
        guard model.version.pluginHash == pluginHash else {
            throw DeploymentError(
                "\(deployment) version \(number): found the build "
                    + "\(model.version.pluginHash.prefix(12))…; wanted \(pluginHash.prefix(12))…, "
                    + "with which the revision was committed; correct the endpoint files instead"
            )
        }
        return model
    }

    /// What stands in for a build that is not run; nil: it may be.
    private func held(
        _ deployment: DeploymentName,
        _ number: Int,
        _ build: String
    ) -> ServedModel? {
        let key = Self.key(deployment, number)
        guard let entry = quarantine.entry(deployment, number, build: build) else {
            held[key] = nil
            return nil
        }
        let known = held[key].flatMap { $0.version.pluginHash == build ? $0 : nil }
        let model = known ?? Self.absent(deployment, number, build, .quarantined(entry.reason))
        held[key] = model
        return model
    }

    /// Something that stands in for a model.
    static func absent(
        _ deployment: DeploymentName,
        _ number: Int,
        _ build: String,
        _ absence: Absence
    ) -> ServedModel {
        ServedModel(
            LoadedVersion(absent: deployment, number: number, pluginHash: build, absence)
        )
    }

    /// The model of a build if it is in memory: the one that is served, if one is.
    func inMemory(
        _ deployment: DeploymentName,
        _ number: Int,
        pluginHash: String
    ) -> ServedModel? {
        let known = places[Self.key(deployment, number), default: []].reversed()
            .map { entries[$0] }.filter { $0.model.version.pluginHash == pluginHash }
        return (known.first { $0.keptUntil == nil } ?? known.first)?.model
    }

    /// Refuses a version whose stored files are not those that were loaded; reads them only if the
    /// system says that they may have changed.
    private func checkUnchanged(
        _ place: Int,
        _ deployment: DeploymentName
    ) throws(DeploymentError) {
        let entry = entries[place]
        let present = store.traits(deployment, entry.manifest)
        if present != nil, present == entry.traits { return }
        let number = entry.manifest.version
        let manifest = try store.manifest(deployment, number)
        guard manifest == entry.manifest else {
            throw DeploymentError(
                "\(deployment) version \(number): found another manifest (build "
                    + "\(manifest.pluginHash.prefix(12))…) than the one that was loaded (build "
                    + "\(entry.manifest.pluginHash.prefix(12))…); a version never changes: deploy "
                    + "the build again as a new version"
            )
        }
        try store.requireUnchanged(deployment, number)
        entries[place].traits = present
    }

    private func load(
        _ deployment: DeploymentName,
        _ number: Int,
        _ settings: ExecutionSettings
    ) throws(DeploymentError) -> ServedModel {
        let manifest = try store.manifest(deployment, number)
        let traits = store.traits(deployment, manifest)
        let model = ServedModel(
            try loader.load(deployment, number, settings),
            board: board,
            log: log
        )
        do {
            try model.warmUp(nanoseconds: warmUpNanoseconds)
        } catch {
            unwanted.append(model)
            throw DeploymentError("\(deployment) version \(number): found \(error)")
        }
        places[Self.key(deployment, number), default: []].append(entries.count)
        entries.append(
            Entry(
                model: model,
                manifest: manifest,
                settings: settings,
                traits: traits,
                keptUntil: 0
            )
        )
        return model
    }

    /// Removes private copies that no version needs any more; those `retiring` still do.
    func removeUnusedCopies(retiring: [ServedModel]) {
        let inMemory = models + unwanted + retiring
        loader.removeUnusedCopies(except: inMemory.map(\.version))
    }

    /// What is known of the versions that are served, by `branch/name/number`.
    var served: [String: ServedVersion] {
        let known = entries.filter { $0.keptUntil == nil }.map { entry in
            (
                Self.key(entry.model.version),
                ServedVersion(settings: entry.settings, traits: entry.traits)
            )
        }
        return Dictionary(known, uniquingKeysWith: { $1 })
    }

    // MARK: What is kept

    /// Says which models are served from now on. Those that were served before are kept for the
    /// grace period, and whatever was kept before them goes; those that never were served go at
    /// once. Returns what nobody wants any more.
    func serve(_ served: [ServedModel], at now: UInt64) -> [ServedModel] {
        let wanted = Set(served.map { ObjectIdentifier($0) })
        func isServed(_ entry: Entry) -> Bool { wanted.contains(ObjectIdentifier(entry.model)) }
        let areLeaving = entries.contains { $0.keptUntil == nil && !isServed($0) }
        for place in entries.indices {
            if isServed(entries[place]) {
                entries[place].keptUntil = nil
            } else if entries[place].keptUntil == nil {
                entries[place].keptUntil = now + graceNanoseconds
            } else if areLeaving {
                entries[place].keptUntil = 0
            }
        }
        return takeExpired(at: now)
    }

    /// Gives away what was kept long enough, and what was never wanted.
    private func takeExpired(at now: UInt64) -> [ServedModel] {
        func isExpired(_ entry: Entry) -> Bool { entry.keptUntil.map { $0 <= now } ?? false }
        let expired = entries.filter(isExpired).map(\.model) + unwanted
        unwanted = []
        guard !expired.isEmpty else { return [] }
        entries.removeAll(where: isExpired)
        places = [:]
        for (place, entry) in entries.enumerated() {
            places[Self.key(entry.model.version), default: []].append(place)
        }
        return expired
    }

    /// When the next model is not kept any longer; nil: none is kept.
    var nextExpiry: UInt64? { entries.compactMap(\.keptUntil).min() }

    /// Forgets why versions could not be loaded that are not there any more.
    func forgetFailures() {
        failures = failures.filter { _, failure in
            let numbers = (try? store.versions(failure.deployment)) ?? []
            return numbers.contains(failure.number)
        }
    }
}

/// A stored version that could not be loaded.
package struct VersionFailure: Equatable, Sendable {
    package let deployment: DeploymentName
    package let number: Int
    /// A sentence.
    package let reason: String
}
