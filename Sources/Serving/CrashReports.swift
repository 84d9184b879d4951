// Crash reports: a file for each death of a worker that nobody had asked for, written by the worker
// after it, from what the dead one has left.

import Bytes
package import JSON
package import Logging
import Platform
import PluginHost

/// The folder of crash reports.
package struct CrashReports: Sendable {
    package let folder: String
    private let log: EventLog

    /// Reports that are kept.
    private static let kept = 50
    private static let linesMaximum = 20

    package init(state: String, log: EventLog) {
        folder = "\(state)/crashes"
        self.log = log
    }

    /// What a report says of the request that was found guilty.
    package struct Request: Sendable {
        package let requestID: String
        /// The request's body, where the log may have such; nil: it may not.
        package let body: [UInt8]?
    }

    /// Writes a death down, and tells the event log.
    package func write(
        _ death: Death,
        _ request: Request?,
        quarantine: Quarantine?
    ) {
        let name = "\(Timestamp.text(death.time).filter { $0 != ":" })-\(death.process).json"
        let path = "\(folder)/\(name)"
        var problem = ""
        do {
            try Directory.createAll(folder, mode: 0o700)
            let text = json(death, request, quarantine).text + "\n"
            try File.writeAtomically(path, Array(text.utf8), mode: 0o600)
            prune()
        } catch {
            problem = "; no report could be written: \(error)"
        }
        let model = death.model.map { "\($0.deployment) version \($0.version)" }
        let what = model.map { "\($0) \(death.cause)" } ?? "a worker \(death.cause)"
        let place =
            death.note.map { " in \($0.activity.function)" }
            ?? (death.model == nil ? "" : " on a thread of its own")
        log.write(
            .error,
            "crash.report",
            "\(what)\(place); see \(path)\(problem)",
            [
                "process": .number(Int(death.process)),
                "deployment": .text(death.model?.deployment ?? ""),
                "version": .number(death.model?.version ?? 0),
                "requestId": .text(request?.requestID ?? ""), "report": .text(path),
            ]
        )
    }

    private func json(
        _ death: Death,
        _ request: Request?,
        _ quarantine: Quarantine?
    ) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("time", .string(Timestamp.text(death.time))),
            .init("process", .number("\(death.process)")),
            .init("cause", .string(death.cause)),
        ]
        if let fault = death.fault, fault.kind == .signal {
            members += [
                .init("signal", .number("\(fault.signal)")),
                .init("signalCode", .number("\(fault.code)")),
                .init("address", .string(Self.hexadecimal(fault.address))),
            ]
        }
        if let model = death.model {
            members += [
                .init("deployment", .string(model.deployment)),
                .init("version", .number("\(model.version)")),
                .init("build", .string(model.build)),
            ]
        }
        if let note = death.note {
            members.append(.init("function", .string(note.activity.function)))
        }
        if let request {
            members.append(.init("requestId", .string(request.requestID)))
            if let body = request.body {
                members.append(.init("request", .string(String(decoding: body, as: UTF8.self))))
            }
        }
        if let fault = death.fault, !fault.frames.isEmpty {
            members.append(.init("backtrace", .array(Backtrace(fault).json)))
        }
        if let log = death.model?.log, !log.isEmpty {
            let lines = log.suffix(Self.linesMaximum).map { JSONValue.string($0) }
            members.append(.init("log", .array(lines)))
        }
        members.append(.init("quarantined", .boolean(quarantine != nil)))
        return .object(members)
    }

    static func hexadecimal(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }

    private func prune() {
        for name in names.dropLast(Self.kept) { try? File.remove("\(folder)/\(name)") }
    }

    /// The reports' files, the oldest first.
    package var names: [String] {
        ((try? Directory.names(in: folder)) ?? []).filter { $0.hasSuffix(".json") }.sorted()
    }

    /// The last reports, the newest first, without their backtraces; reads files.
    package func summaries(_ count: Int) -> [JSONValue] {
        names.suffix(count).reversed().compactMap { name in
            guard let text = try? File.read("\(folder)/\(name)", limit: 1 << 24),
                let members = try? JSONValue(parsing: text).object
            else { return nil }
            let shown = [
                "time", "process", "cause", "deployment", "version", "function", "requestId",
            ]
            return .object(
                members.filter { shown.contains($0.name) }
                    + [.init("report", .string("\(folder)/\(name)"))]
            )
        }
    }
}

/// Addresses of a dead process, and what lay there.
struct Backtrace {
    private struct Mapping {
        let start, end, offset: UInt64
        let path: String
    }

    private let mappings: [Mapping]
    private let frames: [UInt64]

    init(_ fault: WorkerBoard.Fault) {
        frames = fault.frames
        mappings = fault.maps.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            let range = (words.first ?? "").split(separator: "-")
            guard words.count == 6, range.count == 2, let start = UInt64(range[0], radix: 16),
                let end = UInt64(range[1], radix: 16), let offset = UInt64(words[2], radix: 16)
            else { return nil }
            return Mapping(
                start: start,
                end: end,
                offset: offset,
                path: String(words[5].drop { $0 == " " })
            )
        }
    }

    /// The files that the calls are in, the innermost first.
    var paths: [String] {
        frames.compactMap { address in
            mappings.first { $0.start <= address && address < $0.end }?.path
        }
    }

    /// A member for each call, the innermost first.
    var json: [JSONValue] {
        var tables: [String: SymbolTable] = [:]
        return frames.enumerated().map { index, address in
            var members: [JSONValue.Member] = [
                .init("address", .string(CrashReports.hexadecimal(address)))
            ]
            // A call's return address may be the first one behind its function.
            let place = index == 0 ? address : address &- 1
            if let mapping = mappings.first(where: { $0.start <= place && place < $0.end }) {
                let offset = place - mapping.start &+ mapping.offset
                members += [
                    .init("file", .string(mapping.path)),
                    .init("offset", .string(CrashReports.hexadecimal(offset))),
                ]
                let table = tables[mapping.path] ?? Self.table(mapping.path)
                tables[mapping.path] = table
                if let function = table.function(atOffset: offset) {
                    members.append(
                        .init("symbol", .string("\(function.name) + \(function.distance)"))
                    )
                }
            }
            return .object(members)
        }
    }

    private static func table(_ path: String) -> SymbolTable {
        guard path.hasPrefix("/"), let bytes = try? File.read(path, limit: 1 << 28) else {
            return SymbolTable([])
        }
        return SymbolTable(bytes)
    }
}
