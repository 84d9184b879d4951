// From a reference to a deployment to the number of a stored version, or to a sentence.

import Bytes
package import Endpoints

extension DeploymentStore {
    /// The numbers that a reference may stand for, the best first: one for a number or an alias,
    /// every version for `latest`.
    package func candidates(
        _ reference: DeploymentReference
    ) throws(DeploymentError) -> (deployment: DeploymentName, numbers: [Int]) {
        guard let deployment = DeploymentName(branch: reference.branch, name: reference.name) else {
            throw DeploymentError("'\(reference.branch)/\(reference.name)' is no deployment")
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
                        + "VERSION'"
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
        throw DeploymentError("\(deployment) has no version \(number); it has \(list)")
    }

    /// That a deployment has no version, and what was probably meant.
    package func missing(_ deployment: DeploymentName) -> DeploymentError {
        let known = (try? deployments()) ?? []
        let command = "'switchyard deploy \(deployment.argument) PLUGIN.so'"
        if known.contains(deployment) {
            return DeploymentError(
                "the deployment \(deployment) in \(root) has no version; deploy one with \(command)"
            )
        }
        let names = known.filter { $0.branch == deployment.branch }.map(\.name)
        let guess = Suggestion.nearest(to: deployment.name, in: names)
        let hint = guess.map { "did you mean '\($0)'? " } ?? ""
        return DeploymentError(
            "there is no deployment \(deployment) in \(root); \(hint)deploy it with \(command)"
        )
    }
}

extension DeploymentName {
    /// How a command line names it.
    package var argument: String {
        branch == "main" ? name : "\(name) --branch \(branch)"
    }
}
