// Where and how a deployment's calls run: what `deployment.yaml` says under `execution`, and what
// comes of it together with what the model declares.

package import Endpoints
import YAML

/// What `deployment.yaml` says; nil where it says nothing.
package struct ExecutionSettings: Equatable, Sendable {
    /// Where calls run.
    package var mode: ModelDescription.Execution?
    /// Threads of the pool.
    package var threads: Int?
    /// Requests that may wait for a thread.
    package var queue: Int?
    /// Milliseconds that a prediction may take.
    package var deadlineMilliseconds: Int?
    /// Rows of one `predict_batch`.
    package var batch: Int?
    /// Milliseconds after which a call counts as stuck.
    package var hangMilliseconds: Int?

    package init() {}

    private static let keys = ["mode", "threads", "queue", "deadline", "batch", "hangAfter"]

    /// Nanoseconds after which a call counts as stuck.
    package var hangNanoseconds: UInt64 { UInt64(hangMilliseconds ?? 60_000) * 1_000_000 }

    /// Reads the mapping `execution`.
    init(_ node: YAMLNode) throws(YAMLError) {
        guard let pairs = node.pairs else {
            throw YAMLError(
                node.mark,
                "'execution' is \(node.kindInWords); wanted a mapping",
                hint: "for example 'execution: {mode: pool, threads: 2}'"
            )
        }
        for pair in pairs {
            switch pair.key {
            case "mode":
                mode = pair.value.scalar.flatMap { ModelDescription.Execution(rawValue: $0) }
                guard mode != nil else {
                    throw YAMLError(
                        pair.value.mark,
                        "'mode' is \(pair.value.kindInWords); wanted inline or pool"
                    )
                }
            case "threads": threads = try Self.number(pair, 1...256)
            case "queue": queue = try Self.number(pair, 0...1_000_000)
            case "batch": batch = try Self.number(pair, 1...1024)
            case "deadline": deadlineMilliseconds = try Self.time(pair)
            case "hangAfter": hangMilliseconds = try Self.time(pair)
            default:
                throw YAMLError(
                    pair.keyMark,
                    "unknown key '\(pair.key)'",
                    hint: "execution has: \(Self.keys.joined(separator: ", "))"
                )
            }
        }
    }

    private static func number(
        _ pair: YAMLNode.Pair,
        _ range: ClosedRange<Int>
    ) throws(YAMLError) -> Int {
        guard case .scalar(let text, isPlain: true) = pair.value.content, let number = Int(text),
            range.contains(number), String(number) == text
        else {
            throw YAMLError(
                pair.value.mark,
                "'\(pair.key)' is \(pair.value.kindInWords); wanted a number from "
                    + "\(range.lowerBound) to \(range.upperBound)"
            )
        }
        return number
    }

    /// A time such as `500ms`, `5s` or `2min`, in milliseconds.
    private static func time(_ pair: YAMLNode.Pair) throws(YAMLError) -> Int {
        let text = pair.value.scalar ?? ""
        let digits = text.prefix { $0 >= "0" && $0 <= "9" }
        let units = ["ms": 1, "s": 1000, "min": 60_000]
        let size = units[String(text.dropFirst(digits.count))] ?? 0
        guard let number = Int(digits), number > 0, size > 0, number <= 86_400_000 / size else {
            throw YAMLError(
                pair.value.mark,
                "'\(pair.key)' is \(pair.value.kindInWords); wanted a time such as 500ms, 5s or "
                    + "2min, at most a day"
            )
        }
        return number * size
    }

    /// The lines of `deployment.yaml`.
    var lines: [String] {
        let members = [
            mode.map { "  mode: \($0.rawValue)" }, threads.map { "  threads: \($0)" },
            queue.map { "  queue: \($0)" }, deadlineMilliseconds.map { "  deadline: \($0)ms" },
            batch.map { "  batch: \($0)" },
            hangMilliseconds.map { "  hangAfter: \($0)ms" },
        ].compactMap { $0 }
        return members.isEmpty ? [] : ["execution:"] + members
    }
}

/// How the calls of one version run.
package struct Execution: Equatable, Sendable {
    /// Where they run before one of them has been slow.
    package let mode: ModelDescription.Execution
    /// Threads of its pool.
    package let threads: Int
    /// Requests that may wait for one of them.
    package let queue: Int
    /// Nanoseconds that a prediction may take; nil: what the host allows.
    package let deadlineNanoseconds: UInt64?
    /// Rows of one `predict_batch`.
    package let batch: Int
    /// Nanoseconds after which a call counts as stuck.
    package let hangNanoseconds: UInt64
    /// What of `deployment.yaml` cannot be, as a sentence; nil when all of it counts.
    package let ignored: String?

    /// Requests that may wait where nothing else is said.
    package static let queueDefault = 128
    /// Rows of one `predict_batch` where nothing else is said.
    package static let batchDefault = 64

    /// What comes of a model's word and its deployment's.
    ///
    /// - Parameters:
    ///   - description: what the model says of itself.
    ///   - settings: what `deployment.yaml` says.
    ///   - threads: how many threads a pool has that nobody says a number for.
    package init(
        _ description: ModelDescription,
        _ settings: ExecutionSettings = ExecutionSettings(),
        threads: Int = 1
    ) {
        let isSerial = description.threading == .serial
        if isSerial, settings.mode == .inline || settings.threads ?? 1 > 1 {
            let found = settings.mode == .inline ? "'mode: inline'" : "several threads"
            ignored =
                "found \(found) for a model that declares threading 'serial'; it has a pool of one "
                + "thread; take that out of deployment.yaml"
        } else {
            ignored = nil
        }
        mode = isSerial ? .pool : settings.mode ?? description.execution
        self.threads = isSerial ? 1 : settings.threads ?? threads
        queue = settings.queue ?? Self.queueDefault
        deadlineNanoseconds = settings.deadlineMilliseconds.map { UInt64($0) * 1_000_000 }
        batch = settings.batch ?? Self.batchDefault
        hangNanoseconds = settings.hangNanoseconds
    }
}
