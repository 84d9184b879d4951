// What a worker has died of, as the one after it sees it.

import Bytes
package import Platform
import Surfaces

/// The end of a worker.
package struct Death: Sendable {
    /// Its number among the processes.
    package let process: Int32
    /// How the process ended; nil: it has not quite yet.
    package let end: ProcessEnd?
    /// When it was noticed, by the wall clock.
    package let time: WallTime
    /// What it has written down of its end.
    package let fault: WorkerBoard.Fault?
    /// What the thread of the fault was doing.
    package let note: WorkerBoard.Note?
    /// Whose code it was.
    package let model: WorkerBoard.Model?
    /// The request that was found guilty: slot and key.
    package let guilty: (slot: Int, key: UInt64)?

    /// Puts together what a dead worker has left.
    package init(
        process: Int32,
        end: ProcessEnd?,
        time: WallTime,
        board: WorkerBoard,
        guilty: (slot: Int, key: UInt64)?
    ) {
        self.process = process
        self.end = end
        self.time = time
        self.guilty = guilty
        fault = board.fault
        note = fault?.note.flatMap { board.note($0) }
        model =
            note.flatMap { board.model($0.model) }
            ?? fault.flatMap { Self.owner(of: $0, board) }
    }

    /// Whose code a thread was in that has no note: that of the innermost plugin on its stack.
    private static func owner(
        of fault: WorkerBoard.Fault,
        _ board: WorkerBoard
    ) -> WorkerBoard.Model? {
        let paths = Backtrace(fault).paths
        return paths.lazy.compactMap { path in
            board.model(where: { path.hasSuffix("/\($0.build).so") })
        }.first
    }

    /// What happened, as the end of a sentence: `ended by signal 11 (Segmentation fault)`.
    package var cause: String {
        switch fault?.kind {
        case .signal: "was ended by signal \(ProcessEnd.named(fault?.signal ?? 0))"
        case .exit: "called exit(\(fault?.status ?? 0))"
        case .hang: "did not come back"
        case nil: end.map { "\($0)" } ?? "was killed"
        }
    }
}

/// What is said to a request whose call has ended a worker, instead of asking the model again.
final class CallVerdict {
    /// `branch/name/version` of the model; nil: whichever is asked first.
    let model: String?
    let failure: Failure

    init(model: String?, failure: Failure) {
        self.model = model
        self.failure = failure
    }

    /// Throws the verdict if it is about this model.
    func refuse(_ asked: ServedModel) throws(Failure) {
        guard let model else { throw failure }
        if ModelShelf.key(asked.version) == model { throw failure }
    }
}

extension ServingLoop {
    /// Tells the report of a death which request is guilty of it.
    func noteGuilty(_ exchange: Exchange, _ content: Span<UInt8>) {
        var body: [UInt8]?
        if state.configuration.logsPayloads {
            var copy: [UInt8] = []
            copy.append(content.extracting(first: min(content.count, 1 << 16)))
            body = copy
        }
        state.setGuilty(
            exchange.number.key,
            CrashReports.Request(
                requestID: predictor.requestID.withSpan { Bytes.string($0, 0..<$0.count) },
                body: body
            )
        )
    }

    /// Takes note of what was decided of a request that was executed when a worker died.
    func takeMark(of exchange: Exchange) {
        let slot = state.region.slot(exchange.number.slot)
        let verdict = slot.verdict
        predictor.facts.isRerun = verdict == .innocent
        if verdict == .innocent { return }
        predictor.verdict = self.verdict(verdict, of: exchange, isFirst: slot.faults < 2)
    }

    private func verdict(
        _ verdict: SlotVerdict,
        of exchange: Exchange,
        isFirst: Bool
    ) -> CallVerdict {
        let death = state.death
        let key = exchange.number.key
        let isOurs = death?.note?.requests.contains { $0.key == key } ?? false
        let model = isOurs ? death?.model.map { "\($0.deployment)/\($0.version)" } : nil
        let name = model.map { "the model \($0)" } ?? "a model"
        // After a second one, the fallback's, nothing more is tried.
        switch verdict {
        case .hung:
            let time = (death?.model?.hangNanoseconds ?? 0) / 1_000_000
            let failure = Failure(
                .deadlineExceeded,
                "\(name) had not come back after \(time) ms (hangAfter), and was ended; this "
                    + "request is not given to it again"
            )
            return CallVerdict(model: isFirst ? model : nil, failure: failure)
        default:
            let cause = isOurs ? death?.cause ?? "crashed" : "crashed"
            let failure = Failure(
                .modelCrashed,
                "\(name) \(cause) while it answered this request, which is not given to it again"
            )
            return CallVerdict(model: isFirst ? model : nil, failure: failure)
        }
    }
}
