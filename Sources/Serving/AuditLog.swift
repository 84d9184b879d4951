// Who has changed, or tried to change, what is live: one JSON line for each attempt, written before
// anybody has an answer to it.

import Bytes
import Endpoints
package import JSON
package import Logging
import Platform

/// Appends to `<logs>/audit.jsonl`; older files are `audit-<time>.jsonl`.
package final class AuditLog: Sendable {
    private let file: RotatingFile
    private let state: HostState
    private let log: EventLog

    /// Changes and errors of one attempt that are written.
    private static let linesShown = 100

    package init(folder: String, state: HostState, log: EventLog) {
        file = Self.file(in: folder)
        self.state = state
        self.log = log
    }

    /// The file of a folder of logs.
    package static func file(in folder: String) -> RotatingFile {
        RotatingFile(folder: folder, name: "audit", bytesMaximum: 16 << 20, filesKept: 8)
    }

    /// Writes down an attempt.
    ///
    /// - Parameters:
    ///   - action: a constant word, such as `reload`.
    ///   - author: who, such as `user 0`.
    ///   - outcome: a constant word, such as `refused`.
    ///   - facts: what else there is to say.
    package func write(
        _ action: String,
        author: String,
        outcome: String,
        _ facts: [JSONValue.Member] = []
    ) {
        let line = Self.line(action, author: author, outcome: outcome, facts)
        let failure = file.append(line)
        state.setAuditFailing(failure != nil)
        if let failure {
            log.write(
                .error,
                "audit.failing",
                "\(file.path) cannot be written: \(failure); the line was "
                    + String(decoding: line.dropLast(), as: UTF8.self)
            )
        }
    }

    /// The line of an attempt, with its end.
    package static func line(
        _ action: String,
        author: String,
        outcome: String,
        _ facts: [JSONValue.Member]
    ) -> [UInt8] {
        let value = JSONValue.object(
            [
                .init("time", .string(Timestamp.text(.now()))), .init("author", .string(author)),
                .init("action", .string(action)), .init("outcome", .string(outcome)),
            ] + facts
        )
        return Array("\(value.text)\n".utf8)
    }

    /// Writes down what a commit came to.
    func write(
        _ request: CommitRequest,
        author: String,
        before: Int,
        _ outcome: CommitOutcome,
        _ terms: CommitTerms
    ) {
        var facts: [JSONValue.Member] = []
        if let reason = terms.reason { facts.append(.init("because", .string(reason))) }
        if let revision = terms.ifRevision {
            facts.append(.init("ifRevision", .number("\(revision)")))
        }
        switch request {
        case .reload(let resetsWeights):
            if resetsWeights { facts.append(.init("resetWeights", .boolean(true))) }
        case .rollbackEndpoint(let endpoint):
            facts.append(.init("endpointName", .string(endpoint)))
        case .release(let subject): facts.append(.init("subject", .string(subject)))
        case .freeze(let text): facts.append(.init("text", .string(text)))
        case .unfreeze, .loadAgain: break
        case .weights(let endpoint, let weights):
            facts.append(.init("endpointName", .string(endpoint)))
            facts.append(
                .init(
                    "weights",
                    .object(weights.map { .init($0.split, .number($0.weight.text)) })
                )
            )
        case .mapping(let service, let weights):
            facts.append(.init("service", .string(service)))
            facts.append(
                .init(
                    "weights",
                    .object(weights.map { .init($0.split, .number($0.weight.text)) })
                )
            )
        case .enable(let endpoints, _):
            facts.append(.init("endpoints", .array(endpoints.map { .string($0) })))
        case .load(let deployment), .unload(let deployment):
            facts.append(.init("deployment", .string(deployment)))
        case .resetWeights(let endpoint):
            facts.append(.init("endpointName", .string(endpoint)))
        case .rollback(let number):
            if let number { facts.append(.init("to", .number("\(number)"))) }
        case .readmit(let deployment, let version):
            if let deployment { facts.append(.init("deployment", .string(deployment))) }
            if let version { facts.append(.init("version", .number("\(version)"))) }
        }
        facts.append(.init("previousRevision", .number("\(before)")))
        switch outcome {
        case .committed(let committed), .unchanged(let committed):
            facts.append(.init("configRevision", .number("\(committed.revision.number)")))
            facts += Self.shown("changes", committed.changes.map(\.text))
            if !committed.leftOut.isEmpty {
                facts += Self.shown("leftOut", committed.leftOut.map(\.text))
            }
        case .failed(let failure):
            facts.append(.init("configRevision", .number("\(before)")))
            facts += Self.shown("errors", failure.errors)
        }
        write(request.name, author: author, outcome: outcome.name, facts)
    }

    private static func shown(_ name: String, _ lines: [String]) -> [JSONValue.Member] {
        var shown = lines.prefix(linesShown).map { JSONValue.string($0) }
        if lines.count > linesShown {
            shown.append(.string("… and \(lines.count - linesShown) more"))
        }
        return [.init(name, .array(shown))]
    }
}
