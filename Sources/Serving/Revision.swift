// A revision: a numbered, complete description of what is live, as it lies on the disk.
//
// It holds the texts of the endpoint files and what every version reference was resolved to, with
// hashes, so that a restart serves exactly what was committed, whatever the files say by then.

import Bytes
import Deployments
package import Endpoints
import JSON
package import Platform

/// One committed state.
package struct Revision: Equatable, Sendable {
    /// The text of one endpoint's file.
    package struct EndpointText: Equatable, Sendable {
        package let name: String
        package let text: String

        package init(name: String, text: String) {
            self.name = name
            self.text = text
        }
    }

    /// What a reference to a deployment was resolved to.
    package struct ResolvedVersion: Equatable, Sendable {
        package let reference: DeploymentReference
        package let number: Int
        /// The hash of the plugin.
        package let pluginHash: String

        package init(reference: DeploymentReference, number: Int, pluginHash: String) {
            self.reference = reference
            self.number = number
            self.pluginHash = pluginHash
        }

        /// The one build that it is, whatever it was asked for by.
        var build: String { "\(reference.deployment)/\(number)/\(pluginHash)" }

        /// One of those for each build.
        static func distinct(_ versions: [ResolvedVersion]) -> [ResolvedVersion] {
            var seen: Set<String> = []
            return versions.filter { seen.insert($0.build).inserted }
        }
    }

    /// Numbers beyond this are somebody's invention.
    static let numberMaximum = 1_000_000_000

    package let number: Int
    /// When it was committed.
    package let created: String
    /// Who committed it, such as `start by user 0`.
    package let author: String
    /// What changed against the revision before, a sentence each.
    package let changes: [String]
    /// Sorted by name.
    package let endpoints: [EndpointText]
    /// In the order in which the endpoints name them, each once; then those that can be called
    /// without an endpoint.
    package let versions: [ResolvedVersion]
    /// Weights that were set while the host ran.
    package let liveWeights: [LiveWeights]
    /// What the files were when they were last taken, as a hash; empty in revisions that do not
    /// know. A start serves the revision as long as they are the same.
    package let files: String
    /// The revision that was gone back to; nil where the files say what is served.
    package let rollbackOf: Int?
    /// Endpoints that an admin has switched off, by their names, and deployments that one has
    /// unloaded, as `branch/name`; sorted.
    package let disabled: [String]
    /// What rollbacks have put aside.
    package let pins: [Pin]
    /// That nothing is to be changed; nil: it may be.
    package let frozen: Freeze?

    package init(
        number: Int,
        created: String,
        author: String,
        changes: [String],
        endpoints: [EndpointText],
        versions: [ResolvedVersion],
        liveWeights: [LiveWeights] = [],
        files: String = "",
        rollbackOf: Int? = nil,
        disabled: [String] = [],
        pins: [Pin] = [],
        frozen: Freeze? = nil
    ) {
        self.disabled = disabled
        (self.pins, self.frozen) = (pins, frozen)
        self.number = number
        self.created = created
        self.author = author
        self.changes = changes
        self.endpoints = endpoints
        self.versions = versions
        self.liveWeights = liveWeights
        self.files = files
        self.rollbackOf = rollbackOf
    }

    /// The same with what it changes, which is known once it is complete, or of other files.
    func with(changes: [String]? = nil, files: String? = nil) -> Revision {
        Revision(
            number: number,
            created: created,
            author: author,
            changes: changes ?? self.changes,
            endpoints: endpoints,
            versions: versions,
            liveWeights: liveWeights,
            files: files ?? self.files,
            rollbackOf: rollbackOf,
            disabled: disabled,
            pins: pins,
            frozen: frozen
        )
    }

    /// Whether both describe the same state, whoever committed it and when.
    package func hasSameState(as other: Revision) -> Bool {
        // The order of versions says only where they were found.
        func builds(_ versions: [ResolvedVersion]) -> Set<String> {
            Set(versions.map { "\($0.reference.version) \($0.build)" })
        }
        return endpoints == other.endpoints && builds(versions) == builds(other.versions)
            && rollbackOf == other.rollbackOf
            && disabled == other.disabled && pins == other.pins && frozen == other.frozen
            && liveWeights.elementsEqual(other.liveWeights) { $0.hasSameWeights(as: $1) }
    }

    /// The JSON text of the revision's file.
    package var text: String {
        func member(_ name: String, _ value: JSONValue) -> JSONValue.Member { .init(name, value) }
        let value = JSONValue.object(
            [
                member("schemaVersion", .number("1")),
                member("revision", .number(String(number))),
                member("created", .string(created)),
                member("author", .string(author)),
                member("changes", .array(changes.map { .string($0) })),
                member(
                    "endpoints",
                    .array(
                        endpoints.map {
                            .object([
                                member("name", .string($0.name)), member("text", .string($0.text)),
                            ])
                        }
                    )
                ),
                member(
                    "versions",
                    .array(
                        versions.map {
                            .object([
                                member("branch", .string($0.reference.branch)),
                                member("name", .string($0.reference.name)),
                                member("reference", .string($0.reference.version.description)),
                                member("version", .number(String($0.number))),
                                member("sha256", .string($0.pluginHash)),
                            ])
                        }
                    )
                ),
                member("liveWeights", .object(liveWeights.map { member($0.endpoint, $0.json) })),
                member("files", .string(files)),
            ] + (rollbackOf.map { [member("rollbackOf", .number(String($0)))] } ?? [])
                + (disabled.isEmpty
                    ? [] : [member("disabled", .array(disabled.map { .string($0) }))])
                + (pins.isEmpty ? [] : [member("pins", .array(pins.map(\.json)))])
                + (frozen.map { [member("frozen", $0.json)] } ?? [])
        )
        return value.text + "\n"
    }

    /// Reads the text of a revision's file; the error is a sentence.
    package init(parsing text: [UInt8]) throws(RevisionError) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            throw RevisionError("it is not JSON: \(error)")
        }
        guard value["schemaVersion"]?.unsigned == 1, let number = value["revision"]?.unsigned,
            number > 0, number <= UInt64(Revision.numberMaximum),
            let created = value["created"]?.string, let author = value["author"]?.string,
            let changes = value["changes"]?.array?.compactMap(\.string),
            let endpointValues = value["endpoints"]?.array,
            let versionValues = value["versions"]?.array,
            let liveValues = value["liveWeights"]?.object
        else {
            throw RevisionError("it is no revision of schema version 1")
        }
        self.number = Int(clamping: number)
        self.created = created
        self.author = author
        self.changes = changes
        files = value["files"]?.string ?? ""
        rollbackOf = value["rollbackOf"]?.unsigned.map { Int(clamping: $0) }
        disabled = value["disabled"]?.array?.compactMap(\.string) ?? []
        let pinValues = value["pins"]?.array ?? []
        pins = pinValues.compactMap { Pin($0) }
        frozen = Freeze(value["frozen"])
        guard pins.count == pinValues.count, frozen != nil || value["frozen"] == nil else {
            throw RevisionError("one of its pins, or its freeze, is incomplete")
        }
        liveWeights = liveValues.compactMap { LiveWeights(endpoint: $0.name, $0.value) }
        endpoints = endpointValues.compactMap { value in
            guard let name = value["name"]?.string, let text = value["text"]?.string else {
                return nil
            }
            return EndpointText(name: name, text: text)
        }
        versions = versionValues.compactMap { value in
            guard let branch = value["branch"]?.string, let name = value["name"]?.string,
                let reference = value["reference"]?.string.flatMap({ VersionReference($0) }),
                let number = value["version"]?.unsigned, let hash = value["sha256"]?.string
            else { return nil }
            return ResolvedVersion(
                reference: DeploymentReference(branch: branch, name: name, version: reference),
                number: Int(clamping: number),
                pluginHash: hash
            )
        }
        guard endpoints.count == endpointValues.count, versions.count == versionValues.count,
            liveWeights.count == liveValues.count
        else {
            throw RevisionError("one of its endpoints, versions or live weights is incomplete")
        }
        guard Set(endpoints.map(\.name)).count == endpoints.count,
            Set(versions.map(\.reference)).count == versions.count
        else {
            throw RevisionError("one of its endpoints or versions stands twice")
        }
    }
}

/// What is wrong with a revision's file.
package struct RevisionError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Revisions on disk: `<folder>/<n>.json`, and `<folder>/current`, which names the one that is
/// live.
package struct RevisionStore: Sendable {
    /// The folder.
    package let folder: String
    private static let bytesMaximum = 1 << 30

    package init(folder: String) {
        self.folder = folder
    }

    /// The revision that was committed last; nil before the first.
    package func current() throws -> Revision? {
        let pointer = "\(folder)/current"
        guard File.exists(pointer) else { return nil }
        let facts = try File.facts(pointer)
        guard facts.kind == .regular, facts.size <= 64 else {
            throw RevisionError(
                "\(pointer): found \(facts.kind.rawValue) of \(facts.size) bytes; wanted a file "
                    + "with the number of a revision; write one of those beside it into the file"
            )
        }
        let text = try File.read(pointer, limit: 64)
        guard let number = Bytes.decimal(text.prefix { $0 != 0x0a }) else {
            throw RevisionError(
                "\(pointer): found '\(Visible.line(String(decoding: text, as: UTF8.self)))'; "
                    + "wanted the number of a revision; write one of those beside it into the file"
            )
        }
        return try revision(Int(clamping: number))
    }

    /// The number that the pointer to the current one has, whatever lies there; 0: none.
    package var pointedNumber: Int {
        guard let text = try? File.read("\(folder)/current", limit: 64) else { return 0 }
        let number = Bytes.decimal(text.prefix { $0 != 0x0a }) ?? 0
        return number <= UInt64(Revision.numberMaximum) ? Int(number) : 0
    }

    /// The numbers of the revisions in the folder, ascending.
    package var numbers: [Int] {
        let names = (try? Directory.names(in: folder)) ?? []
        return names.compactMap { name in
            name.hasSuffix(".json") ? Bytes.decimal(name.dropLast(5).utf8) : nil
        }
        .filter { $0 <= UInt64(Revision.numberMaximum) }.map { Int($0) }.sorted()
    }

    /// The highest number that a file in the folder has; 0 when there is none.
    package var highestNumber: Int { numbers.last ?? 0 }

    /// Removes the oldest revisions beyond so many.
    package func prune(keeping count: Int) {
        for number in numbers.dropLast(count) { try? File.remove("\(folder)/\(number).json") }
    }

    /// A revision by its number.
    package func revision(_ number: Int) throws -> Revision {
        let path = path(number)
        let text = try File.read(path, limit: Self.bytesMaximum)
        do {
            let revision = try Revision(parsing: text)
            guard revision.number == number else {
                throw RevisionError("it says that it is revision \(revision.number)")
            }
            return revision
        } catch let error as RevisionError {
            throw RevisionError("\(path): \(error)")
        }
    }

    /// Removes revisions that were written and never became the current one.
    func removeAbove(_ current: Int) {
        for number in numbers where number > current { try? File.remove(path(number)) }
    }

    /// Writes a revision anew that differs in nothing but what the files were.
    func rewrite(_ revision: Revision) throws(SystemError) {
        try File.writeAtomically(path(revision.number), Array(revision.text.utf8))
    }

    private func path(_ number: Int) -> String { "\(folder)/\(number).json" }

    /// Writes a revision and makes it the current one: the pointer is renamed into place last.
    package func commit(_ revision: Revision) throws(SystemError) {
        try Directory.createAll(folder)
        try rewrite(revision)
        do {
            try File.writeAtomically("\(folder)/current", Array("\(revision.number)\n".utf8))
        } catch {
            // What has never been live is nothing to go back to.
            try? File.remove(path(revision.number))
            throw error
        }
    }
}
