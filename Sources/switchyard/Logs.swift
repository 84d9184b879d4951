import Bytes
import JSON
import Platform
import Serving

extension Command {
    static let logs = Command(
        name: "logs",
        summary: "show the request log, follow it, or sum it up by split",
        usage: "logs [OPTIONS]",
        text: """
            Prints the last records of the request log, one line each; a record that was cut has
            one for each part. --summary prints a row for each endpoint, split and version instead:
            requests are records, however many parts they have; SHARE is the split's part of its
            endpoint's requests that nobody forced, since a forced one is no sample of the
            experiment; all other columns count forced requests too. Percentiles are exact, by
            nearest rank.
            """,
        options: folders + [
            Option("endpoint", value: "NAME", "only requests of this endpoint"),
            Option("split", value: "NAME", "only requests that this split answered"),
            Option(
                "since",
                value: "TIME",
                "only requests from then on: 30s, 10min, 2h, 1d or 2026-11-21T03:00:00Z"
            ),
            Option("lines", value: "N", "how many of the last records (default: 20)"),
            Option("follow", "go on with new records until SIGTERM or SIGINT"),
            Option("summary", "sum up all records by endpoint, split and version"),
            json,
        ],
        run: { arguments in
            try requireWords(0, arguments)
            let log = try RequestLog(arguments)
            if arguments.has("summary") {
                for other in ["follow", "lines"] where arguments.has(other) {
                    throw UsageError(
                        "found --summary and --\(other); a summary is of all records up to now: "
                            + "leave one of them out"
                    )
                }
                return try log.printSummary()
            }
            let lines = try arguments.number("lines", 0...10_000) ?? 20
            return try arguments.has("follow") ? log.follow(lines) : log.printLast(lines)
        }
    )
}

/// Which records are wanted.
private struct LogFilter {
    private let endpoint: [UInt8]?
    private let split: [UInt8]?
    /// In the form that records have.
    private let since: [UInt8]?

    init(_ arguments: Arguments) throws(UsageError) {
        endpoint = arguments.value("endpoint").map { Array($0.utf8) }
        split = arguments.value("split").map { Array($0.utf8) }
        guard let text = arguments.value("since") else {
            since = nil
            return
        }
        guard let time = LogTime.start(text, now: .now()) else {
            throw UsageError(
                "'--since \(text)': wanted how long ago, such as 30s, 10min, 2h or 1d, or a time "
                    + "such as 2026-11-21T03:00:00Z"
            )
        }
        since = time
    }

    /// Whether a record is wanted. Names of endpoints and splits have no escapes in them.
    func takes(_ record: LoggedRecord, _ line: Span<UInt8>) -> Bool {
        if let endpoint {
            guard let place = record.endpointName, Bytes.equal(line, place, endpoint) else {
                return false
            }
        }
        if let split {
            guard let place = record.backendName, Bytes.equal(line, place, split) else {
                return false
            }
        }
        guard let since else { return true }
        return !LogTime.isBefore(line.extracting(record.time), since)
    }
}

/// What was wrong with the folder.
private struct LogFolderError: Error, CustomStringConvertible {
    let description: String
}

/// The request log as the command was asked for it.
private struct RequestLog {
    private let folder: String
    private let filter: LogFilter
    private let isForMachines: Bool

    init(_ arguments: Arguments) throws(UsageError) {
        folder = arguments.value("logs") ?? "logs"
        filter = try LogFilter(arguments)
        isForMachines = arguments.has("json")
    }

    private func reader(tail: Int? = nil) throws -> RequestLogReader {
        do {
            return try RequestLogReader(folder: folder, tail: tail)
        } catch {
            guard error.isNotFound || error.isNotFolder else { throw error }
            throw LogFolderError(
                description: "\(folder): found \(error.isNotFound ? "nothing" : "no folder"); "
                    + "wanted the folder that a host writes its request log to; name it with --logs"
            )
        }
    }

    /// Says that lines were passed over.
    private func report(foreignLines count: Int) {
        if count == 0 { return }
        let lines = count == 1 ? "1 line that is no record" : "\(count) lines that are no records"
        StandardStream.errors(
            "switchyard logs: \(Visible.line(folder)): passed over \(lines); only a host should "
                + "write into requests-*.jsonl: look for what else does\n"
        )
    }

    // MARK: Summary

    func printSummary() throws -> ExitStatus {
        var reader = try reader()
        var summary = LogSummary()
        while try reader.next({ if filter.takes($0, $1) { summary.add($0, $1) } }) {}
        StandardStream.output(isForMachines ? summary.json() : summary.text())
        report(foreignLines: reader.foreignLines)
        return .success
    }

    // MARK: Records

    func printLast(_ count: Int) throws -> ExitStatus {
        let end = try end(count)
        if end.lines.isEmpty, !isForMachines {
            StandardStream.output("no records\n")
        } else {
            var lines = RecordLines(isForMachines: isForMachines)
            StandardStream.output(lines.text(end.lines))
        }
        report(foreignLines: end.reader.foreignLines)
        return .success
    }

    /// The last wanted records, and the reader that has read up to the end of the log.
    private struct End: ~Copyable {
        var reader: RequestLogReader
        var lines: [LogLine]
    }

    /// Looks at the log's end first, and at more of it until there are enough.
    private func end(_ count: Int) throws -> End {
        var tail = 1 << 20
        var end = try end(count, tail)
        while end.lines.count < count, tail < end.reader.totalBytes {
            tail *= 8
            end = try self.end(count, tail)
        }
        return end
    }

    /// The last records of so many last bytes.
    private func end(_ count: Int, _ tail: Int) throws -> End {
        var reader = try reader(tail: tail)
        // A ring: `oldest` is where the next one goes once it is full.
        var lines: [LogLine] = []
        var oldest = 0
        while try reader.next({ record, text in
            guard count > 0, filter.takes(record, text) else { return }
            let line = LogLine(record, text, isForMachines: isForMachines)
            if lines.count < count { return lines.append(line) }
            lines[oldest] = line
            oldest = (oldest + 1) % count
        }) {}
        return End(reader: reader, lines: Array(lines[oldest...] + lines[..<oldest]))
    }

    /// How many new records are printed before the next look at signals.
    private static let recordsTogether = 1000

    func follow(_ count: Int) throws -> ExitStatus {
        // Before anything is printed: from then on a signal is a wish to end well.
        let signals = try SignalDescriptor([EndWish.interrupt, EndWish.terminate])
        var wish = try EndWish(signals)
        var end = try end(count)
        var new = end.lines
        var lines = RecordLines(isForMachines: isForMachines)
        while true {
            if !new.isEmpty { StandardStream.output(lines.text(new)) }
            let isBehind = new.count >= Self.recordsTogether
            if try wish.hasCome(signals, milliseconds: isBehind ? 0 : 200) { break }
            new.removeAll(keepingCapacity: true)
            while new.count < Self.recordsTogether,
                try end.reader.next({ record, text in
                    guard filter.takes(record, text) else { return }
                    new.append(LogLine(record, text, isForMachines: isForMachines))
                })
            {}
        }
        report(foreignLines: end.reader.foreignLines)
        return .success
    }
}

/// Waits for what ends the following of a log: a signal, or that nobody reads the output any more.
private struct EndWish: ~Copyable {
    static let interrupt: Int32 = 2
    static let terminate: Int32 = 15

    private var epoll: Epoll
    private static let output: UInt64 = 1

    init(_ signals: borrowing SignalDescriptor) throws {
        let epoll = try Epoll()
        try epoll.add(signals.descriptor, .readable, token: 0)
        // A pipe or a terminal says that its other end is gone; a file cannot be waited for.
        let output = FileDescriptor(owning: 1)
        try? epoll.add(output, [], token: Self.output)
        _ = output.release()
        self.epoll = epoll
    }

    /// Waits, and says whether the end has come.
    mutating func hasCome(
        _ signals: borrowing SignalDescriptor,
        milliseconds: Int
    ) throws -> Bool {
        let count = try epoll.wait(milliseconds: milliseconds)
        for index in 0..<count where epoll.event(index).token == Self.output { return true }
        return signals.next() != nil
    }
}
