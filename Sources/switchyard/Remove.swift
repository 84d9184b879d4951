import Bytes
import Deployments
import Endpoints
import JSON
import Platform
import Serving

extension Command {
    static let remove = Command(
        name: "remove",
        summary: "remove a version that nobody uses from the store",
        usage: "remove NAME VERSION [OPTIONS]",
        text: """
            Removes one version with its files. It is refused while an endpoint file names its
            number, while an alias stands for it, and while the revision that is served has it.
            Its number is never given to another build.
            """,
        options: folders + [
            Option("branch", value: "NAME", "branch of the deployment (default: main)"),
            reasonOption, json,
        ],
        run: { arguments in
            guard arguments.words.count == 2 else {
                throw UsageError("wanted the deployment's name and the version's number")
            }
            let deployment = try deploymentName(arguments.words[0], arguments)
            let number = try versionNumber(arguments.words[1])
            let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
            let use = versionUse(arguments, store)
            try requireThawed(arguments)
            try store.remove(deployment, number, usedBy: use.users)
            audit("remove", "\(deployment) \(number)", outcome: "done", arguments)
            if arguments.has("json") {
                let value = JSONValue.object([
                    .init("branch", .string(deployment.branch)),
                    .init("name", .string(deployment.name)),
                    .init("version", .number(String(number))),
                    .init("outcome", .string("removed")),
                ])
                StandardStream.output(value.text + "\n")
            } else {
                StandardStream.output("\(deployment) version \(number): removed\n")
            }
            return .success
        }
    )

    /// The version that a word of the command line is the number of.
    static func versionNumber(_ word: String) throws(UsageError) -> Int {
        guard case .number(let number) = VersionReference(word) else {
            throw UsageError("'\(word)' is no version; wanted a number from 1 on")
        }
        return number
    }

    private static func versionUse(
        _ arguments: Arguments,
        _ store: DeploymentStore
    ) -> VersionUse {
        VersionUse(
            endpoints: arguments.value("endpoints") ?? "endpoints",
            state: arguments.value("state") ?? "state",
            store: store
        )
    }

    static let prune = Command(
        name: "prune",
        summary: "remove all versions but the newest and those in use",
        usage: "prune --keep N [NAME] [OPTIONS]",
        text: """
            Keeps the N newest versions of each deployment, or of the one that is named, and all
            that are in use as 'remove' has it; removes the rest, the oldest first. Prints one
            line for every version.
            """,
        options: folders + [
            Option("keep", value: "N", "how many of the newest versions stay, at least 1"),
            Option(
                "branch",
                value: "NAME",
                "branch of NAME (default: main); alone: prune this branch only"
            ),
            Option("dry-run", "change nothing, and say what would go"), reasonOption, json,
        ],
        run: { arguments in
            let keep = try arguments.number("keep", 1...1_000_000_000)
            guard let keep, arguments.words.count <= 1 else {
                throw UsageError("wanted --keep N and at most one deployment's name")
            }
            let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
            let use = versionUse(arguments, store)
            let isTrial = arguments.has("dry-run")
            let isMachine = arguments.has("json")
            if !isTrial { try requireThawed(arguments) }
            var values: [JSONValue] = []
            var failures: [String] = []
            for deployment in try prunable(store, arguments) {
                do {
                    let outcomes = try store.prune(
                        deployment,
                        keeping: keep,
                        isTrial: isTrial,
                        usedBy: use.users
                    )
                    for pruned in outcomes {
                        if !isTrial, case .removed = pruned.outcome {
                            audit(
                                "prune",
                                "\(deployment) \(pruned.number)",
                                outcome: "done",
                                arguments
                            )
                        }
                        let row = PruneRow(deployment, pruned, keep: keep, isTrial: isTrial)
                        values.append(row.json)
                        if !isMachine { StandardStream.output(row.line) }
                        failures += row.failures
                    }
                } catch {
                    // What is wrong with the endpoint files is wrong for every deployment.
                    if !failures.contains("\(error)") { failures.append("\(error)") }
                }
            }
            if isMachine {
                StandardStream.output(JSONValue.array(values).text + "\n")
            } else if values.isEmpty, failures.isEmpty {
                StandardStream.output("there is no version\n")
            }
            for failure in failures {
                StandardStream.errors("switchyard prune: \(Visible.lines(failure))\n")
            }
            return failures.isEmpty ? .success : .failure
        }
    )

    /// The deployments that a command line of `prune` means.
    private static func prunable(
        _ store: DeploymentStore,
        _ arguments: Arguments
    ) throws -> [DeploymentName] {
        if let name = arguments.words.first { return [try deploymentName(name, arguments)] }
        guard let branch = arguments.value("branch") else { return try store.deployments() }
        guard Names.isBranch(branch) else {
            throw UsageError("'--branch \(branch)': wanted the name of a branch, such as main")
        }
        let deployments = try store.deployments().filter { $0.branch == branch }
        guard !deployments.isEmpty else {
            throw DeploymentError(
                "found no deployment of the branch \(branch) in \(store.root); wanted one of those "
                    + "that 'switchyard list' shows"
            )
        }
        return deployments
    }
}

/// One version in what `prune` prints.
private struct PruneRow {
    private let deployment: DeploymentName
    private let number: Int
    private let isTrial: Bool
    private let outcome: String
    private let reasons: [String]
    /// The sentences for standard error.
    let failures: [String]

    init(_ deployment: DeploymentName, _ pruned: PrunedVersion, keep: Int, isTrial: Bool) {
        self.deployment = deployment
        self.isTrial = isTrial
        number = pruned.number
        switch pruned.outcome {
        case .removed:
            (outcome, reasons, failures) = ("removed", [], [])
        case .recent:
            let reason = keep == 1 ? "it is the newest" : "it is one of the \(keep) newest"
            (outcome, reasons, failures) = ("kept", [reason], [])
        case .used(let users):
            (outcome, reasons, failures) = ("kept", users.map(\.description), [])
        case .failed(let reason):
            let sentence = "\(deployment) version \(pruned.number): \(reason)"
            (outcome, reasons, failures) = ("failed", [reason], [sentence])
        }
    }

    /// For people.
    var line: String {
        let said = isTrial && outcome == "removed" ? "would be removed" : outcome
        let because = reasons.isEmpty ? "" : ": \(reasons.joined(separator: "; "))"
        return "\(deployment) version \(number): \(Visible.line(said + because))\n"
    }

    /// For machines.
    var json: JSONValue {
        .object([
            .init("branch", .string(deployment.branch)), .init("name", .string(deployment.name)),
            .init("version", .number(String(number))), .init("outcome", .string(outcome)),
            .init("reasons", .array(reasons.map { .string($0) })),
            .init("dryRun", .boolean(isTrial)),
        ])
    }
}
