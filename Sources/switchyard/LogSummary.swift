// The request log in numbers, so that two splits can be held beside each other.
//
// What it keeps does not grow with the bytes of the log: four bytes for each request's duration,
// and a hash of 64 bits for each subject. Two subjects of one hash count as one: among a million
// subjects of a split the chance that there are such two is one in 37 million. The hash is seeded
// by each process, so nobody can choose such subjects.

import Bytes
import JSON
import Serving

/// Sums of records by endpoint, split and version.
struct LogSummary {
    private struct Group {
        let endpoint: String?
        let split: String?
        let branch: String?
        let name: String?
        let version: UInt64?

        var requests = 0
        var rows = 0
        var errors = 0
        var forced = 0
        var subjects: Set<UInt64> = []
        var microseconds: [UInt32] = []
        /// The times of the first and the last record, in the form that records have.
        var from: [UInt8] = []
        var to: [UInt8] = []
    }

    private var groups: [Group] = []
    /// Where the group of a key is; the key is the texts of the record.
    private var places: [[UInt8]: Int] = [:]
    private var key: [UInt8] = []
    private var lastKey: [UInt8] = []
    private var lastPlace = 0

    // MARK: Adding

    /// Adds a record, or a part of one: only the first part is a request.
    mutating func add(_ record: LoggedRecord, _ line: Span<UInt8>) {
        let place = place(record, line)
        groups[place].rows += record.rows
        for subject in record.subjects {
            groups[place].subjects.insert(Self.hash(line.extracting(subject)))
        }
        addTime(line.extracting(record.time), place)
        guard record.part ?? 1 == 1 else { return }
        groups[place].requests += 1
        if record.status != 200 { groups[place].errors += 1 }
        if record.isForced { groups[place].forced += 1 }
        groups[place].microseconds.append(UInt32(clamping: record.durationMicroseconds))
    }

    /// The record's group.
    private mutating func place(_ record: LoggedRecord, _ line: Span<UInt8>) -> Int {
        key.removeAll(keepingCapacity: true)
        // No text has the byte 0 in it, and none is empty.
        if let endpoint = record.endpointName { key.append(line.extracting(endpoint)) }
        key.append(0)
        if let split = record.backendName { key.append(line.extracting(split)) }
        key.append(0)
        if let deployment = record.deployment {
            key.append(line.extracting(deployment.branch))
            key.append(0)
            key.append(line.extracting(deployment.name))
            key.append(0)
            key.append(decimal: deployment.version)
        }
        if key == lastKey, !groups.isEmpty { return lastPlace }
        let place = places[key] ?? begin(record, line)
        (lastKey, lastPlace) = (key, place)
        return place
    }

    private mutating func begin(_ record: LoggedRecord, _ line: Span<UInt8>) -> Int {
        groups.append(
            Group(
                endpoint: Self.text(record.endpointName, line),
                split: Self.text(record.backendName, line),
                branch: Self.text(record.deployment?.branch, line),
                name: Self.text(record.deployment?.name, line),
                version: record.deployment?.version
            )
        )
        places[key] = groups.count - 1
        return groups.count - 1
    }

    /// Records of several loops are only nearly in the order of their times.
    private mutating func addTime(_ time: Span<UInt8>, _ place: Int) {
        if groups[place].from.isEmpty || LogTime.isBefore(time, groups[place].from) {
            groups[place].from = []
            groups[place].from.append(time)
        }
        if groups[place].to.isEmpty || !LogTime.isBefore(time, groups[place].to) {
            groups[place].to.removeAll(keepingCapacity: true)
            groups[place].to.append(time)
        }
    }

    private static func text(_ place: Range<Int>?, _ line: Span<UInt8>) -> String? {
        guard let place else { return nil }
        return LoggedRecord.text(place, in: line)
    }

    private static func hash(_ subject: Span<UInt8>) -> UInt64 {
        var hasher = Hasher()
        var word: UInt64 = 0
        for index in subject.indices {
            word = word << 8 | UInt64(subject[index])
            if index & 7 == 7 { hasher.combine(word) }
        }
        hasher.combine(word)
        hasher.combine(subject.count)
        return UInt64(truncatingIfNeeded: hasher.finalize())
    }

    // MARK: Results

    /// A group's numbers, reckoned once at the end.
    private struct Row {
        let group: Group
        /// Its part of the requests that nobody forced to a split; nil without such.
        let share: Double?
        /// In microseconds; nil when all that is there of a request is a later part.
        let percentiles: [UInt32?]
    }

    private static let percents = [50, 95, 99]

    /// The rows, sorted by what they are about; those without an endpoint or a split come last.
    private func rows() -> [Row] {
        var unforced: [String: Int] = [:]
        for group in groups {
            guard let endpoint = group.endpoint, group.split != nil else { continue }
            unforced[endpoint, default: 0] += group.requests - group.forced
        }
        return groups.sorted { Self.isBefore($0, $1) }.map { group in
            var share: Double?
            if let endpoint = group.endpoint, group.split != nil,
                let all = unforced[endpoint], all > 0
            {
                share = Double(group.requests - group.forced) / Double(all)
            }
            let sorted = group.microseconds.sorted()
            let percentiles = Self.percents.map { percent in
                sorted.isEmpty ? nil : sorted[(sorted.count * percent + 99) / 100 - 1]
            }
            return Row(group: group, share: share, percentiles: percentiles)
        }
    }

    private static func isBefore(_ one: Group, _ two: Group) -> Bool {
        let last = "\u{10ffff}"
        for texts in [
            (one.endpoint, two.endpoint), (one.split, two.split), (one.branch, two.branch),
            (one.name, two.name),
        ] where texts.0 != texts.1 {
            return texts.0 ?? last < texts.1 ?? last
        }
        return one.version ?? 0 < two.version ?? 0
    }

    /// The table for people.
    func text() -> String {
        guard let (from, to) = span() else { return "no records\n" }
        var table = [
            [
                "ENDPOINT", "SPLIT", "VERSION", "REQUESTS", "SHARE", "FORCED", "ROWS", "SUBJECTS",
                "ERRORS", "ERROR SHARE", "P50 MS", "P95 MS", "P99 MS",
            ]
        ]
        for row in rows() {
            let group = row.group
            let errors = Double(group.errors) / Double(max(group.requests, 1))
            table.append(
                [
                    group.endpoint ?? "-", group.split ?? "-", Self.version(group),
                    String(group.requests), row.share.map { Share.text($0) } ?? "-",
                    String(group.forced), String(group.rows), String(group.subjects.count),
                    String(group.errors), Share.text(errors),
                ].map { Visible.line($0) }
                    + row.percentiles.map { $0.map { Milliseconds.text(UInt64($0)) } ?? "-" }
            )
        }
        return "records from \(from) to \(to)\n" + TextTable.text(table)
    }

    private static func version(_ group: Group) -> String {
        guard let branch = group.branch, let name = group.name, let version = group.version else {
            return "-"
        }
        return "\(branch)/\(name)/\(version)"
    }

    /// When the first and the last of all records were written.
    private func span() -> (from: String, to: String)? {
        let texts = groups.map {
            (String(decoding: $0.from, as: UTF8.self), String(decoding: $0.to, as: UTF8.self))
        }
        guard let from = texts.map(\.0).min(), let to = texts.map(\.1).max() else { return nil }
        return (from, to)
    }

    /// The same as a JSON array; a member that a row has nothing for is null.
    func json() -> String {
        let text = { (text: String?) in text.map { JSONValue.string($0) } ?? .null }
        let number = { (number: Int) in JSONValue.number(String(number)) }
        let values = rows().map { row in
            let group = row.group
            var deployment = JSONValue.null
            if let version = group.version {
                deployment = .object([
                    .init("branch", text(group.branch)), .init("name", text(group.name)),
                    .init("version", .number(String(version))),
                ])
            }
            var members: [JSONValue.Member] = [
                .init("endpointName", text(group.endpoint)),
                .init("backendName", text(group.split)), .init("deployment", deployment),
                .init("requests", number(group.requests)), .init("rows", number(group.rows)),
                .init("subjects", number(group.subjects.count)),
                .init("errors", number(group.errors)), .init("forced", number(group.forced)),
                .init("share", row.share.map { .number("\($0)") } ?? .null),
            ]
            for (percent, microseconds) in zip(Self.percents, row.percentiles) {
                let value = microseconds.map { JSONValue.number(String($0)) } ?? .null
                members.append(.init("p\(percent)Microseconds", value))
            }
            members += [
                .init("from", .string(String(decoding: group.from, as: UTF8.self))),
                .init("to", .string(String(decoding: group.to, as: UTF8.self))),
            ]
            return JSONValue.object(members)
        }
        return JSONValue.array(values).text + "\n"
    }
}
