// Who types a command, and what the audit log is told of what it changes beside the host.

import Bytes
import Endpoints
import JSON
import Platform
import Serving

/// Whoever runs this command.
enum CommandAuthor {
    /// Who is behind `sudo`; nil: nobody is.
    static var sudoUser: String? {
        CurrentProcess.environment("SUDO_USER").flatMap { Names.isName($0) ? $0 : nil }
    }

    /// As the audit log says it: `user 0 for ann`.
    static var text: String {
        "user \(CurrentProcess.user)\(sudoUser.map { " for \($0)" } ?? "")"
    }
}

extension Command {
    /// The options of every command that changes something.
    static let reasonOption = Option("because", value: "TEXT", "why, for the audit log")
    static let ifRevisionOption = Option(
        "if-revision",
        value: "N",
        "do it only if revision N is live; 'status' and 'plan' print it"
    )

    /// The members of a request's body that say on which terms it is made.
    static func terms(_ arguments: Arguments) throws(UsageError) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        if let number = try arguments.number("if-revision", 0...1_000_000_000) {
            members.append(.init("ifRevision", .number("\(number)")))
        }
        if let reason = arguments.value("because") {
            members.append(.init("because", .string(reason)))
        }
        return members
    }

    /// The body of a request with these members and those of its terms.
    static func body(
        _ arguments: Arguments,
        _ members: [JSONValue.Member] = []
    ) throws(UsageError) -> String {
        let all = members + (try terms(arguments))
        return all.isEmpty ? "" : JSONValue.object(all).text
    }

    /// Refuses to change the store of a host that is frozen.
    static func requireThawed(_ arguments: Arguments) throws {
        let revisions = RevisionStore(folder: "\(arguments.value("state") ?? "state")/revisions")
        if let frozen = (try? revisions.current())?.frozen {
            throw AdminFailure(errors: [frozen.sentence])
        }
    }

    /// Writes down a change of the store, with its outcome.
    static func audit(
        _ action: String,
        _ subject: String,
        outcome: String,
        _ arguments: Arguments,
        _ facts: [JSONValue.Member] = []
    ) {
        let file = AuditLog.file(in: arguments.value("logs") ?? "logs")
        let line = AuditLog.line(
            action,
            author: CommandAuthor.text,
            outcome: outcome,
            [.init("subject", .string(subject))] + facts
                + (arguments.value("because").map { [.init("because", .string($0))] } ?? [])
        )
        if let failure = file.append(line) {
            StandardStream.errors(
                "switchyard \(action): warning: \(file.path) cannot be written, so nobody will "
                    + "read there who did this: \(failure)\n"
            )
        }
    }
}
