import Bytes
import Deployments
import Endpoints
import JSON
import Platform
import Serving

extension Command {
    static let plan = Command(
        name: "plan",
        summary: "show what a reload would change, without changing anything",
        usage: "plan [OPTIONS]",
        text: """
            Holds the endpoint files, aliases and versions against the revision that is live:
            splits and weights, versions to load and to retire, and the share of subjects that
            would get another split. A running host is asked, since it knows which versions could
            not be loaded; without one the state folder is read. Nothing is loaded for it.
            Exit status: 0 nothing to change, 2 changes, 78 errors.
            """,
        options: adminOptions + weightOptions,
        run: { arguments in
            try requireWords(0, arguments)
            let host = try HostClient(admin: arguments)
            let isAsked = arguments.has("admin") || host.isReachable
            let json = try isAsked ? ask(host, arguments) : offline(arguments).json
            return show(json, arguments)
        }
    )

    private static func ask(_ host: HostClient, _ arguments: Arguments) throws -> JSONValue {
        let members = try weightMembers(arguments)
        let body = members.isEmpty ? "" : JSONValue.object(members).text
        let answer = try host.call("POST", "/admin/v1/plan", body: body)
        try requireSuccess(answer)
        return answer.json
    }

    private static func offline(_ arguments: Arguments) throws -> Plan {
        let files = ConfigurationFiles(
            endpointsFolder: arguments.value("endpoints") ?? "endpoints",
            store: DeploymentStore(root: arguments.value("deployments") ?? "deployments")
        )
        let revisions = RevisionStore(folder: "\(arguments.value("state") ?? "state")/revisions")
        let current = try revisions.current()
        return files.plan(
            against: current.map { ($0, files.configuration(of: $0)) },
            resetsWeights: arguments.has("reset-weights")
        )
    }

    private static func show(_ plan: JSONValue, _ arguments: Arguments) -> ExitStatus {
        let count = plan["changes"]?.array?.count ?? 0
        let errors = plan["errors"]?.array?.compactMap(\.string) ?? []
        let status: ExitStatus =
            !errors.isEmpty ? .configuration : count > 0 ? .changes : .success
        if arguments.has("json") {
            StandardStream.output(plan.text + "\n")
            return status
        }
        for warning in plan["warnings"]?.array?.compactMap(\.string) ?? [] {
            StandardStream.errors("switchyard plan: warning: \(Visible.lines(warning))\n")
        }
        guard errors.isEmpty else {
            for error in errors { StandardStream.errors("\(Visible.lines(error))\n") }
            StandardStream.errors(
                "switchyard plan: a reload would change nothing: "
                    + "\(errors.count) error\(errors.count == 1 ? "" : "s")\n"
            )
            return status
        }
        for left in plan["leftOut"]?.array?.compactMap({ $0["text"]?.string }) ?? [] {
            StandardStream.output("\(Visible.line(left))\n")
        }
        let live = plan["configRevision"]?.unsigned.map { "revision \($0)" } ?? "nothing"
        guard count > 0 else {
            StandardStream.output("nothing to change: \(live) is what the files say\n")
            return status
        }
        StandardStream.output("\(live) is live; a reload would change:\n\(changeLines(plan))")
        return status
    }
}
