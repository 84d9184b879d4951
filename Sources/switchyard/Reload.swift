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
            shown and nothing changes. Live weights stay, unless the file's own weights of that
            endpoint have changed. What a rollback has put aside is left out until it says
            something new. What is not needed any more is kept for a while (serve --grace), so that
            'rollback' loads nothing. Exit status 1: there was nothing to do but what is left out.
            """,
        options: adminOptions + weightOptions + [ifRevisionOption, reasonOption],
        run: { arguments in
            try requireWords(0, arguments)
            return try askReload(arguments)
        }
    )

    /// What becomes of live weights.
    static let weightOptions = [
        Option("reset-weights", "let live weights give way to the files"),
        Option("keep-weights", "what is so anyway; not taken by the next version"),
    ]

    /// Asks a running host to reload, and prints what came of it.
    static func askReload(_ arguments: Arguments) throws -> ExitStatus {
        try report(
            HostClient(admin: arguments)
                .call("POST", "/admin/v1/reload", body: body(arguments, weightMembers(arguments))),
            arguments,
            unchanged: "nothing to do: that is what the files say",
            failure: .configuration
        )
    }

    /// The members of a request that says what becomes of live weights.
    static func weightMembers(_ arguments: Arguments) throws(UsageError) -> [JSONValue.Member] {
        if arguments.has("keep-weights") {
            guard !arguments.has("reset-weights") else {
                throw UsageError("'--keep-weights' and '--reset-weights' contradict each other")
            }
            StandardStream.errors(
                "switchyard: warning: '--keep-weights' is what is so anyway; leave it out: the "
                    + "next version does not take it\n"
            )
        }
        return arguments.has("reset-weights") ? [.init("resetWeights", .boolean(true))] : []
    }

    static let rollback = Command(
        name: "rollback",
        summary: "let a running host serve an older revision again",
        usage: """
            rollback [REVISION] | rollback --endpoint ENDPOINT | rollback --release SUBJECT | \
            rollback --list
            """,
        text: """
            Serves the state of an older revision, as a new revision: its endpoints, its live
            weights and the very builds that it had; without a number that of the one before what
            is served, so that twice in a row goes further back. --endpoint does so for one
            endpoint. What is still in memory is not loaded again. The files stay as they are, and
            what was left is put aside: no reload, signal, watch, deploy or start brings it back
            until --release says so, or it says something new and 'reload' takes that.
            """,
        options: adminOptions + [
            Option("list", "print the revisions that there are"),
            Option("endpoint", value: "ENDPOINT", "go back for this endpoint only"),
            Option("release", value: "SUBJECT", "let what was rolled back come back"),
            ifRevisionOption, reasonOption,
        ],
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
            var members: [JSONValue.Member] = []
            if let word = arguments.words.first {
                guard let number = Int(word), number > 0 else {
                    throw UsageError("'\(word)' is no revision; wanted a number from 1 on")
                }
                members.append(.init("configRevision", .number("\(number)")))
            }
            for name in ["endpoint", "release"] {
                if let value = arguments.value(name) {
                    members.append(.init(name, .string(value)))
                }
            }
            guard members.count <= 1 else {
                throw UsageError("wanted one of REVISION, --endpoint and --release")
            }
            return try report(
                host.call("POST", "/admin/v1/rollback", body: body(arguments, members)),
                arguments,
                unchanged: "nothing to do: that is what is served"
            )
        }
    )

    static let freeze = Command(
        name: "freeze",
        summary: "let a running host refuse every change",
        usage: "freeze TEXT [OPTIONS]",
        text: """
            From now on every change is refused with TEXT, by whomever and however it is asked for:
            reloads, weights, aliases, rollbacks, deploys. What protects the host goes on:
            quarantine and recycle. A start serves what was live.
            """,
        options: adminOptions + [ifRevisionOption, reasonOption],
        run: { arguments in
            guard arguments.words.count == 1, !arguments.words[0].isEmpty else {
                throw UsageError("wanted a text that says why, in quotes: 'release week'")
            }
            let members = [JSONValue.Member("text", .string(arguments.words[0]))]
            return try report(
                HostClient(admin: arguments)
                    .call("POST", "/admin/v1/freeze", body: body(arguments, members)),
                arguments,
                unchanged: "nothing to do"
            )
        }
    )

    static let unfreeze = Command(
        name: "unfreeze",
        summary: "let a frozen host be changed again",
        usage: "unfreeze [OPTIONS]",
        text: "Ends what 'freeze' has begun.",
        options: adminOptions + [ifRevisionOption, reasonOption],
        run: { arguments in
            try requireWords(0, arguments)
            return try report(
                HostClient(admin: arguments)
                    .call("DELETE", "/admin/v1/freeze", body: body(arguments)),
                arguments,
                unchanged: "nothing to do: the host is not frozen"
            )
        }
    )

    static let weights = Command(
        name: "weights",
        summary: "set the live weights of an endpoint of a running host, or show them",
        usage: "weights ENDPOINT [SPLIT=WEIGHT …] | weights ENDPOINT --reset",
        text: """
            Sets weights at once, without loading anything; splits that are not named keep theirs.
            'canary=5%' gives a split that share, and the others keep their proportions. The file
            stays as it is, and 'status' shows where the two differ. The weights stay until
            --reset, or until the file's own weights of the endpoint change. Without weights it
            shows those that count.
            """,
        options: adminOptions + [
            Option("reset", "return to the weights of the endpoint's file"), ifRevisionOption,
            reasonOption,
        ],
        run: { arguments in
            guard let endpoint = arguments.words.first, Names.isEndpoint(endpoint) else {
                throw UsageError("wanted an endpoint and weights: pricing control=9 experiment=1")
            }
            let host = try HostClient(admin: arguments)
            let path = "/admin/v1/endpoints/\(endpoint)"
            if arguments.has("reset") {
                try requireWords(1, arguments)
                return try report(
                    host.call("DELETE", "\(path)/weights", body: body(arguments)),
                    arguments,
                    unchanged: "nothing to do: those are the file's weights"
                )
            }
            let words = Array(arguments.words.dropFirst())
            if words.isEmpty {
                return try show(host.call("GET", path), arguments) { StatusText.endpoints([$0]) }
            }
            if words.contains(where: { $0.hasSuffix("%") }) {
                return try setShares(words, host, path, arguments)
            }
            let members = try words.map { word throws(UsageError) in try weight(word) }
            for (place, member) in members.enumerated()
            where members[..<place].contains(where: { $0.name == member.name }) {
                throw UsageError("the split '\(member.name)' stands twice; name each once")
            }
            return try setWeights(members, host, path, arguments)
        }
    )

    private static func setWeights(
        _ members: [JSONValue.Member],
        _ host: HostClient,
        _ path: String,
        _ arguments: Arguments,
        _ terms: [JSONValue.Member] = []
    ) throws -> ExitStatus {
        let members = [JSONValue.Member("weights", .object(members))] + terms
        return try report(
            host.call("PUT", "\(path)/weights", body: body(arguments, members)),
            arguments,
            unchanged: "nothing to do: those are the weights that count"
        )
    }

    /// Sets the shares of some splits; the others keep their proportions among each other.
    private static func setShares(
        _ words: [String],
        _ host: HostClient,
        _ path: String,
        _ arguments: Arguments
    ) throws -> ExitStatus {
        var shares: [String: Double] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, Names.isName(parts[0]), parts[1].hasSuffix("%"),
                let percent = Double(parts[1].dropLast()), (0...100).contains(percent),
                shares.updateValue(percent / 100, forKey: parts[0]) == nil
            else {
                throw UsageError(
                    "'\(word)': wanted a split and its share, each once, such as canary=5%; "
                        + "weights and shares do not mix"
                )
            }
        }
        let answer = try host.call("GET", path)
        try requireSuccess(answer)
        let splits = (answer.json["splits"]?.array ?? []).compactMap {
            split -> (name: String, weight: Double)? in
            guard let name = split["backendName"]?.string, case .number(let text) = split["weight"],
                let weight = Double(text)
            else { return nil }
            return (name, weight)
        }
        for name in shares.keys where !splits.contains(where: { $0.name == name }) {
            let names = splits.map(\.name).joined(separator: ", ")
            throw UsageError("there is no split '\(name)'; there are \(names)")
        }
        let rest = splits.filter { shares[$0.name] == nil }
        let (left, sum) = (
            1 - shares.values.reduce(0, +), rest.reduce(0) { $0 + $1.weight }
        )
        guard left > -1e-9, left < 1e-9 || sum > 0 else {
            throw UsageError(
                "the shares make \((1 - left) * 100) %; wanted at most 100 %, and as much where no "
                    + "other split has a weight"
            )
        }
        let members = splits.map { split in
            let weight =
                shares[split.name] ?? (sum > 0 ? split.weight * max(0, left) / sum : 0)
            return JSONValue.Member(split.name, .number("\(weight * 100)"))
        }
        // They were worked out from this revision.
        var terms: [JSONValue.Member] = []
        if !arguments.has("if-revision"), case .number(let text) = answer.json["configRevision"] {
            terms.append(.init("ifRevision", .number(text)))
        }
        return try setWeights(members, host, path, arguments, terms)
    }

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
            let code = answer.json["code"]?.string ?? ""
            let isRefused = ["revision_moved", "frozen"].contains(code)
            return answer.status == 200 ? .success : isRefused ? .failure : failure
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
        let status = try show(answer, arguments, failure: failure) { json in
            let number = json["configRevision"]?.unsigned ?? 0
            let left = lines(json["leftOut"])
            guard json["outcome"]?.string == "committed" else {
                let what = left.isEmpty ? unchanged : "nothing else to do"
                return "revision \(number): \(what)\n" + left
            }
            let before = json["previousRevision"]?.unsigned ?? 0
            return "revision \(number) is live, it was \(before)\n" + changeLines(json) + left
        }
        let warnings = answer.json["warnings"]?.array?.compactMap(\.string) ?? []
        if !arguments.has("json") {
            for warning in warnings {
                StandardStream.errors("switchyard: not served: \(Visible.lines(warning))\n")
            }
        }
        // What the files say is not what is served: whoever asked for it must not take it so.
        if status == .success, !warnings.isEmpty { return .failure }
        let hasDone = answer.json["outcome"]?.string != "unchanged"
        let isLeft = answer.json["leftOut"]?.array?.isEmpty == false
        return status == .success && !hasDone && isLeft ? .failure : status
    }

    private static func lines(_ list: JSONValue?) -> String {
        (list?.array ?? []).compactMap { $0["text"]?.string }
            .map { "  \(Visible.line($0))\n" }.joined()
    }

    /// A line for each change of an answer.
    static func changeLines(_ json: JSONValue) -> String { lines(json["changes"]) }

    /// Throws the sentences of an answer that is none of success.
    static func requireSuccess(
        _ answer: HostClient.Answer,
        failure: ExitStatus = .failure
    ) throws {
        guard answer.status != 200 else { return }
        let errors = answer.json["errors"]?.array?.compactMap(\.string) ?? []
        let code = answer.json["code"]?.string ?? ""
        if ["commit_failed", "revision_moved", "frozen"].contains(code), !errors.isEmpty {
            throw AdminFailure(
                errors: ["nothing is changed:"] + errors,
                status: code == "commit_failed" ? failure : .failure
            )
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
