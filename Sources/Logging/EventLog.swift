// The event log: what happened to the host, one JSON line an event, on standard error.
//
// It is for people and their tools, not for requests: those have a log of their own. A line is
// written with one call, so lines of several threads do not mix.

import Bytes
import JSON
package import Platform

/// How much an event matters.
package enum LogLevel: String, Sendable, Comparable, CaseIterable {
    case debug, info, warning, error

    package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }
}

/// A named fact of an event.
package enum LogValue: Sendable {
    case text(String)
    case number(Int)
    case boolean(Bool)
}

/// Writes events.
package struct EventLog: Sendable {
    private let minimum: LogLevel
    private let sink: @Sendable (String) -> Void

    /// A log that drops what is below `minimum` and gives each line, its end included, to `sink`.
    package init(
        minimum: LogLevel = .info,
        sink: @escaping @Sendable (String) -> Void = { EventQueue.shared.add($0) }
    ) {
        self.minimum = minimum
        self.sink = sink
    }

    /// Writes one event.
    ///
    /// - Parameters:
    ///   - level: how much it matters.
    ///   - event: a constant name with dots, such as `plugin.opened`.
    ///   - message: a sentence for people.
    ///   - fields: the facts, for tools.
    package func write(
        _ level: LogLevel,
        _ event: String,
        _ message: String,
        _ fields: KeyValuePairs<String, LogValue> = [:]
    ) {
        guard level >= minimum else { return }
        var line: [UInt8] = []
        line.append("{\"time\":\"")
        Timestamp.append(.now(), to: &line)
        line.append("\",\"level\":\"\(level.rawValue)\",\"event\":")
        line.append(jsonString: event)
        line.append(",\"message\":")
        line.append(jsonString: message)
        for (name, value) in fields {
            line.append(UInt8(ascii: ","))
            line.append(jsonString: name)
            line.append(UInt8(ascii: ":"))
            switch value {
            case .text(let text): line.append(jsonString: text)
            case .number(let number): line.append(String(number))
            case .boolean(let value): line.append(value ? "true" : "false")
            }
        }
        line.append("}\n")
        sink(String(decoding: line, as: UTF8.self))
    }
}

/// Moments as text.
package enum Timestamp {
    /// Appends `2026-11-21T03:00:00.123456Z`.
    package static func append(_ time: WallTime, to bytes: inout [UInt8]) {
        let parts = time.parts
        appendSecond(parts, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        bytes.append(decimal: UInt64(max(0, time.microseconds) % 1_000_000), width: 6)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// Appends `2026-11-21T03:00:00`.
    package static func appendSecond(_ parts: CalendarParts, to bytes: inout [UInt8]) {
        bytes.append(decimal: UInt64(parts.year), width: 4)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(decimal: UInt64(parts.month), width: 2)
        bytes.append(UInt8(ascii: "-"))
        bytes.append(decimal: UInt64(parts.day), width: 2)
        bytes.append(UInt8(ascii: "T"))
        bytes.append(decimal: UInt64(parts.hour), width: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(decimal: UInt64(parts.minute), width: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(decimal: UInt64(parts.second), width: 2)
    }

    /// `2026-11-21T03:00:00.123456Z`
    package static func text(_ time: WallTime) -> String {
        var bytes: [UInt8] = []
        append(time, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
