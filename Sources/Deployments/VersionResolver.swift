// From a reference to a deployment to the number of a stored version, or to a sentence.

import Bytes
import Digest
package import Endpoints
package import Platform
import YAML

extension DeploymentStore {
    /// The numbers that a reference may stand for, the best first: one for a number or an alias,
    /// every version for `latest`.
    package func candidates(
        _ reference: DeploymentReference
    ) throws(DeploymentError) -> (deployment: DeploymentName, numbers: [Int]) {
        guard let deployment = DeploymentName(branch: reference.branch, name: reference.name) else {
            throw DeploymentError("'\(reference.deployment)' is no deployment")
        }
        let numbers = try storedVersions(deployment)
        guard !numbers.isEmpty else { throw missing(deployment) }
        switch reference.version {
        case .latest:
            return (deployment, numbers.reversed())
        case .number(let number):
            try require(number, of: deployment, among: numbers)
            return (deployment, [number])
        case .alias(let alias):
            let aliases = try file(deployment).aliases
            guard let number = aliases[alias] else {
                let guess = Suggestion.nearest(to: alias, in: Array(aliases.keys))
                let known = aliases.keys.sorted().joined(separator: ", ")
                throw DeploymentError(
                    "\(deployment) has no alias '\(alias)'; "
                        + (guess.map { "did you mean '\($0)'? " } ?? "")
                        + (known.isEmpty ? "it has none; " : "it has \(known); ")
                        + "set it with 'switchyard alias set \(deployment.argument) \(alias) "
                        + "VERSION'",
                    key: .version
                )
            }
            try require(number, of: deployment, among: numbers)
            return (deployment, [number])
        }
    }

    /// The numbers of a deployment's versions, ascending, or the sentence that says why not.
    package func storedVersions(
        _ deployment: DeploymentName
    ) throws(DeploymentError) -> [Int] {
        do {
            return try versions(deployment)
        } catch {
            throw DeploymentError("\(error)")
        }
    }

    /// Refuses a number that no version has.
    package func require(
        _ number: Int,
        of deployment: DeploymentName,
        among numbers: [Int]
    ) throws(DeploymentError) {
        guard !numbers.contains(number) else { return }
        let list = numbers.map(String.init).joined(separator: ", ")
        throw DeploymentError(
            "\(deployment) has no version \(number); it has \(list)",
            key: .version
        )
    }

    /// That a deployment has no version, and what was probably meant.
    package func missing(_ deployment: DeploymentName) -> DeploymentError {
        let known = (try? deployments()) ?? []
        let command = "'switchyard deploy \(deployment.argument) PLUGIN.so'"
        if known.contains(deployment) {
            return DeploymentError(
                "the deployment \(deployment) in \(root) has no version; deploy one with "
                    + command,
                key: .name
            )
        }
        let names = known.filter { $0.branch == deployment.branch }.map(\.name)
        let guess = Suggestion.nearest(to: deployment.name, in: names)
        let hint = guess.map { "did you mean '\($0)'? " } ?? ""
        return DeploymentError(
            "there is no deployment \(deployment) in \(root); "
                + (guess == nil
                    ? "deploy it with \(command)" : "\(hint)else deploy it: \(command)"),
            key: .name
        )
    }
}

extension DeploymentStore {
    /// Holds every file of a version against its manifest, without opening the plugin.
    package func verify(_ deployment: DeploymentName, _ version: Int) throws {
        let folder = folder(deployment, version)
        for file in try manifest(deployment, version).files {
            _ = try Self.readChecked(file, in: folder)
        }
    }

    /// The same, with one kind of error.
    package func requireUnchanged(
        _ deployment: DeploymentName,
        _ version: Int
    ) throws(DeploymentError) {
        do {
            try verify(deployment, version)
        } catch let error as DeploymentError {
            throw error
        } catch {
            throw DeploymentError("\(error)")
        }
    }

    /// What tells a version's files from other ones without reading them; nil when one of them
    /// cannot be looked at.
    package func traits(_ deployment: DeploymentName, _ manifest: Manifest) -> [FileFacts]? {
        let folder = folder(deployment, manifest.version)
        let paths = ["manifest.yaml"] + manifest.files.map(\.path)
        let facts = paths.compactMap { try? File.facts("\(folder)/\($0)", followingLinks: false) }
        return facts.count == paths.count ? facts : nil
    }

    /// What decides which versions a host loads, beside the endpoint files: the newest version of
    /// each deployment, and its aliases, as text.
    package func listing() throws(SystemError) -> String {
        var text = ""
        for deployment in try deployments() {
            guard let newest = try versions(deployment).last else { continue }
            text += "\(deployment) \(newest)\n"
            do {
                for (alias, number) in try file(deployment).aliases.sorted(by: { $0 < $1 }) {
                    text += "\(alias) \(number)\n"
                }
            } catch {
                text += "\(error)\n"
            }
        }
        return text
    }

    /// Reads a file of a version; refuses it when it is not what was deployed.
    static func readChecked(_ file: Manifest.File, in folder: String) throws -> [UInt8] {
        let path = "\(folder)/\(file.path)"
        let advice = "deploy the build again as a new version"
        let facts: FileFacts
        do {
            facts = try File.facts(path)
        } catch {
            throw DeploymentError("\(path): found no file: \(error); \(advice)")
        }
        guard facts.kind == .regular, facts.size == file.bytes else {
            let found = facts.kind == .regular ? "\(facts.size) bytes" : facts.kind.rawValue
            throw DeploymentError(
                "\(path): found \(found); wanted a regular file of \(file.bytes) bytes: it was "
                    + "changed after it was deployed; \(advice)"
            )
        }
        let bytes = try File.read(path, limit: max(file.bytes, 1))
        let hash = SHA256.hexText(of: bytes.span)
        guard bytes.count == file.bytes, hash == file.sha256 else {
            throw DeploymentError(
                "\(path): found SHA-256 \(hash.prefix(12))… and \(bytes.count) bytes; wanted "
                    + "\(file.sha256.prefix(12))… and \(file.bytes): it was changed after it was "
                    + "deployed; \(advice)"
            )
        }
        return bytes
    }

    /// What can be called without an endpoint: every alias, and the `latest` of every deployment
    /// that has a version; and what is wrong with a deployment's file.
    package func callable() -> (references: [DeploymentReference], errors: [String]) {
        var references: [DeploymentReference] = []
        var errors: [String] = []
        do {
            for deployment in try deployments() where try !versions(deployment).isEmpty {
                func add(_ version: VersionReference) {
                    references.append(
                        DeploymentReference(
                            branch: deployment.branch,
                            name: deployment.name,
                            version: version
                        )
                    )
                }
                do {
                    for alias in try file(deployment).aliases.keys.sorted() { add(.alias(alias)) }
                } catch {
                    errors.append("\(error)")
                }
                add(.latest)
            }
        } catch {
            errors.append("\(error)")
        }
        return (references, errors)
    }
}

extension DeploymentName {
    /// How a command line names it.
    package var argument: String {
        branch == "main" ? name : "\(name) --branch \(branch)"
    }
}
