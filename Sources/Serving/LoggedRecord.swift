// A line of the request log, read back: what `RequestRecord` writes, as places in the line.

import Bytes
import JSON

/// What a record says. Texts are places in its line, between their quotes and escaped as there.
package struct LoggedRecord {
    /// A version that answered.
    package struct Deployment {
        package let branch: Range<Int>
        package let name: Range<Int>
        package let version: UInt64
    }

    /// `2026-11-21T03:00:00.123456Z`, always in this form: the order of times is that of the texts.
    package private(set) var time = 0..<0
    package private(set) var sequence: UInt64 = 0
    package private(set) var requestID = 0..<0
    /// Nil for a deployment that was called by its own name.
    package private(set) var endpointName: Range<Int>?
    /// The split; nil for a request that did not come as far.
    package private(set) var backendName: Range<Int>?
    /// Nil for a static value.
    package private(set) var deployment: Deployment?
    /// How the split was chosen.
    package private(set) var assignment: Range<Int>?
    package private(set) var status: UInt64 = 0
    /// The word for a failure.
    package private(set) var code: Range<Int>?
    package private(set) var durationMicroseconds: UInt64 = 0
    /// Which part of a record that was cut this is, from 1 on; nil when it was not cut.
    package private(set) var part: UInt64?
    /// How many rows the line has.
    package private(set) var rows = 0
    /// The subjects of those rows that have one.
    package private(set) var subjects: [Range<Int>] = []
    /// Whether the caller named the split.
    package private(set) var isForced = false

    package init() {}

    /// The text at a place, without escapes.
    package static func text(_ place: Range<Int>, in line: Span<UInt8>) -> String {
        String(decoding: JSONText.unescaped(line.extracting(place)), as: UTF8.self)
    }

    private enum Field: String, CaseIterable {
        case time, sequence, requestId, endpointName, backendName, deployment, assignment, status
        case code, durationMicroseconds, part, results

        /// Whether every record has it.
        var isRequired: Bool {
            switch self {
            case .time, .sequence, .requestId, .status, .durationMicroseconds, .results: true
            default: false
            }
        }
    }

    /// The fields by the length of their names.
    private static let fields: [[(name: [UInt8], field: Field)]] = {
        var table: [[(name: [UInt8], field: Field)]] = Array(repeating: [], count: 21)
        for field in Field.allCases {
            let name = Array(field.rawValue.utf8)
            table[name.count].append((name, field))
        }
        return table
    }()

    private static let branch = Array("branch".utf8)
    private static let name = Array("name".utf8)
    private static let version = Array("version".utf8)
    private static let subjectID = Array("subjectId".utf8)
    private static let forced = Array("forced".utf8)

    /// Reads a line that the document was parsed from. Whether it is a record: anybody may write
    /// lines into the file.
    mutating func read(_ document: JSONDocument, _ line: Span<UInt8>) -> Bool {
        guard document.entries[0].kind == .object else { return false }
        var found = 0
        clear()
        let end = Int(document.entries[0].next)
        var index = 1
        while index < end {
            let name = document.entries[index]
            let value = index + 1
            if let field = Self.field(name.contents, line) {
                guard read(field, value, document, line) else { return false }
                if field.isRequired { found += 1 }
            }
            index = Int(document.entries[value].next)
        }
        // No member stands twice in a document.
        return found == Self.fieldsRequired
    }

    private static let fieldsRequired = Field.allCases.count { $0.isRequired }

    private mutating func clear() {
        (endpointName, backendName, deployment, assignment, code) = (nil, nil, nil, nil, nil)
        (part, rows, isForced) = (nil, 0, false)
        subjects.removeAll(keepingCapacity: true)
    }

    private static func field(_ name: Range<Int>, _ line: Span<UInt8>) -> Field? {
        guard name.count < fields.count else { return nil }
        for candidate in fields[name.count] where Bytes.equal(line, name, candidate.name) {
            return candidate.field
        }
        return nil
    }

    /// Takes a member's value over. Whether it is of the kind that a record has there.
    private mutating func read(
        _ field: Field,
        _ value: Int,
        _ document: JSONDocument,
        _ line: Span<UInt8>
    ) -> Bool {
        let entry = document.entries[value]
        switch field {
        case .sequence, .status, .durationMicroseconds, .part:
            guard let number = Self.number(entry, line) else { return false }
            switch field {
            case .sequence: sequence = number
            case .status: status = number
            case .part: part = number
            default: durationMicroseconds = number
            }
            return true
        case .deployment:
            deployment = Self.deployment(value, document, line)
            return deployment != nil
        case .results:
            return readRows(value, document, line)
        default:
            guard entry.kind == .string else { return false }
            let place = entry.contents
            switch field {
            case .time:
                time = place
                return Self.isTime(line.extracting(place))
            case .requestId: requestID = place
            case .endpointName: endpointName = place
            case .backendName: backendName = place
            case .code: code = place
            default:
                assignment = place
                isForced = Bytes.equal(line, place, Self.forced)
            }
            return true
        }
    }

    private static let timeForm = Array("dddd-dd-ddTdd:dd:dd.ddddddZ".utf8)

    private static func isTime(_ text: Span<UInt8>) -> Bool {
        guard text.count == timeForm.count else { return false }
        for index in text.indices {
            let isDigit = text[index] >= 48 && text[index] <= 57
            let wantsDigit = timeForm[index] == UInt8(ascii: "d")
            guard isDigit == wantsDigit, wantsDigit || text[index] == timeForm[index]
            else { return false }
        }
        return true
    }

    private static func number(_ entry: JSONEntry, _ line: Span<UInt8>) -> UInt64? {
        guard entry.kind == .number, entry.range.count <= 19 else { return nil }
        var number: UInt64 = 0
        for index in entry.range {
            guard line[index] >= 48, line[index] <= 57 else { return nil }
            number = number * 10 + UInt64(line[index] - 48)
        }
        return number
    }

    private static func deployment(
        _ value: Int,
        _ document: JSONDocument,
        _ line: Span<UInt8>
    ) -> Deployment? {
        guard let branch = document.member(branch, of: value, in: line),
            let name = document.member(name, of: value, in: line),
            let version = document.member(version, of: value, in: line),
            document.entries[branch].kind == .string, document.entries[name].kind == .string,
            let number = number(document.entries[version], line)
        else { return nil }
        return Deployment(
            branch: document.entries[branch].contents,
            name: document.entries[name].contents,
            version: number
        )
    }

    /// Counts the rows and finds their subjects.
    private mutating func readRows(
        _ value: Int,
        _ document: JSONDocument,
        _ line: Span<UInt8>
    ) -> Bool {
        guard document.entries[value].kind == .array else { return false }
        let end = Int(document.entries[value].next)
        var index = value + 1
        while index < end {
            guard document.entries[index].kind == .object else { return false }
            rows += 1
            if let subject = document.member(Self.subjectID, of: index, in: line) {
                guard document.entries[subject].kind == .string else { return false }
                subjects.append(document.entries[subject].contents)
            }
            index = Int(document.entries[index].next)
        }
        return true
    }
}
