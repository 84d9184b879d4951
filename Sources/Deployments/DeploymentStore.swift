// The store on disk: `<root>/<branch>/<name>/<version>/{plugin.so, manifest.yaml, resources/…}`.
//
// A version is published by one rename of a complete, synchronised folder, so it is there whole or
// not at all; the store gives it its number; and it never changes. Two deploys at once get two
// numbers, since each takes its own under the deployment's lock.

import Bytes
import Digest
package import Endpoints
import Logging
package import Platform
package import PluginHost
import YAML

/// A deployment: a branch and a name.
package struct DeploymentName: Hashable, Sendable, CustomStringConvertible {
    package let branch: String
    package let name: String

    /// Checks both parts; nil when one is no name.
    package init?(branch: String, name: String) {
        guard Names.isBranch(branch), Names.isName(name) else { return nil }
        self.branch = branch
        self.name = name
    }

    /// `main/pricing_model_v1`
    package var description: String { "\(branch)/\(name)" }
}

/// What an author deploys.
package struct DeployRequest: Sendable {
    package let deployment: DeploymentName
    /// The shared library's path.
    package let plugin: String
    /// A folder of resources, or nil.
    package let resources: String?
    /// JSON text.
    package let settings: String
    /// JSON text: a list of the `data` of requests that the model is warmed up with.
    package let examples: String

    /// Bytes of settings: they are handed over on a command line.
    package static let settingsBytesMaximum = 64 * 1024

    package init(
        deployment: DeploymentName,
        plugin: String,
        resources: String?,
        settings: String,
        examples: String = "[]"
    ) {
        self.deployment = deployment
        self.plugin = plugin
        self.resources = resources
        self.settings = settings
        self.examples = examples
    }
}

/// The store of deployed versions.
package struct DeploymentStore: Sendable {
    /// The store's folder.
    package let root: String
    /// Bytes of one resource file.
    package static let resourceBytesMaximum = 4 << 30

    package init(root: String) {
        self.root = root
    }

    func folder(_ deployment: DeploymentName) -> String {
        "\(root)/\(Names.folder(ofBranch: deployment.branch))/\(deployment.name)"
    }

    func folder(_ deployment: DeploymentName, _ version: Int) -> String {
        "\(folder(deployment))/\(version)"
    }

    // MARK: Looking

    /// Every deployment, sorted.
    package func deployments() throws(SystemError) -> [DeploymentName] {
        var found: [DeploymentName] = []
        for folder in try names(root) {
            let branch = Names.branch(ofFolder: folder)
            guard Names.isBranch(branch), Self.isFolder("\(root)/\(folder)") else { continue }
            for name in try names("\(root)/\(folder)") {
                guard let deployment = DeploymentName(branch: branch, name: name),
                    Self.isFolder("\(root)/\(folder)/\(name)")
                else { continue }
                found.append(deployment)
            }
        }
        return found
    }

    /// Whether a path is a folder itself: the store makes no links, and passes over other files.
    private static func isFolder(_ path: String) -> Bool {
        (try? File.facts(path, followingLinks: false).kind) == .directory
    }

    /// Numbers that a version may have.
    static let numbers = 1..<1_000_000_000

    /// The numbers of a deployment's versions, ascending.
    package func versions(_ deployment: DeploymentName) throws(SystemError) -> [Int] {
        try names(folder(deployment)).compactMap { name in
            // Numbers beyond this are somebody's invention, and the next one could not be counted.
            Int(name).flatMap { Self.numbers.contains($0) && String($0) == name ? $0 : nil }
        }.sorted()
    }

    private func names(_ path: String) throws(SystemError) -> [String] {
        do {
            return try Directory.names(in: path)
        } catch {
            // Nothing there, or a file beside the folders.
            if error.isNotFound || error.isNotFolder { return [] }
            throw error
        }
    }

    /// The manifest of a version.
    package func manifest(
        _ deployment: DeploymentName,
        _ version: Int
    ) throws(DeploymentError) -> Manifest {
        let path = "\(folder(deployment, version))/manifest.yaml"
        let text: [UInt8]
        do {
            text = try File.read(path, limit: YAMLParser.bytesMaximum)
        } catch {
            throw DeploymentError("\(error); deploy the version again")
        }
        let manifest: Manifest
        do {
            manifest = try Manifest(parsing: text)
        } catch {
            throw DeploymentError(error.rendered(file: path, text: text))
        }
        guard manifest.version == version, manifest.name == deployment.name,
            manifest.branch == deployment.branch
        else {
            throw DeploymentError(
                "\(path): the manifest is of \(manifest.branch)/\(manifest.name) version "
                    + "\(manifest.version); wanted \(deployment) version \(version)"
            )
        }
        return manifest
    }

    /// What the model of a stored version says of itself, found in a process of its own.
    package func describe(
        _ deployment: DeploymentName,
        _ version: Int,
        _ probe: PluginProbe
    ) throws -> ModelDescription {
        let manifest = try manifest(deployment, version)
        let path = Path.absolute(folder(deployment, version))
        let hasResources = manifest.files.contains { $0.path != "plugin.so" }
        let outcome = try probe.run(
            ProbeRequest(
                file: "\(path)/plugin.so",
                shownAs: "\(folder(deployment, version))/plugin.so",
                name: deployment.name,
                version: version,
                settings: manifest.settings,
                resources: hasResources ? "\(path)/resources" : "",
                examples: manifest.examples
            )
        )
        return try ModelDescription(json: outcome.description)
    }

    // MARK: Publishing

    /// What deploying came to.
    package struct Published: Equatable, Sendable {
        package let version: Int
        /// False: the newest version has the same files, settings and examples, and remains.
        package let isNew: Bool
        package let pluginHash: String
    }

    /// Checks and probes a build and makes it the deployment's next version.
    package func publish(
        _ request: DeployRequest,
        probe: PluginProbe
    ) throws(DeploymentError) -> Published {
        do {
            let bytes = try PluginProbe.readFile(request.plugin, shownAs: request.plugin)
            let tag = try PluginTag(of: ELFFile(path: request.plugin, bytes: bytes))
            try Directory.createAll(root)
            let staging = try Directory.createTemporary(in: root, prefix: ".new-")
            let result = Result { try publish(request, bytes, tag, staging, probe) }
            // After a publication the folder has another name, and nothing is removed here.
            try? Directory.removeAll(staging)
            return try result.get()
        } catch let error as SystemError {
            throw DeploymentError("deploying \(request.deployment): \(error)")
        } catch {
            throw DeploymentError("\(error)")
        }
    }

    private func publish(
        _ request: DeployRequest,
        _ bytes: [UInt8],
        _ tag: PluginTag,
        _ staging: String,
        _ probe: PluginProbe
    ) throws -> Published {
        try File.setMode(staging, 0o755)
        var files = [try store(bytes, as: "plugin.so", in: staging)]
        if let resources = request.resources {
            files += try copyResources(from: resources, to: staging)
        }
        files.sort { $0.path < $1.path }
        let newest = try versions(request.deployment).last
        if let newest, let old = try? manifest(request.deployment, newest), old.files == files,
            Array(old.settings.utf8) == Array(request.settings.utf8),
            Array(old.examples.utf8) == Array(request.examples.utf8)
        {
            return Published(version: newest, isNew: false, pluginHash: old.pluginHash)
        }
        try runProbe(request, staging, nextNumber(request.deployment), probe)
        try Directory.createAll(folder(request.deployment))
        return try whileLocked(request.deployment, "deploying") {
            try number(request, staging, files, tag)
        }
    }

    private func runProbe(
        _ request: DeployRequest,
        _ staging: String,
        _ version: Int,
        _ probe: PluginProbe
    ) throws(DeploymentError) {
        let staged = Path.absolute(staging)
        let resources = request.resources == nil ? "" : "\(staged)/resources"
        do {
            let outcome = try probe.run(
                ProbeRequest(
                    file: "\(staged)/plugin.so",
                    shownAs: request.plugin,
                    name: request.deployment.name,
                    version: version,
                    settings: request.settings,
                    resources: resources,
                    examples: request.examples
                )
            )
            _ = try ModelDescription(json: outcome.description)
        } catch let error as PluginError {
            throw DeploymentError(error.description)
        } catch {
            throw DeploymentError("\(request.plugin): \(error)")
        }
    }

    /// Writes the manifest and renames the staged folder to the next number. Needs the lock.
    private func number(
        _ request: DeployRequest,
        _ staging: String,
        _ files: [Manifest.File],
        _ tag: PluginTag
    ) throws -> Published {
        let version = try nextNumber(request.deployment)
        let manifest = Manifest(
            branch: request.deployment.branch,
            name: request.deployment.name,
            version: version,
            created: Timestamp.text(.now()),
            abi: "\(tag.major).\(tag.minor)",
            build: tag.build,
            settings: request.settings,
            examples: request.examples,
            files: files
        )
        let text = Array(manifest.text.utf8)
        guard text.count <= YAMLParser.bytesMaximum else {
            throw DeploymentError(
                "deploying \(request.deployment): its manifest would have \(text.count) bytes; "
                    + "at most \(YAMLParser.bytesMaximum) are read; move large settings to a "
                    + "resource, and many small resources into one file"
            )
        }
        try File.writeNew("\(staging)/manifest.yaml", text, mode: 0o444)
        try Directory.synchronize(staging)
        try File.rename(staging, to: folder(request.deployment, version))
        try Directory.synchronize(folder(request.deployment))
        return Published(version: version, isNew: true, pluginHash: manifest.pluginHash)
    }

    private func store(
        _ bytes: [UInt8],
        as path: String,
        in folder: String
    ) throws(SystemError) -> Manifest.File {
        try File.writeNew("\(folder)/\(path)", bytes, mode: path == "plugin.so" ? 0o555 : 0o444)
        let hash = SHA256.hexText(of: bytes.span)
        return Manifest.File(path: path, bytes: bytes.count, sha256: hash)
    }

    /// Copies a folder of resources: regular files and folders, nothing else.
    private func copyResources(
        from source: String,
        to staging: String
    ) throws -> [Manifest.File] {
        guard (try? File.facts(source).kind) == .directory else {
            throw DeploymentError(
                "\(source.isEmpty ? "--resources" : source): found no folder; wanted the folder of "
                    + "the model's resources; name it with --resources"
            )
        }
        let (from, to) = (try Path.real(source), try Path.real(staging))
        guard to != from, !to.hasPrefix(from == "/" ? "/" : "\(from)/") else {
            throw DeploymentError(
                "\(source): found the store inside the folder of resources; wanted a folder of the "
                    + "model's files only; name that one with --resources"
            )
        }
        var files: [Manifest.File] = []
        var pending = [""]
        while let relative = pending.popLast() {
            let target = "resources\(relative)"
            try Directory.create("\(staging)/\(target)")
            for name in try Directory.names(in: "\(source)\(relative)") {
                let from = "\(source)\(relative)/\(name)"
                let facts = try File.facts(from, followingLinks: false)
                switch facts.kind {
                case .directory: pending.append("\(relative)/\(name)")
                case .regular:
                    let bytes = try File.read(from, limit: Self.resourceBytesMaximum)
                    files.append(try store(bytes, as: "\(target)/\(name)", in: staging))
                case .link, .socket, .other:
                    throw DeploymentError(
                        "\(from): found \(facts.kind.rawValue); wanted regular files and folders; "
                            + "copy what it stands for"
                    )
                }
            }
            try Directory.synchronize("\(staging)/\(target)")
        }
        return files
    }
}
