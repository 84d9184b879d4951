// The commands that change what a running host serves: each asks its admin API.

import Bytes
import Endpoints
import JSON
import Platform
import Serving

extension Command {
    /// The options of a command that talks to a running host.
    static let adminOptions = folders + HostClient.adminOptions + [json]

    static let reload = Command(
        name: "reload",
        summary: "let a running host take its files, wholly or not at all",
        usage: "reload [OPTIONS]",
        text: """
            Reads endpoint files, aliases and versions, loads what is new, and then serves all of
            it at once; requests are answered all the time. If anything is wrong, all errors are
            shown and nothing changes. Live weights give way to the files. What is not needed any
            more is kept for a while (serve --grace), so that 'rollback' loads nothing.
            """,
        options: adminOptions + [Option("keep-weights", "keep live weights")],
        run: { arguments in
            try requireWords(0, arguments)
            return try askReload(arguments, keepsWeights: arguments.has("keep-weights"))
        }
    )

    /// Asks a running host to reload, and prints what came of it.
    static func askReload(
        _ arguments: Arguments,
        keepsWeights: Bool
    ) throws -> ExitStatus {
        try report(
            HostClient(admin: arguments)
                .call("POST", "/admin/v1/reload", body: keepWeights(keepsWeights)),
            arguments,
            unchanged: "nothing to do: that is what the files say",
            failure: .configuration
        )
    }

    /// The body of a request that may keep live weights.
    static func keepWeights(_ keeps: Bool) -> String { keeps ? "{\"keepWeights\":true}" : "" }

    static let rollback = Command(
        name: "rollback",
        summary: "let a running host serve an older revision again",
        usage: "rollback [REVISION] | rollback --list",
        text: """
            Serves the state of an older revision, as a new revision: its endpoints, its live
            weights and the very builds that it had; without a number that of the one before the
            current one. What is still in memory is not loaded again. The files stay as they are:
            'reload' returns to them.
            """,
        options: adminOptions + [Option("list", "print the revisions that there are")],
        run: { arguments in
            let host = try HostClient(admin: arguments)
            if arguments.has("list") {
                try requireWords(0, arguments)
                return try show(
                    host.call("GET", "/admin/v1/revisions"),
                    arguments,
                    revisionTable
                )
            }
            try requireWords(1, arguments)
            var body = ""
            if let word = arguments.words.first {
                guard let number = Int(word), number > 0 else {
                    throw UsageError("'\(word)' is no revision; wanted a number from 1 on")
                }
                body = "{\"configRevision\":\(number)}"
            }
            return try report(
                host.call("POST", "/admin/v1/rollback", body: body),
                arguments,
                unchanged: "nothing to do: that is what is served"
            )
        }
    )

    static let weights = Command(
        name: "weights",
        summary: "set the live weights of an endpoint of a running host, or show them",
        usage: "weights ENDPOINT [SPLIT=WEIGHT …] | weights ENDPOINT --reset",
        text: """
            Sets weights at once, without loading anything; splits that are not named keep theirs.
            The file stays as it is, and 'status' shows where the two differ. --reset returns to
            the file's weights, and so does 'reload' unless it is told --keep-weights. Without
            weights it shows those that count.
            """,
        options: adminOptions + [Option("reset", "return to the weights of the endpoint's file")],
        run: { arguments in
            guard let endpoint = arguments.words.first, Names.isEndpoint(endpoint) else {
                throw UsageError("wanted an endpoint and weights: pricing control=9 experiment=1")
            }
            let host = try HostClient(admin: arguments)
            let path = "/admin/v1/endpoints/\(endpoint)"
            if arguments.has("reset") {
                try requireWords(1, arguments)
                return try report(
                    host.call("DELETE", "\(path)/weights"),
                    arguments,
                    unchanged: "nothing to do: those are the file's weights"
                )
            }
            let words = Array(arguments.words.dropFirst())
            if words.isEmpty {
                return try show(host.call("GET", path), arguments) { StatusText.endpoints([$0]) }
            }
            let members = try words.map { word throws(UsageError) in try weight(word) }
            for (place, member) in members.enumerated()
            where members[..<place].contains(where: { $0.name == member.name }) {
                throw UsageError("the split '\(member.name)' stands twice; name each once")
            }
            let body = JSONValue.object([.init("weights", .object(members))])
            return try report(
                host.call("PUT", "\(path)/weights", body: body.text),
                arguments,
                unchanged: "nothing to do: those are the weights that count"
            )
        }
    )

    private static func weight(_ word: String) throws(UsageError) -> JSONValue.Member {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2, Names.isName(parts[0]), let weight = Weight(parts[1]) else {
            throw UsageError(
                "'\(word)': wanted a split and its weight, such as control=9; a weight is "
                    + Weight.rule
            )
        }
        return .init(parts[0], .number(weight.text))
    }

    static func requireWords(_ count: Int, _ arguments: Arguments) throws(UsageError) {
        guard arguments.words.count <= count else {
            throw UsageError("unexpected '\(arguments.words[count])'")
        }
    }

    // MARK: What came of it

    /// Prints an answer for machines as it is, or what `text` makes of it for people.
    static func show(
        _ answer: HostClient.Answer,
        _ arguments: Arguments,
        failure: ExitStatus = .failure,
        _ text: (JSONValue) -> String
    ) throws -> ExitStatus {
        if arguments.has("json") {
            StandardStream.output(String(decoding: answer.body, as: UTF8.self))
            return answer.status == 200 ? .success : failure
        }
        try requireSuccess(answer, failure: failure)
        StandardStream.output(text(answer.json))
        return .success
    }

    /// Prints what a change came to.
    static func report(
        _ answer: HostClient.Answer,
        _ arguments: Arguments,
        unchanged: String,
        failure: ExitStatus = .failure
    ) throws -> ExitStatus {
        try show(answer, arguments, failure: failure) { json in
            let number = json["configRevision"]?.unsigned ?? 0
            guard json["outcome"]?.string == "committed" else {
                return "revision \(number): \(unchanged)\n"
            }
            let before = json["previousRevision"]?.unsigned ?? 0
            return "revision \(number) is live, it was \(before)\n" + changeLines(json)
        }
    }

    /// A line for each change of an answer.
    static func changeLines(_ json: JSONValue) -> String {
        (json["changes"]?.array ?? []).compactMap { $0["text"]?.string }
            .map { "  \(Visible.line($0))\n" }.joined()
    }

    /// Throws the sentences of an answer that is none of success.
    static func requireSuccess(
        _ answer: HostClient.Answer,
        failure: ExitStatus = .failure
    ) throws {
        guard answer.status != 200 else { return }
        let errors = answer.json["errors"]?.array?.compactMap(\.string) ?? []
        if answer.json["code"]?.string == "commit_failed", !errors.isEmpty {
            throw AdminFailure(errors: ["nothing is changed:"] + errors, status: failure)
        }
        throw AdminFailure(
            errors: [answer.json["error"]?.string ?? "found status \(answer.status) and no reason"]
        )
    }

    private static func revisionTable(_ revisions: JSONValue) -> String {
        var rows = [["REVISION", "COMMITTED", "", "BY", "CHANGES"]]
        for revision in revisions.array ?? [] {
            let changes = revision["changes"]?.array?.compactMap(\.string) ?? []
            rows.append([
                "\(revision["configRevision"]?.unsigned ?? 0)",
                (revision["created"]?.string).map { "\($0.prefix(19))Z" } ?? "-",
                revision["current"]?.boolean == true ? "live" : "",
                Visible.line(revision["author"]?.string ?? revision["error"]?.string ?? "-"),
                Visible.line(changes.first ?? "-")
                    + (changes.count > 1 ? "; and \(changes.count - 1) more" : ""),
            ])
        }
        return TextTable.text(rows)
    }
}

/// Why a host has not done what was asked.
struct AdminFailure: Error, CustomStringConvertible {
    let errors: [String]
    var status = ExitStatus.failure

    var description: String { errors.joined(separator: "\n") }
}
