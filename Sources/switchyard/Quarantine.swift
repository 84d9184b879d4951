// The commands about workers: who may not run any more, and a new worker in place of the old one.

import Bytes
import Deployments
import JSON
import Platform

extension Command {
    static let quarantine = Command(
        name: "quarantine",
        summary: "show which versions are not run any more, or let them run again",
        usage: "quarantine [clear [DEPLOYMENT [VERSION]]] [OPTIONS]",
        text: """
            A version that has ended workers too often (serve --quarantine), or once while it was
            loaded, is not run again: its splits answer 503, or their endpoint's fallback does.
            Without words this prints those versions and why. 'clear' lets all of them run again,
            or those of DEPLOYMENT, or one VERSION of it. A new version of the deployment is not in
            quarantine.
            """,
        options: adminOptions + [
            Option("branch", value: "NAME", "branch of DEPLOYMENT (default: main)")
        ],
        run: { arguments in
            guard let verb = arguments.words.first else {
                return try show(
                    HostClient(admin: arguments).call("GET", "/admin/v1/quarantine"),
                    arguments,
                    quarantineText
                )
            }
            guard verb == "clear" else {
                throw UsageError("'\(verb)': wanted clear, or nothing")
            }
            guard arguments.words.count <= 3 else {
                throw UsageError("found \(arguments.words.count) words; wanted at most 3")
            }
            let body = try clearing(arguments)
            return try show(
                HostClient(admin: arguments).call("POST", "/admin/v1/quarantine/clear", body: body),
                arguments
            ) { "revision \(StatusText.word($0, "configRevision")) is served with them again\n" }
        }
    )

    /// The body of a request that lets versions run again.
    private static func clearing(_ arguments: Arguments) throws(UsageError) -> String {
        let words = arguments.words
        var members: [JSONValue.Member] = []
        if words.count > 1 {
            let deployment = try deploymentName(words[1], arguments)
            members.append(.init("deployment", .string("\(deployment)")))
        }
        if words.count > 2 {
            guard let number = Bytes.decimal(words[2].utf8) else {
                throw UsageError("'\(words[2])': wanted the number of a version")
            }
            members.append(.init("version", .number("\(number)")))
        }
        return members.isEmpty ? "" : JSONValue.object(members).text
    }

    private static func quarantineText(_ list: JSONValue) -> String {
        guard let entries = list.array, !entries.isEmpty else {
            return "no version is in quarantine\n"
        }
        var rows = [["DEPLOYMENT", "VERSION", "SINCE", "REASON"]]
        for entry in entries {
            rows.append([
                StatusText.word(entry, "deployment"), StatusText.word(entry, "version"),
                StatusText.word(entry, "since"), StatusText.word(entry, "reason"),
            ])
        }
        return TextTable.text(rows)
    }

    static let recycle = Command(
        name: "recycle",
        summary: "let a new worker take over from the one that serves",
        usage: "recycle [OPTIONS]",
        text: """
            Starts another worker, loads everything there, and then hands it every connection; the
            old one ends once it has answered what it had begun. It gives back what the old one
            held: memory, and libraries of versions that are not served any more. Waits until the
            new one serves.
            """,
        options: adminOptions,
        run: { arguments in
            try requireWords(0, arguments)
            let client = try HostClient(admin: arguments)
            let before = try workerProcess(client)
            let answer = try client.call("POST", "/admin/v1/recycle")
            guard answer.status == 200 else {
                return try show(answer, arguments) { $0.text }
            }
            let limit = MonotonicClock.now() + 600_000_000_000
            while MonotonicClock.now() < limit {
                let status = try? client.call("GET", "/admin/v1/status").json
                if let reason = status?["recycleFailed"]?.string {
                    throw HostClient.Failure(
                        description: "no other worker takes over, and worker \(before ?? 0) serves "
                            + "on: \(reason); its events on standard error say more"
                    )
                }
                if let now = status?["processId"]?.unsigned, now != before {
                    let members: [JSONValue.Member] = [
                        .init("before", .number("\(before ?? 0)")), .init("now", .number("\(now)")),
                    ]
                    StandardStream.output(
                        arguments.has("json")
                            ? JSONValue.object(members).text + "\n"
                            : "worker \(now) has taken over from worker \(before ?? 0)\n"
                    )
                    return .success
                }
                MonotonicClock.sleep(nanoseconds: 20_000_000)
            }
            throw HostClient.Failure(description: "no other worker serves after 10 minutes")
        }
    )

    /// The process that serves.
    private static func workerProcess(_ client: HostClient) throws -> UInt64? {
        let answer = try client.call("GET", "/admin/v1/status")
        return answer.json["processId"]?.unsigned
    }
}
