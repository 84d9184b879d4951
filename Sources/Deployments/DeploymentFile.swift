// What may change about a deployment: `deployment.yaml` beside its versions.

import Bytes
import Endpoints
import Platform
package import YAML

/// The movable names of a deployment's versions, and how its calls run.
package struct DeploymentFile: Equatable, Sendable {
    /// The number that each alias stands for.
    package let aliases: [String: Int]
    /// Where and how its calls run.
    package let execution: ExecutionSettings

    /// Reads a deployment's file; a missing one says nothing.
    package init(path: String) throws(DeploymentError) {
        let text: [UInt8]
        if let kind = try? File.facts(path).kind, kind != .regular {
            throw DeploymentError(
                "\(path): found \(kind.rawValue); wanted a regular file of at most "
                    + "\(YAMLParser.bytesMaximum) bytes; remove or replace it"
            )
        }
        do {
            text = try File.read(path, limit: YAMLParser.bytesMaximum)
        } catch  where error.isNotFound {
            self = DeploymentFile()
            return
        } catch {
            throw DeploymentError("\(error)")
        }
        do {
            self = try DeploymentFile(parsing: text)
        } catch {
            throw DeploymentError(error.rendered(file: path, text: text))
        }
    }

    /// A file that says this.
    package init(aliases: [String: Int] = [:], execution: ExecutionSettings = ExecutionSettings()) {
        self.aliases = aliases
        self.execution = execution
    }

    /// The text of `deployment.yaml`.
    package var text: String {
        var lines = [
            "# Written by 'switchyard alias'. A host takes it with the next reload.",
            "schemaVersion: 1",
            aliases.isEmpty ? "aliases: {}" : "aliases:",
        ]
        lines += aliases.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
        lines += execution.lines
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads the text of `deployment.yaml`; the error says where it is wrong.
    package init(parsing text: [UInt8]) throws(YAMLError) {
        let root = try YAMLParser.parse(text)
        guard let pairs = root.pairs else {
            throw YAMLError(root.mark, "found \(root.kindInWords); wanted a mapping")
        }
        for pair in pairs where !["schemaVersion", "aliases", "execution"].contains(pair.key) {
            throw YAMLError(
                pair.keyMark,
                "unknown key '\(pair.key)'",
                hint: "a deployment has: schemaVersion, aliases, execution"
            )
        }
        guard root["schemaVersion"]?.content == .scalar("1", isPlain: true) else {
            throw YAMLError(
                root["schemaVersion"]?.mark ?? root.mark,
                "this host reads deployments of schema version 1",
                hint: "write 'schemaVersion: 1'"
            )
        }
        if let node = root["execution"] {
            execution = try ExecutionSettings(node)
        } else {
            execution = ExecutionSettings()
        }
        aliases = try DeploymentFile.aliases(in: root)
    }

    private static func aliases(in root: YAMLNode) throws(YAMLError) -> [String: Int] {
        var aliases: [String: Int] = [:]
        let node = root["aliases"]
        guard let pairs = node.map({ $0.pairs }) ?? [] else {
            let found = node?.kindInWords ?? "nothing"
            throw YAMLError(
                node?.mark ?? root.mark,
                "'aliases' is \(found); wanted a mapping",
                hint: "for example 'aliases: {prod: 3}'"
            )
        }
        for pair in pairs {
            guard Names.isAlias(pair.key) else {
                throw YAMLError(
                    pair.keyMark,
                    "'\(pair.key)' is no alias",
                    hint: "an alias is a name that is not all digits and not 'latest'"
                )
            }
            let version = pair.value.scalar.flatMap { VersionReference($0) }
            guard case .number(let number) = version else {
                throw YAMLError(pair.value.mark, "the alias '\(pair.key)' stands for no number")
            }
            aliases[pair.key] = number
        }
        return aliases
    }
}

extension DeploymentStore {
    /// The movable names of a deployment.
    package func file(_ deployment: DeploymentName) throws(DeploymentError) -> DeploymentFile {
        try DeploymentFile(path: path(deployment))
    }

    func path(_ deployment: DeploymentName) -> String {
        "\(folder(deployment))/deployment.yaml"
    }

    /// Lets an alias stand for a version; returns the number that it stood for.
    package func setAlias(
        _ alias: String,
        of deployment: DeploymentName,
        to number: Int
    ) throws(DeploymentError) -> Int? {
        try change(deployment) { aliases throws(DeploymentError) in
            // Looked at under the lock, so that the version cannot be removed meanwhile.
            let numbers = try storedVersions(deployment)
            guard !numbers.isEmpty else { throw missing(deployment) }
            try require(number, of: deployment, among: numbers)
            _ = try manifest(deployment, number)
            return aliases.updateValue(number, forKey: alias)
        }
    }

    /// Removes an alias; returns the number that it stood for.
    package func removeAlias(
        _ alias: String,
        of deployment: DeploymentName
    ) throws(DeploymentError) -> Int {
        try change(deployment) { aliases throws(DeploymentError) in
            guard let number = aliases.removeValue(forKey: alias) else {
                let known = aliases.keys.sorted().joined(separator: ", ")
                throw DeploymentError(
                    "\(deployment) has no alias '\(alias)'; "
                        + (known.isEmpty ? "it has none" : "it has \(known)")
                )
            }
            return number
        }
    }

    /// Changes the aliases of a deployment, one process at a time.
    private func change<R>(
        _ deployment: DeploymentName,
        _ body: (inout [String: Int]) throws(DeploymentError) -> R
    ) throws(DeploymentError) -> R {
        guard hasFolder(deployment) else { throw missing(deployment) }
        return try whileLocked(deployment, "changing the aliases of") {
            let old = try file(deployment)
            var aliases = old.aliases
            let result = try body(&aliases)
            let text = DeploymentFile(aliases: aliases, execution: old.execution).text
            try File.writeAtomically(path(deployment), Array(text.utf8))
            return result
        }
    }
}
