import Deployments
import Endpoints
import JSON
import Platform

extension Command {
    static let alias = Command(
        name: "alias",
        summary: "set, list and remove movable names of versions",
        usage: "alias set NAME ALIAS VERSION | alias list [NAME] | alias remove NAME ALIAS",
        text: """
            An alias stands for one version of a deployment; endpoints and direct calls name it in
            place of a number. A version that an alias names is loaded. A running host takes a
            change with the next reload, or at once with --reload, which keeps live weights.
            """,
        options: folders + [
            Option("branch", value: "NAME", "branch of the deployment (default: main)"),
            reloadOption, reasonOption, json,
        ] + HostClient.adminOptions,
        run: { arguments in
            let words = arguments.words
            let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
            switch (words.first, words.count) {
            case ("set", 4):
                try requireThawed(arguments)
                try set(
                    deploymentName(words[1], arguments),
                    alias: words[2],
                    version: words[3],
                    store,
                    arguments
                )
                return try reloadAfterwards(arguments)
            case ("remove", 3):
                let deployment = try deploymentName(words[1], arguments)
                try requireThawed(arguments)
                let number = try store.removeAlias(words[2], of: deployment)
                audit("alias remove", "\(deployment) \(words[2])", outcome: "done", arguments)
                StandardStream.output(
                    "\(deployment): the alias \(words[2]) is gone; it was version \(number)\n"
                )
                return try reloadAfterwards(arguments)
            case ("list", 1), ("list", 2):
                var deployments = try store.deployments()
                if words.count == 2 {
                    let wanted = try deploymentName(words[1], arguments)
                    guard deployments.contains(wanted) else { throw store.missing(wanted) }
                    deployments = [wanted]
                }
                return try list(deployments, store, arguments)
            default:
                throw UsageError("wanted set, list or remove with their words")
            }
        }
    )

    /// The deployment that a word of the command line and `--branch` name.
    static func deploymentName(
        _ name: String,
        _ arguments: Arguments
    ) throws(UsageError) -> DeploymentName {
        let branch = arguments.value("branch") ?? "main"
        guard let deployment = DeploymentName(branch: branch, name: name) else {
            throw UsageError(
                "'\(branch)/\(name)' is no name for a deployment; names are 1 to "
                    + "64 of A-Z, a-z, 0-9, _, . and -, not beginning with . or -"
            )
        }
        return deployment
    }

    private static func set(
        _ deployment: DeploymentName,
        alias: String,
        version: String,
        _ store: DeploymentStore,
        _ arguments: Arguments
    ) throws {
        guard Names.isAlias(alias) else {
            throw UsageError(
                "'\(alias)' is no alias; an alias is a name that is not all digits and not 'latest'"
            )
        }
        let number = try versionNumber(version)
        let before = try store.setAlias(alias, of: deployment, to: number)
        audit("alias set", "\(deployment) \(alias) = \(number)", outcome: "done", arguments)
        let was =
            before == nil ? "new" : before == number ? "as before" : "it was version \(before ?? 0)"
        StandardStream.output("\(deployment): the alias \(alias) is version \(number) (\(was))\n")
    }

    private static func list(
        _ deployments: [DeploymentName],
        _ store: DeploymentStore,
        _ arguments: Arguments
    ) throws -> ExitStatus {
        var rows: [(deployment: DeploymentName, alias: String, number: Int)] = []
        for deployment in deployments {
            for (alias, number) in try store.file(deployment).aliases.sorted(by: { $0 < $1 }) {
                rows.append((deployment, alias, number))
            }
        }
        if arguments.has("json") {
            let values = rows.map { row in
                JSONValue.object([
                    .init("branch", .string(row.deployment.branch)),
                    .init("name", .string(row.deployment.name)),
                    .init("alias", .string(row.alias)),
                    .init("version", .number(String(row.number))),
                ])
            }
            StandardStream.output(JSONValue.array(values).text + "\n")
        } else if rows.isEmpty {
            StandardStream.output("there is no alias\n")
        } else {
            let table = rows.map { ["\($0.deployment)", $0.alias, String($0.number)] }
            StandardStream.output(TextTable.text([["DEPLOYMENT", "ALIAS", "VERSION"]] + table))
        }
        return .success
    }
}
