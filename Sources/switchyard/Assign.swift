import Bytes
import Endpoints
import JSON
import Platform
import Serving

extension Command {
    static let assign = Command(
        name: "assign",
        summary: "show which split a subject gets, and the numbers behind it",
        usage: "assign ENDPOINT --subject SUBJECT [OPTIONS]",
        text: """
            Decides as the running host does, with its live weights, or as the endpoint's file says
            where no host runs, or with --file; the output says which. For each split, u is
            (h + 0.5) / 2^52, with h the first 13 hexadecimal digits of SHA-256 of
            'experiment:split:subject'; the score is -ln(u) / weight, and the smallest wins.
            """,
        options: folders + [
            Option("subject", value: "TEXT", "the subject, as answers show it in 'subjectId'"),
            fileOption, json,
        ] + HostClient.adminOptions,
        run: { arguments in
            guard arguments.words.count == 1, let subject = arguments.value("subject") else {
                throw UsageError("wanted an endpoint and --subject")
            }
            guard !subject.isEmpty, subject.utf8.count <= Subject.bytesMaximum else {
                throw UsageError(
                    "'--subject': wanted a text of 1 to \(Subject.bytesMaximum) bytes"
                )
            }
            let source = try EndpointSource(arguments.words[0], arguments)
            let decision = Decision(source, subject)
            StandardStream.output(arguments.has("json") ? decision.json : decision.text)
            return .success
        }
    )

    /// The endpoint of a file, or every error of it.
    static func endpoint(_ name: String, _ arguments: Arguments) throws -> Endpoint {
        let folder = EndpointFolder(path: arguments.value("endpoints") ?? "endpoints")
        guard Names.isEndpoint(name) else {
            throw UsageError("'\(name)' is no name for an endpoint: 1 to 64 of a-z, 0-9 and _")
        }
        var contents = EndpointFolder.Contents()
        let names = ((try? Directory.names(in: folder.path)) ?? [])
            .filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }
        guard names.contains(name) else {
            let guess = Suggestion.nearest(to: name, in: names)
            throw CommitFailure(errors: [
                "there is no endpoint '\(name)' in \(folder.path); "
                    + (guess.map { "did you mean '\($0)'?" }
                        ?? "name the folder of endpoint files with --endpoints")
            ])
        }
        folder.read(name, into: &contents)
        guard let endpoint = contents.endpoints.first, contents.errors.isEmpty else {
            throw CommitFailure(errors: contents.errors)
        }
        return endpoint
    }
}

/// Which split a subject gets, and why.
private struct Decision {
    private struct Row {
        let split: Split
        let fraction: Double
        var score: Double {
            split.weight > 0 ? -Assigner.logarithm(fraction) / split.weight : .infinity
        }
    }

    private let source: EndpointSource
    private var endpoint: Endpoint { source.endpoint }
    private let subject: String
    private let rows: [Row]
    /// The split that the subject gets; nil when there is no experiment.
    private let chosen: Split?
    private let assignment: AssignmentKind

    init(_ source: EndpointSource, _ subject: String) {
        self.source = source
        let endpoint = source.endpoint
        self.subject = subject
        let experiment = endpoint.experiment?.id ?? endpoint.name
        rows = endpoint.splits.map { split in
            Row(
                split: split,
                fraction: Assigner.fraction(
                    experiment: experiment,
                    arm: split.name,
                    subject: Array(subject.utf8)
                )
            )
        }
        let assigner = Assigner(experiment: experiment, splits: endpoint.splits)
        if let only = assigner.only {
            (chosen, assignment) = (endpoint.splits[only], .only)
        } else if endpoint.experiment != nil {
            let bytes = Array(subject.utf8)
            chosen = endpoint.splits[assigner.split(subject: bytes.span)]
            assignment = .subject
        } else {
            (chosen, assignment) = (nil, .coin)
        }
    }

    var text: String {
        let total = rows.reduce(0) { $0 + $1.split.weight }
        var lines = "endpoint \(endpoint.name), \(source.text), "
        if let experiment = endpoint.experiment {
            lines += "experiment \(experiment.id), "
            lines += "subject '\(Visible.line(subject))', \(Assigner.algorithm)\n"
        } else {
            lines += "no experimentConfig: a coin for every request\n"
        }
        var table = [["SPLIT", "WEIGHT", "SHARE"]]
        if endpoint.experiment != nil { table[0] += ["U", "SCORE"] }
        for row in rows {
            var cells = [
                row.split.name, row.split.weightText, Share.text(row.split.weight / total),
            ]
            if endpoint.experiment != nil {
                cells += ["\(row.fraction)", row.split.weight > 0 ? "\(row.score)" : "-"]
            }
            table.append(cells)
        }
        lines += TextTable.text(table)
        switch assignment {
        case .only: lines += "split \(chosen?.name ?? ""): the only one with a weight\n"
        case .subject: lines += "split \(chosen?.name ?? ""): it has the smallest score\n"
        default: break
        }
        return lines
    }

    var json: String {
        var members: [JSONValue.Member] = [
            .init("endpointName", .string(endpoint.name)),
            .init("source", .string(source.revision == nil ? "file" : "host")),
        ]
        if let revision = source.revision {
            members.append(.init("configRevision", .number("\(revision)")))
        }
        if let chosen { members.append(.init("backendName", .string(chosen.name))) }
        if let experiment = endpoint.experiment {
            members += [
                .init("experimentId", .string(experiment.id)), .init("subjectId", .string(subject)),
                .init("algorithm", .string(Assigner.algorithm)),
            ]
        }
        members.append(.init("assignment", .string(assignment.rawValue)))
        let splits = rows.map { row in
            var split: [JSONValue.Member] = [
                .init("backendName", .string(row.split.name)),
                .init("weight", .number(row.split.weightText)),
            ]
            if endpoint.experiment != nil {
                split.append(.init("u", .number("\(row.fraction)")))
                if row.split.weight > 0 { split.append(.init("score", .number("\(row.score)"))) }
            }
            return JSONValue.object(split)
        }
        members.append(.init("splits", .array(splits)))
        return JSONValue.object(members).text + "\n"
    }
}
