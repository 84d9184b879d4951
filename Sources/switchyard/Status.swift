import Bytes
import JSON
import Platform
import Serving

extension Command {
    static let status = Command(
        name: "status",
        summary: "show what a running host serves, and how it is",
        usage: "status [OPTIONS]",
        text: """
            Prints the revision that is live and who committed it, every endpoint with the weights
            that count beside those of its file, and every version in memory: ready, unhealthy,
            loading, quarantined, kept (for a rollback), draining (waits for its last request),
            failed (with the reason); and the last crashes. REQUESTS and ERRORS count since the
            worker has started, or since the version is served. Exit status 1 when no host answers.
            """,
        options: adminOptions,
        run: { arguments in
            try requireWords(0, arguments)
            return try show(
                HostClient(admin: arguments).call("GET", "/admin/v1/status"),
                arguments,
                StatusText.text
            )
        }
    )
}

/// The state of a host, for people.
enum StatusText {
    static func text(_ status: JSONValue) -> String {
        var text = "switchyard \(word(status, "version")), process \(word(status, "processId")), "
        text += "up \(duration(status["uptimeSeconds"]?.unsigned ?? 0)), "
        text += status["ready"]?.boolean == true ? "ready\n" : "NOT READY\n"
        for reason in status["reasons"]?.array?.compactMap(\.string) ?? [] {
            text += "  \(Visible.line(reason))\n"
        }
        text += "revision \(word(status, "configRevision")), \(word(status, "committedBy")), "
        text += "\(word(status, "committedAt"))\n"
        if status["rollbackOf"] != nil {
            text += "  rolled back to revision \(word(status, "rollbackOf")); what it left is put "
            text += "aside until it says something new\n"
        }
        for pin in status["pins"]?.array ?? [] {
            let names = pin["endpoints"]?.array?.compactMap(\.string) ?? []
            let what = pin["endpoint"]?.string ?? "\(word(pin, "name")) \(word(pin, "reference"))"
            let why = pin["because"]?.string.map { " because \($0)" } ?? ""
            text += "  put aside: \(what), by \(word(pin, "author")) at \(word(pin, "since"))"
            text += Visible.line(why) + "; 'switchyard rollback --release "
            text += "\(names.first ?? word(pin, "name"))' lets it come back\n"
        }
        if let frozen = status["frozen"] {
            text += "  frozen by \(word(frozen, "author")) since \(word(frozen, "since")): "
            text += "\(word(frozen, "text"))\n"
        }
        let listeners = status["listeners"]?.array?.compactMap(\.string) ?? []
        text += "listening on \(listeners.joined(separator: ", ")): "
        text += "\(word(status, "connections")) connections, \(word(status, "loops")) loops\n\n"
        text += endpoints(status["endpoints"]?.array ?? [])
        text += "\n"
        text += deployments(status["deployments"]?.array ?? [])
        return text + crashes(status["crashes"]?.array ?? [])
    }

    /// The text of a member, whatever it is.
    static func word(_ value: JSONValue, _ name: String) -> String {
        switch value[name] {
        case .string(let text): Visible.line(text)
        case .number(let text): text
        default: "-"
        }
    }

    private static func duration(_ seconds: UInt64) -> String {
        switch seconds {
        case 0..<120: "\(seconds) s"
        case 120..<7200: "\(seconds / 60) min"
        case 7200..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86400) days"
        }
    }

    /// A table of splits, and who has set live weights.
    static func endpoints(_ endpoints: [JSONValue]) -> String {
        guard !endpoints.isEmpty else { return "there is no endpoint\n" }
        var rows = [
            ["ENDPOINT", "SPLIT", "WEIGHT", "IN FILE", "SHARE", "ANSWERS", "REQUESTS", "ERRORS"]
        ]
        var notes = ""
        for endpoint in endpoints {
            for split in endpoint["splits"]?.array ?? [] {
                var share = 0.0
                if case .number(let text) = split["share"] { share = Double(text) ?? 0 }
                rows.append([
                    word(endpoint, "endpointName"), word(split, "backendName"),
                    word(split, "weight"), word(split, "fileWeight"), Share.text(share),
                    backend(split), word(split, "requests"), word(split, "errors"),
                ])
            }
            if endpoints.count == 1, endpoint["configRevision"] != nil {
                notes += "revision \(word(endpoint, "configRevision")) is live\n"
            }
            if endpoint["disabled"]?.boolean == true {
                notes += "\(word(endpoint, "endpointName")): switched off by an admin\n"
            }
            if let live = endpoint["liveWeights"] {
                notes +=
                    "\(word(endpoint, "endpointName")): live weights of \(word(live, "author")) "
                notes += "since \(word(live, "since"))\n"
            }
        }
        return TextTable.text(rows) + notes
    }

    private static func backend(_ split: JSONValue) -> String {
        guard let deployment = split["deployment"] else { return "value" }
        let alias = deployment["alias"]?.string.map { " (\(Visible.line($0)))" } ?? ""
        return "\(word(deployment, "branch"))/\(word(deployment, "name")) "
            + "\(word(deployment, "version"))\(alias)"
    }

    /// The last crashes, if there were any.
    private static func crashes(_ crashes: [JSONValue]) -> String {
        guard !crashes.isEmpty else { return "" }
        var rows = [["LAST CRASHES", "DEPLOYMENT", "VERSION", "IN", "CAUSE", "REPORT"]]
        for crash in crashes {
            rows.append(
                ["time", "deployment", "version", "function", "cause", "report"]
                    .map { word(crash, $0) }
            )
        }
        return "\n" + TextTable.text(rows)
    }

    private static func deployments(_ deployments: [JSONValue]) -> String {
        guard !deployments.isEmpty else { return "no version is in memory\n" }
        var rows = [["DEPLOYMENT", "VERSION", "STATE", "NAMES", "RUNS ON", "WAITING", "REASON"]]
        for deployment in deployments {
            let names = deployment["aliases"]?.array?.compactMap(\.string) ?? []
            let execution = deployment["execution"]
            rows.append([
                "\(word(deployment, "branch"))/\(word(deployment, "name"))",
                word(deployment, "version"), word(deployment, "state"),
                names.isEmpty ? "-" : Visible.line(names.joined(separator: ", ")),
                execution.map { word($0, "runsOn") } ?? "-",
                execution.map { word($0, "waiting") } ?? "-", word(deployment, "reason"),
            ])
        }
        return TextTable.text(rows)
    }
}
