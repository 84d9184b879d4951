// Records of the request log as lines: unchanged for machines, in columns for people.

import Bytes
import Serving

/// One record on its way to the terminal.
struct LogLine {
    /// The columns for people; for machines there is one, the line itself.
    let cells: [String]

    /// What stands above the columns.
    static let heads = LogLine(cells: [
        "TIME", "STATUS", "ENDPOINT", "SPLIT", "VERSION", "ASSIGNMENT", "DURATION", "SUBJECT",
        "REQUEST",
    ])

    private init(cells: [String]) {
        self.cells = cells
    }

    /// The same JSON without characters that do something to a terminal.
    private static func harmless(_ json: String) -> String {
        var text = ""
        for scalar in json.unicodeScalars {
            switch scalar.value {
            case 0x7f..<0xa0, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    init(_ record: LoggedRecord, _ line: Span<UInt8>, isForMachines: Bool) {
        guard !isForMachines else {
            cells = [Self.harmless(Bytes.string(line, 0..<line.count))]
            return
        }
        let time = record.time.lowerBound..<record.time.lowerBound + 23
        var version = "-"
        if let deployment = record.deployment {
            version = Self.text(deployment.branch, line) + "/" + Self.text(deployment.name, line)
            version += "/\(deployment.version)"
        }
        cells = [
            Self.text(time, line) + "Z",
            record.code == nil ? String(record.status) : Self.text(record.code, line),
            Self.text(record.endpointName, line),
            Self.text(record.backendName, line),
            version,
            Self.text(record.assignment, line),
            "\(Milliseconds.text(record.durationMicroseconds)) ms",
            Self.subjects(record, line),
            Self.text(record.requestID, line) + (record.part.map { " part \($0)" } ?? ""),
        ]
    }

    private static func text(_ place: Range<Int>?, _ line: Span<UInt8>) -> String {
        guard let place else { return "-" }
        return Visible.line(LoggedRecord.text(place, in: line))
    }

    /// The first subjects, or how many rows there are if they have none.
    private static func subjects(_ record: LoggedRecord, _ line: Span<UInt8>) -> String {
        guard !record.subjects.isEmpty else {
            return record.rows == 1 ? "1 row" : "\(record.rows) rows"
        }
        var shown: [String] = []
        for place in record.subjects.prefix(3) {
            let subject = text(place, line)
            shown.append(subject.count > 40 ? "\(subject.prefix(40))…" : subject)
        }
        let rest = record.subjects.count - shown.count
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}

/// Writes records below each other; columns grow with what comes.
struct RecordLines {
    private let isForMachines: Bool
    private var widths: [Int] = []

    init(isForMachines: Bool) {
        self.isForMachines = isForMachines
    }

    /// Some records, each on a line; the first time with a head.
    mutating func text(_ records: [LogLine]) -> String {
        if isForMachines { return records.map { $0.cells[0] + "\n" }.joined() }
        var lines = records
        if widths.isEmpty {
            lines.insert(.heads, at: 0)
            widths = LogLine.heads.cells.map { _ in 0 }
        }
        for line in lines {
            for (column, cell) in line.cells.enumerated() {
                widths[column] = max(widths[column], cell.count)
            }
        }
        return lines.map { line in
            let cells = line.cells.enumerated().map { column, cell in
                column == widths.count - 1
                    ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }
            return cells.joined(separator: "  ") + "\n"
        }.joined()
    }
}

/// Durations, for people.
enum Milliseconds {
    /// `12.034`
    static func text(_ microseconds: UInt64) -> String {
        let rest = String(microseconds % 1000)
        return "\(microseconds / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}
