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
    private let endpointsFolder: String
    private let revisions: RevisionStore
    private let store: DeploymentStore
    private let loader: DeploymentLoader
    private let log: EventLog
    private var loaded: [String: LoadedVersion] = [:]

    package init(
        endpointsFolder: String,
        revisions: RevisionStore,
        store: DeploymentStore,
        loader: DeploymentLoader,
        log: EventLog
    ) {
        self.endpointsFolder = endpointsFolder
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
            let committed = try serve(current, degraded: sentence)
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
        let texts = try readFiles()
        var errors: [String] = []
        let endpoints = texts.compactMap { parse($0, &errors) }
        let resolved = resolve(endpoints, texts, pinned: nil, &errors)
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        let next = Revision(
            number: max(current?.number ?? 0, revisions.highestNumber) + 1,
            created: Timestamp.text(.now()),
            author: author,
            changes: changes(from: current, to: texts, resolved.map(\.version)),
            endpoints: texts,
            versions: resolved.map(\.version)
        )
        if let current, current.hasSameState(as: next) {
            return committed(current, endpoints, resolved, degraded: nil)
        }
        // Loaded and built before it is written: a revision on disk is one that has worked.
        let result = committed(next, endpoints, resolved, degraded: nil)
        try revisions.commit(next)
        return result
    }

    /// Serves a revision as it was committed.
    private func serve(_ revision: Revision, degraded: String?) throws -> Committed {
        var errors: [String] = []
        let endpoints = revision.endpoints.compactMap { parse($0, &errors) }
        let resolved = resolve(endpoints, revision.endpoints, pinned: revision.versions, &errors)
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        return committed(revision, endpoints, resolved, degraded: degraded)
    }

    // MARK: Reading

    private func readFiles() throws -> [Revision.EndpointText] {
        var errors: [String] = []
        var texts: [Revision.EndpointText] = []
        let names: [String]
        do {
            names = try Directory.names(in: endpointsFolder)
        } catch {
            throw CommitFailure(errors: ["\(error); name the folder of endpoint files"])
        }
        for name in names where !name.hasPrefix(".") {
            let path = "\(endpointsFolder)/\(name)"
            if name.hasSuffix(".yml") {
                errors.append(
                    "\(path): found a name that ends in .yml; wanted .yaml; rename the file"
                )
            }
            guard name.hasSuffix(".yaml") else { continue }
            do {
                let facts = try File.facts(path)
                guard facts.kind == .regular, facts.size <= YAMLParser.bytesMaximum else {
                    let found = facts.kind == .regular ? "\(facts.size) bytes" : facts.kind.rawValue
                    errors.append(
                        "\(path): found \(found); wanted a regular file of at most "
                            + "\(YAMLParser.bytesMaximum) bytes; remove or replace it"
                    )
                    continue
                }
                let bytes = try File.read(path, limit: YAMLParser.bytesMaximum)
                let text = String(decoding: bytes, as: UTF8.self)
                guard Array(text.utf8) == bytes else {
                    errors.append("\(path):1:1: error: the file is not UTF-8 text")
                    continue
                }
                texts.append(Revision.EndpointText(name: String(name.dropLast(5)), text: text))
            } catch {
                errors.append("\(error)")
            }
        }
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        return texts
    }

    private func parse(_ text: Revision.EndpointText, _ errors: inout [String]) -> Endpoint? {
        let bytes = Array(text.text.utf8)
        switch EndpointFile.read(name: text.name, text: bytes) {
        case .endpoint(let endpoint):
            return endpoint
        case .errors(let found):
            let path = "\(endpointsFolder)/\(text.name).yaml"
            let shown = 20
            errors += found.prefix(shown).map { $0.rendered(file: path, text: bytes) }
            if found.count > shown { errors.append("\(path): … and \(found.count - shown) more") }
            return nil
        }
    }

    // MARK: Resolving and loading

    private struct Resolved {
        let version: Revision.ResolvedVersion
        let loaded: LoadedVersion
    }

    /// An error about a split's deployment, shown where the file names it.
    private func place(
        of split: Split,
        _ endpoint: Endpoint,
        _ texts: [Revision.EndpointText],
        _ problem: String
    ) -> String {
        let text = Array((texts.first { $0.name == endpoint.name }?.text ?? "").utf8)
        let mark = EndpointFile.mark(ofDeployment: split.name, text: text)
        return YAMLError(mark, "split '\(split.name)': \(problem)")
            .rendered(file: "\(endpointsFolder)/\(endpoint.name).yaml", text: text)
    }

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
                    let version: LoadedVersion
                    if let pinned {
                        version = try loadPinned(reference, pinned)
                    } else {
                        version = try load(reference)
                    }
                    resolved.append(
                        Resolved(
                            version: Revision.ResolvedVersion(
                                reference: reference,
                                number: version.number,
                                pluginHash: version.pluginHash
                            ),
                            loaded: version
                        )
                    )
                } catch {
                    errors.append(place(of: split, endpoint, texts, "\(error)"))
                }
            }
        }
        return resolved
    }

    private func name(_ reference: DeploymentReference) throws(DeploymentError) -> DeploymentName {
        guard let name = DeploymentName(branch: reference.branch, name: reference.name) else {
            throw DeploymentError("'\(reference.branch)/\(reference.name)' is no deployment")
        }
        return name
    }

    /// The very build that a revision was committed with.
    private func loadPinned(
        _ reference: DeploymentReference,
        _ pinned: [Revision.ResolvedVersion]
    ) throws(DeploymentError) -> LoadedVersion {
        let deployment = try name(reference)
        guard let pin = pinned.first(where: { $0.reference == reference }) else {
            throw DeploymentError("the revision does not say which version of \(deployment) it had")
        }
        let version = try loadNumber(deployment, pin.number)
        guard version.pluginHash == pin.pluginHash else {
            throw DeploymentError(
                "\(deployment) version \(pin.number): found the build "
                    + "\(version.pluginHash.prefix(12))…; wanted "
                    + "\(pin.pluginHash.prefix(12))…, with which the revision was committed; "
                    + "correct the endpoint files instead"
            )
        }
        return version
    }

    private func load(
        _ reference: DeploymentReference
    ) throws(DeploymentError) -> LoadedVersion {
        let deployment = try name(reference)
        let numbers: [Int]
        do {
            numbers = try store.versions(deployment)
        } catch {
            throw DeploymentError("\(error)")
        }
        guard !numbers.isEmpty else { throw missing(deployment) }
        switch reference.version {
        case .number(let number):
            guard numbers.contains(number) else {
                let list = numbers.map(String.init).joined(separator: ", ")
                throw DeploymentError(
                    "\(deployment) has no version \(number); it has \(list)"
                )
            }
            return try loadNumber(deployment, number)
        case .alias(let alias):
            let aliases = try store.file(deployment).aliases
            guard let number = aliases[alias] else {
                let known = aliases.keys.sorted().joined(separator: ", ")
                throw DeploymentError(
                    "\(deployment) has no alias '\(alias)'; "
                        + (known.isEmpty ? "it has none" : "it has \(known)")
                )
            }
            return try loadNumber(deployment, number)
        case .latest:
            return try loadLatest(deployment, numbers)
        }
    }

    /// The highest version that can be loaded; those above it are named in the event log.
    private func loadLatest(
        _ deployment: DeploymentName,
        _ numbers: [Int]
    ) throws(DeploymentError) -> LoadedVersion {
        var reasons: [String] = []
        for number in numbers.reversed() {
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
    ) throws(DeploymentError) -> LoadedVersion {
        let key = "\(deployment)/\(number)"
        if let version = loaded[key] { return version }
        let version = try loader.load(deployment, number)
        loaded[key] = version
        return version
    }

    private func missing(_ deployment: DeploymentName) -> DeploymentError {
        let known = (try? store.deployments()) ?? []
        if known.contains(deployment) {
            return DeploymentError(
                "the deployment \(deployment) in \(store.root) has no version; deploy one with "
                    + "'switchyard deploy \(deployment.name) PLUGIN.so'"
            )
        }
        let names = known.filter { $0.branch == deployment.branch }.map(\.name)
        let guess = Suggestion.nearest(to: deployment.name, in: names)
        let hint = guess.map { "did you mean '\($0)'? " } ?? ""
        return DeploymentError(
            "there is no deployment \(deployment) in \(store.root); \(hint)"
                + "deploy it with 'switchyard deploy \(deployment.name) PLUGIN.so'"
        )
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
        var report = resolved.map {
            "loaded \($0.loaded.deployment) version \($0.version.number) "
                + "(sha256 \($0.version.pluginHash.prefix(12)))"
        }
        report += endpoints.map { endpoint in
            let splits = endpoint.splits.map { "\($0.name) \($0.weightText)" }
            return "endpoint \(endpoint.name): \(splits.joined(separator: ", "))"
        }
        report.append("revision \(revision.number), committed \(revision.created)")
        return Committed(
            revision: revision,
            snapshot: ServingSnapshot(revision: revision.number, endpoints: prepared),
            degraded: degraded,
            report: report
        )
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
            backend = .model(item.loaded)
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
