// What a row comes to whose split cannot answer, where its endpoint has a fallback.

import Endpoints
import Platform
import Surfaces

extension Predictor {
    /// Whether rows that fail may go to a fallback, so that the others are worth going on with.
    var mayFallBack: Bool {
        guard let fallback = facts.endpoint?.fallback else { return false }
        return usedSplits.contains { $0 !== fallback }
    }

    /// Lets the fallback of the endpoint answer a row, once; throws why it does not.
    func fallBack(_ row: Int, _ failure: Failure, _ content: Span<UInt8>) throws(Failure) {
        let used = outcome.splits[outcome.rows[row].split]
        let split = usedSplits[outcome.rows[row].split]
        // One split answers all rows of a call that wants that: some of them fall back never.
        guard let fallback = facts.endpoint?.fallback, fallback !== split,
            !call.isOneArm || call.rows.count == 1, used.assignment != .forced,
            used.assignment != .fallback,
            mayAnswer(fallback, instead: failure)
        else { throw failure }
        split.metrics.errors.count(failure.code)
        outcome.reassign(row: row, to: fallback.text, intended: split.name)
        if outcome.splits.count > usedSplits.count { usedSplits.append(fallback) }
        hasFallenBack = true
        let arguments = call.arguments
        try answer(row, by: fallback, arguments.span.extracting(call.rows[row].arguments), content)
    }

    /// Whether a failure is one of the split, and there is time left for another one.
    func mayAnswer(_ fallback: PreparedSplit, instead failure: Failure) -> Bool {
        switch failure.code {
        case .modelFailed, .modelCrashed, .deploymentQuarantined: break
        case .deadlineExceeded: break
        // A model that is being loaded is waited for, as long as there is time.
        case .notReady where !waitsForModel: break
        case .notReady where MonotonicClock.now() >= deadline: break
        default: return false
        }
        if case .value = fallback.backend { return true }
        return MonotonicClock.now() < deadline
    }

    /// Forgets splits that answer nothing, since all their rows fell back.
    func settleFallbacks() {
        guard hasFallenBack else { return }
        usedSplits = outcome.dropUnused().map { usedSplits[$0] }
    }

    /// Lets the fallback answer the rows of a part whose time is over; throws why it does not.
    func expire(part: Int, _ failure: Failure, _ content: Span<UInt8>) throws(Failure) {
        if facts.surface == .openInference {
            outcome.resume(row: parts[part].rows[0])
            return try fallBack(fromTensors: failure, content)
        }
        for row in parts[part].rows {
            outcome.resume(row: row)
            try fallBack(row, failure, content)
        }
    }
}
