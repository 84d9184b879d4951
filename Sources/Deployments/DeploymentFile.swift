// What may change about a deployment: `deployment.yaml` beside its versions.

import Bytes
import Endpoints
import Platform
import YAML

/// The movable names of a deployment's versions.
package struct DeploymentFile: Equatable, Sendable {
    /// The number that each alias stands for.
    package let aliases: [String: Int]

    /// Reads a deployment's file; a missing one has no aliases.
    package init(path: String) throws(DeploymentError) {
        let text: [UInt8]
        do {
            text = try File.read(path, limit: YAMLParser.bytesMaximum)
        } catch  where error.isNotFound {
            aliases = [:]
            return
        } catch {
            throw DeploymentError("\(error)")
        }
        do {
            aliases = try DeploymentFile.read(text)
        } catch {
            throw DeploymentError(error.rendered(file: path, text: text))
        }
    }

    private static func read(_ text: [UInt8]) throws(YAMLError) -> [String: Int] {
        let root = try YAMLParser.parse(text)
        guard let pairs = root.pairs else {
            throw YAMLError(root.mark, "found \(root.kindInWords); wanted a mapping")
        }
        for pair in pairs where !["schemaVersion", "aliases"].contains(pair.key) {
            throw YAMLError(
                pair.keyMark,
                "unknown key '\(pair.key)'",
                hint: "a deployment has: schemaVersion, aliases"
            )
        }
        var aliases: [String: Int] = [:]
        for pair in root["aliases"]?.pairs ?? [] {
            guard Names.isAlias(pair.key) else {
                throw YAMLError(
                    pair.keyMark,
                    "'\(pair.key)' is no alias",
                    hint: "an alias is a name that is not all digits and not 'latest'"
                )
            }
            guard let number = pair.value.scalar.flatMap({ Int($0) }), number > 0 else {
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
        try DeploymentFile(path: "\(folder(deployment))/deployment.yaml")
    }
}
