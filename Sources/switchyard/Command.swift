/// What a command came to; the number is the program's exit status.
enum ExitStatus: Int32 {
    case success = 0
    case failure = 1
    case changes = 2
    case usage = 64
    case configuration = 78
}

/// One verb of the program.
struct Command: Sendable {
    let name: String
    /// One line for the list of commands.
    let summary: String
    /// How it is called, behind the program's name.
    let usage: String
    /// What it does, in whole sentences.
    let text: String
    let options: [Option]
    /// What the help says behind the options.
    var notes = ""
    let run: @Sendable (Arguments) throws -> ExitStatus

    static let all: [Command] = [
        .serve, .check, .deploy, .list, .alias, .remove, .prune, .plan, .reload, .weights,
        .rollback, .freeze, .unfreeze, .status, .predict, .assign, .logs, .quarantine, .recycle,
        .new, .version,
    ]

    /// The options that every command has.
    static let folders: [Option] = [
        Option(
            "endpoints",
            value: "DIR",
            variable: "SWITCHYARD_ENDPOINTS",
            "folder of endpoint files (default: endpoints)"
        ),
        Option(
            "deployments",
            value: "DIR",
            variable: "SWITCHYARD_DEPLOYMENTS",
            "folder of the store (default: deployments)"
        ),
        Option(
            "logs",
            value: "DIR",
            variable: "SWITCHYARD_LOGS",
            "folder of request logs (default: logs)"
        ),
        Option(
            "state",
            value: "DIR",
            variable: "SWITCHYARD_STATE",
            "folder of revisions, private copies and log rings (default: state)"
        ),
    ]

    static let json = Option("json", "print JSON for machines")

    /// The complete help of the command.
    var help: String {
        var lines = ["usage: switchyard \(usage)", "", text, "", "options:"]
        for option in options + [Option("help", "print this text")] {
            let left = "--\(option.name)\(option.value.map { " \($0)" } ?? "")"
            let pad = String(repeating: " ", count: max(1, 26 - left.utf8.count))
            lines.append("  \(left)\(pad)\(option.help)")
            if let variable = option.variable {
                lines.append(
                    "  \(String(repeating: " ", count: 26))or \(variable) in the environment"
                )
            }
        }
        return lines.joined(separator: "\n") + "\n" + (notes.isEmpty ? "" : "\n\(notes)")
    }

    /// The help of the program.
    static var overview: String {
        var lines = [
            "Switchyard serves models from shared-library plugins behind splitting endpoints.", "",
            "usage: switchyard COMMAND [OPTIONS]", "", "commands:",
        ]
        for command in all {
            let pad = String(repeating: " ", count: 12 - command.name.utf8.count)
            lines.append("  \(command.name)\(pad)\(command.summary)")
        }
        lines += [
            "", "'switchyard COMMAND --help' tells more.",
            "exit status: 0 done, 1 failed, 2 changes (plan), 64 usage, 78 wrong configuration",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
