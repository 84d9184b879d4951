// The one way to a new state: read, resolve, load, build, and only then write the revision down.
// Everything that is wrong is listed; nothing is changed by an attempt that fails.

import Bytes
package import Deployments
import Endpoints
package import Logging
import Platform
import Surfaces
import YAML

/// All that is wrong with an attempt.
package struct CommitFailure: Error, Sendable, CustomStringConvertible {
    /// A sentence, or a compiler-like block, for each error.
    package let errors: [String]

    package init(errors: [String]) { self.errors = errors }

    /// All of them, one after the other.
    package var description: String { errors.joined(separator: "\n") }
}

/// What a commit came to.
package struct Committed: Sendable {
    package let revision: Revision
    package let snapshot: ServingSnapshot
    /// Why the files are not what is served; nil when they are.
    package let degraded: String?
    /// Lines for the person who looks on, one for each thing that is live now.
    package let report: [String]
}

/// Makes revisions. Used by one thread at a time.
package final class Committer {
    private let folder: EndpointFolder
    private let revisions: RevisionStore
    private let store: DeploymentStore
    private let loader: DeploymentLoader
    private let log: EventLog
    /// How long a version may take for its examples.
    private let warmUpNanoseconds: UInt64
    private var loaded: [String: ServedModel] = [:]

    package init(
        endpointsFolder: String,
        revisions: RevisionStore,
        store: DeploymentStore,
        loader: DeploymentLoader,
        log: EventLog,
        warmUpNanoseconds: UInt64 = 30_000_000_000
    ) {
        self.warmUpNanoseconds = warmUpNanoseconds
        folder = EndpointFolder(path: endpointsFolder)
        self.revisions = revisions
        self.store = store
        self.loader = loader
        self.log = log
    }

    /// The state to start with: the current revision where the files say the same, a new one where
    /// they differ, and the current one, degraded, where they are broken and `isStrict` is not set.
    package func start(isStrict: Bool) throws -> Committed {
        let current = try currentRevision(isStrict: isStrict)
        do {
            return try commitFiles(current: current, author: "start by user \(CurrentProcess.user)")
        } catch let failure as CommitFailure {
            guard let current, !isStrict else { throw failure }
            let sentence =
                "the files are broken, so revision \(current.number) is served instead:\n\(failure)"
            let committed: Committed
            do {
                committed = try serve(current, degraded: sentence)
            } catch let second as CommitFailure {
                throw CommitFailure(
                    errors: failure.errors
                        + ["revision \(current.number) cannot be served either:"] + second.errors
                )
            }
            log.write(
                .error,
                "start.degraded",
                sentence,
                ["configRevision": .number(current.number)]
            )
            return committed
        }
    }

    /// The revision that was committed last. One that cannot be read is told, and the files count.
    private func currentRevision(isStrict: Bool) throws -> Revision? {
        do {
            return try revisions.current()
        } catch {
            let sentence = "\(revisions.folder): the current revision cannot be read: \(error)"
            guard !isStrict else {
                throw CommitFailure(errors: ["\(sentence); start without --strict to go on"])
            }
            log.write(.error, "revision.unreadable", "\(sentence); the files make the next one")
            return nil
        }
    }

    private func commitFiles(current: Revision?, author: String) throws -> Committed {
        var contents = folder.read()
        var resolved = resolve(contents.endpoints, contents.texts, pinned: nil, &contents.errors)
        resolveDirect(&resolved, &contents.errors)
        guard contents.errors.isEmpty else { throw CommitFailure(errors: contents.errors) }
        let (texts, versions) = (contents.texts, resolved.map(\.version))
        let next = Revision(
            number: max(current?.number ?? 0, revisions.highestNumber) + 1,
            created: Timestamp.text(.now()),
            author: author,
            changes: changes(from: current, to: texts, versions),
            endpoints: texts,
            versions: versions
        )
        if let current, current.hasSameState(as: next) {
            return committed(current, contents.endpoints, resolved, degraded: nil)
        }
        // Loaded and built before it is written: a revision on disk is one that has worked.
        let result = committed(next, contents.endpoints, resolved, degraded: nil)
        try revisions.commit(next)
        return result
    }

    /// Serves a revision as it was committed.
    private func serve(_ revision: Revision, degraded: String?) throws -> Committed {
        var errors: [String] = []
        let endpoints = revision.endpoints.compactMap { folder.parse($0, &errors) }
        var resolved = resolve(endpoints, revision.endpoints, pinned: revision.versions, &errors)
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        for version in revision.versions
        where !resolved.contains(where: { $0.version.reference == version.reference }) {
            do {
                let loaded = try loadPinned(version.reference, revision.versions)
                resolved.append(Resolved(version.reference, loaded))
            } catch {
                warn(version.reference, "\(error)")
            }
        }
        return committed(revision, endpoints, resolved, degraded: degraded)
    }

    // MARK: Resolving and loading

    private struct Resolved {
        let version: Revision.ResolvedVersion
        let model: ServedModel

        init(_ reference: DeploymentReference, _ model: ServedModel) {
            self.model = model
            version = Revision.ResolvedVersion(
                reference: reference,
                number: model.version.number,
                pluginHash: model.version.pluginHash
            )
        }
    }

    /// What the endpoints name.
    private func resolve(
        _ endpoints: [Endpoint],
        _ texts: [Revision.EndpointText],
        pinned: [Revision.ResolvedVersion]?,
        _ errors: inout [String]
    ) -> [Resolved] {
        var resolved: [Resolved] = []
        var seen: Set<DeploymentReference> = []
        for endpoint in endpoints {
            for split in endpoint.splits {
                guard case .deployment(let reference) = split.backend,
                    seen.insert(reference).inserted
                else { continue }
                do {
                    let version: ServedModel
                    if let pinned {
                        version = try loadPinned(reference, pinned)
                    } else {
                        version = try load(reference)
                    }
                    resolved.append(Resolved(reference, version))
                } catch {
                    errors.append(folder.place(of: split, endpoint, texts, "\(error)"))
                }
            }
        }
        return resolved
    }

    /// What can be called without an endpoint: every alias, and `latest` of every deployment.
    private func resolveDirect(_ resolved: inout [Resolved], _ errors: inout [String]) {
        var seen = Set(resolved.map(\.version.reference))
        let callable = store.callable()
        errors += callable.errors
        for reference in callable.references where seen.insert(reference).inserted {
            do {
                resolved.append(Resolved(reference, try load(reference)))
            } catch {
                if reference.version == .latest {
                    // Nobody has asked for this version by anything but its being there.
                    warn(reference, "\(error)")
                } else {
                    let name = "\(reference.branch)/\(reference.name)"
                    errors.append("alias '\(reference.version)' of \(name): \(error)")
                }
            }
        }
    }

    private func warn(_ reference: DeploymentReference, _ problem: String) {
        let name = "\(reference.branch)/\(reference.name)"
        log.write(
            .warning,
            "version.not_loaded",
            "'\(reference.version)' of \(name) cannot be called: \(problem)",
            ["deployment": .text(name)]
        )
    }

    /// The very build that a revision was committed with.
    private func loadPinned(
        _ reference: DeploymentReference,
        _ pinned: [Revision.ResolvedVersion]
    ) throws(DeploymentError) -> ServedModel {
        guard let deployment = DeploymentName(branch: reference.branch, name: reference.name) else {
            throw DeploymentError("'\(reference.branch)/\(reference.name)' is no deployment")
        }
        guard let pin = pinned.first(where: { $0.reference == reference }) else {
            throw DeploymentError("the revision does not say which version of \(deployment) it had")
        }
        let model = try loadNumber(deployment, pin.number)
        let version = model.version
        guard version.pluginHash == pin.pluginHash else {
            throw DeploymentError(
                "\(deployment) version \(pin.number): found the build "
                    + "\(version.pluginHash.prefix(12))…; wanted "
                    + "\(pin.pluginHash.prefix(12))…, with which the revision was committed; "
                    + "correct the endpoint files instead"
            )
        }
        return model
    }

    /// The best version that a reference stands for: the only one, or for `latest` the highest that
    /// can be loaded; those above it are named in the event log.
    private func load(_ reference: DeploymentReference) throws(DeploymentError) -> ServedModel {
        let (deployment, numbers) = try store.candidates(reference)
        guard reference.version == .latest else { return try loadNumber(deployment, numbers[0]) }
        var reasons: [String] = []
        for number in numbers {
            do {
                return try loadNumber(deployment, number)
            } catch {
                reasons.append(error.description)
                log.write(
                    .warning,
                    "version.skipped",
                    "latest of \(deployment) is not version \(number): \(error)",
                    ["deployment": .text("\(deployment)"), "version": .number(number)]
                )
            }
        }
        throw DeploymentError("no version can be loaded: \(reasons.joined(separator: "; "))")
    }

    private func loadNumber(
        _ deployment: DeploymentName,
        _ number: Int
    ) throws(DeploymentError) -> ServedModel {
        let key = "\(deployment)/\(number)"
        if let model = loaded[key] { return model }
        let model = ServedModel(try loader.load(deployment, number), log: log)
        do {
            try model.warmUp(nanoseconds: warmUpNanoseconds)
        } catch {
            throw DeploymentError("\(deployment) version \(number): found \(error)")
        }
        loaded[key] = model
        return model
    }

    // MARK: Building

    private func committed(
        _ revision: Revision,
        _ endpoints: [Endpoint],
        _ resolved: [Resolved],
        degraded: String?
    ) -> Committed {
        var byReference: [DeploymentReference: Resolved] = [:]
        for item in resolved { byReference[item.version.reference] = item }
        let prepared = endpoints.map { endpoint in
            PreparedEndpoint(
                endpoint: endpoint,
                splits: endpoint.splits.map { split in
                    prepare(split, of: endpoint, byReference, revision.number)
                }
            )
        }
        var report = loadReport(resolved)
        report += endpoints.map { endpoint in
            let splits = endpoint.splits.map { "\($0.name) \($0.weightText)" }
            return "endpoint \(endpoint.name): \(splits.joined(separator: ", "))"
        }
        report.append("revision \(revision.number), committed \(revision.created)")
        return Committed(
            revision: revision,
            snapshot: ServingSnapshot(
                revision: revision.number,
                endpoints: prepared,
                deployments: resolved.map {
                    PreparedDeployment(reference: $0.version.reference, model: $0.model)
                }
            ),
            degraded: degraded,
            report: report
        )
    }

    /// One line for each version, with the names that it is live under.
    private func loadReport(_ resolved: [Resolved]) -> [String] {
        var models: [ServedModel] = []
        for item in resolved where !models.contains(where: { $0 === item.model }) {
            models.append(item.model)
        }
        return models.map { model in
            let aliases = resolved.filter { $0.model === model }
                .compactMap(\.version.reference.version.alias)
            let version = model.version
            return "loaded \(version.deployment) version \(version.number) "
                + "(sha256 \(version.pluginHash.prefix(12)))"
                + (aliases.isEmpty ? "" : ": \(aliases.joined(separator: ", "))")
                + (model.currentPlace == .loop
                    ? "" : "; \(model.pool.threadsMaximum) thread(s) of its own")
        }
    }

    private func prepare(
        _ split: Split,
        of endpoint: Endpoint,
        _ resolved: [DeploymentReference: Resolved],
        _ revision: Int
    ) -> PreparedSplit {
        let backend: PreparedBackend
        var version: Int?
        switch split.backend {
        case .value(let text):
            backend = .value(Array(text.utf8))
        case .deployment(let reference):
            guard let item = resolved[reference] else {
                preconditionFailure("every reference was resolved before anything is built")
            }
            backend = .model(item.model)
            version = item.version.number
        }
        let text = SplitText(endpoint: endpoint, split: split, version: version, revision: revision)
        return PreparedSplit(name: split.name, backend: backend, text: text)
    }

    private func changes(
        from old: Revision?,
        to texts: [Revision.EndpointText],
        _ versions: [Revision.ResolvedVersion]
    ) -> [String] {
        var changes: [String] = []
        for text in texts {
            let before = old?.endpoints.first { $0.name == text.name }
            if before == nil { changes.append("endpoint \(text.name) is new") }
            if let before, before != text {
                changes.append("endpoint \(text.name) has another text")
            }
        }
        for gone in old?.endpoints ?? [] where !texts.contains(where: { $0.name == gone.name }) {
            changes.append("endpoint \(gone.name) is gone")
        }
        for version in versions {
            let reference = version.reference
            let name = "\(reference.branch)/\(reference.name) \(reference.version)"
            let before = old?.versions.first { $0.reference == reference }
            if before?.number != version.number {
                let was = before.map { ", was \($0.number)" } ?? ""
                changes.append("\(name) is version \(version.number)\(was)")
            }
        }
        return changes
    }
}
