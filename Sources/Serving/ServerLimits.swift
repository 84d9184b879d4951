// How much of everything a host takes: one table, from which `--limit` and the help are made.

package import HTTP
import Platform
package import Surfaces

/// The limits of a host.
package struct ServerLimits: Sendable {
    /// Limits of requests as bytes.
    package var http = HTTPLimits()
    /// Limits of requests as JSON.
    package var call = CallLimits()
    /// Nanoseconds to the complete head of a request, from its first byte on.
    package var headNanoseconds: UInt64 = 10_000_000_000
    /// Nanoseconds without a byte of a body.
    package var bodyNanoseconds: UInt64 = 10_000_000_000
    /// Bytes a second of a body, over each half minute.
    package var bodyRate = 1024
    /// Nanoseconds for a whole body, however quickly it comes.
    package var bodyTotalNanoseconds: UInt64 = 600_000_000_000
    /// Nanoseconds without a byte of an answer being taken.
    package var writeNanoseconds: UInt64 = 10_000_000_000
    /// Nanoseconds that a connection may be idle.
    package var idleNanoseconds: UInt64 = 75_000_000_000
    /// Connections at once; what the limit of open files leaves may be less.
    package var connections = 16384
    /// Bytes of requests and answers that may lie on the heap at once.
    package var bufferedBytes = CurrentProcess.memoryBytes / 4
    /// Nanoseconds that trying a plugin may take.
    package var loadNanoseconds: UInt64 = 30_000_000_000
    /// Nanoseconds that a prediction may take; a model is told when they end.
    package var predictionNanoseconds: UInt64 = 60_000_000_000
    /// Requests of one connection.
    package var requestsPerConnection = Int.max
    /// Connections at once from one address.
    package var connectionsPerAddress = Int.max

    package init() {}
}

/// One limit by its name, as `--limit NAME=VALUE` sets it.
package struct NamedLimit: Sendable {
    /// What a limit counts.
    package enum Unit: Sendable { case bytes, count, time }

    package let name: String
    /// What is limited.
    package let what: String
    /// What somebody gets who passes it.
    package let pastIt: String
    let unit: Unit
    let range: ClosedRange<Int>
    private let get: @Sendable (ServerLimits) -> Int
    private let set: @Sendable (inout ServerLimits, Int) -> Void

    /// Every limit.
    package static let all: [NamedLimit] = [
        bytes("request-line", "request line", "414", 64...1 << 20, \.http.requestLineBytes),
        bytes("header-block", "header fields", "431", 64...1 << 20, \.http.headerBytes),
        count("header-count", "header fields", "431", 1...10_000, \.http.headerCount),
        bytes("body", "body on the wire", "413", 0...1 << 30, \.http.bodyBytes),
        count("json-depth", "lists and objects inside each other", "400", 1...1000, \.call.depth),
        count("batch-rows", "rows of a batch", "400", 1...10_000_000, \.call.rows),
        count("arguments", "arguments of a row", "400", 1...10_000, \.call.arguments),
        time("header-time", "to the complete header", "408", \.headNanoseconds),
        time("body-time", "without a byte of the body", "408", \.bodyNanoseconds),
        bytes("body-rate", "body a second, over 30 s", "408", 0...1 << 30, \.bodyRate),
        time("body-total-time", "for a whole body", "408", \.bodyTotalNanoseconds),
        time("write-time", "without a byte of the answer taken", "close", \.writeNanoseconds),
        time("idle-time", "without a request", "close", \.idleNanoseconds),
        count("connections", "connections", "accepting pauses", 1...1 << 20, \.connections),
        bytes("buffered", "large requests and answers", "503", 0...Int.max, \.bufferedBytes),
        time("deadline", "of a prediction", "408", \.predictionNanoseconds),
        time("plugin-load", "trying a plugin", "refused", \.loadNanoseconds),
        count(
            "connection-requests",
            "requests of a connection",
            "close",
            1...Int.max,
            \.requestsPerConnection
        ),
        count(
            "address-connections",
            "connections of an address",
            "close",
            1...Int.max,
            \.connectionsPerAddress
        ),
    ]

    private typealias Path<Value> = WritableKeyPath<ServerLimits, Value> & Sendable

    private static func bytes(
        _ name: String,
        _ what: String,
        _ pastIt: String,
        _ range: ClosedRange<Int>,
        _ path: any Path<Int>
    ) -> NamedLimit {
        number(.bytes, name, "bytes of \(what)", pastIt, range, path)
    }

    private static func count(
        _ name: String,
        _ what: String,
        _ pastIt: String,
        _ range: ClosedRange<Int>,
        _ path: any Path<Int>
    ) -> NamedLimit {
        number(.count, name, what, pastIt, range, path)
    }

    private static func number(
        _ unit: Unit,
        _ name: String,
        _ what: String,
        _ pastIt: String,
        _ range: ClosedRange<Int>,
        _ path: any Path<Int>
    ) -> NamedLimit {
        NamedLimit(
            name: name,
            what: what,
            pastIt: pastIt,
            unit: unit,
            range: range,
            get: { $0[keyPath: path] },
            set: { $0[keyPath: path] = $1 }
        )
    }

    /// A limit of a time, which is set in milliseconds and kept in nanoseconds.
    private static func time(
        _ name: String,
        _ what: String,
        _ pastIt: String,
        _ path: any Path<UInt64>
    ) -> NamedLimit {
        NamedLimit(
            name: name,
            what: "time \(what)",
            pastIt: pastIt,
            unit: .time,
            range: 1...86_400_000,
            get: { Int($0[keyPath: path] / 1_000_000) },
            set: { $0[keyPath: path] = UInt64($1) * 1_000_000 }
        )
    }

    /// The text of the value that it has.
    package func text(_ limits: ServerLimits) -> String {
        let value = get(limits)
        if value == Int.max { return "none" }
        let units: [(String, Int)] =
            switch unit {
            case .count: []
            case .bytes: [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
            case .time: [("s", 1000)]
            }
        for (name, size) in units where value >= size && value % size == 0 {
            return "\(value / size)\(name)"
        }
        return unit == .time ? "\(value)ms" : String(value)
    }

    /// Sets a limit from `NAME=VALUE`; the error is a sentence.
    package static func set(_ text: String, in limits: inout ServerLimits) throws(LimitError) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            .map(String.init)
        guard parts.count == 2, let limit = all.first(where: { $0.name == parts[0] }) else {
            let names = all.map(\.name).joined(separator: ", ")
            throw LimitError("'\(text)': wanted NAME=VALUE with a name of \(names)")
        }
        guard let value = limit.value(parts[1]), limit.range.contains(value) else {
            let wanted =
                switch limit.unit {
                case .count: "a number"
                case .bytes: "a number of bytes, or one with KiB, MiB or GiB behind it,"
                case .time: "a time such as 500ms, 10s or 2min"
                }
            let (low, high) = (limit.range.lowerBound, limit.range.upperBound)
            let range = high == Int.max ? "from \(low) on, or none" : "from \(low) to \(high)"
            let unit = limit.unit == .time ? " ms" : ""
            throw LimitError("'\(text)': wanted \(wanted) \(range)\(unit)")
        }
        limit.set(&limits, value)
    }

    private func value(_ text: String) -> Int? {
        if text == "none" { return range.upperBound == Int.max ? Int.max : nil }
        let digits = text.prefix { $0 >= "0" && $0 <= "9" }
        let units: [String: Int] =
            switch unit {
            case .count: ["": 1]
            case .bytes: ["": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30]
            case .time: ["ms": 1, "s": 1000, "min": 60_000]
            }
        guard let number = Int(digits), let size = units[String(text.dropFirst(digits.count))]
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: size)
        return overflow ? nil : product
    }
}

/// Why a limit cannot be set.
package struct LimitError: Error, CustomStringConvertible {
    package let description: String
    init(_ description: String) { self.description = description }
}
