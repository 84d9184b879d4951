// Which split a row goes to: the one that the caller names, the one of its subject, or a coin's.

import Bytes
import Endpoints
import JSON
import Platform
import Surfaces

extension Predictor {
    /// The index of the split that the caller names, if there is one.
    func forcedSplit(
        _ target: PreparedTarget,
        _ forced: Range<Int>?,
        _ text: Span<UInt8>
    ) throws(Failure) -> Int? {
        guard let forced else { return nil }
        guard allowsForcing else { throw Self.forcingIsOff }
        let asked = Bytes.string(text, forced.prefix(Names.lengthMaximum))
        guard case .endpoint(let endpoint) = target else {
            throw Failure(
                .backendNotFound,
                "a deployment that is called by its own name has no split '\(asked)'"
            )
        }
        guard let index = endpoint.split(named: text, forced) else {
            throw Failure(.backendNotFound, "the endpoint has no split '\(asked)'")
        }
        return index
    }

    static let forcingIsOff = Failure(.badRequest, "this host was started with --no-force")

    /// Chooses the split of a row and notes it.
    func choose(
        _ endpoint: PreparedEndpoint,
        _ forced: Int?,
        _ arguments: Span<Int>,
        _ content: Span<UInt8>
    ) throws(Failure) -> PreparedSplit {
        // One split for the whole call: it was chosen with the first row.
        if let arm {
            assign(arm)
            return arm.split
        }
        var hasSubject = false
        if let index = call.subject {
            hasSubject = try takeSubject(index, content)
        } else if let key = endpoint.subjectKey {
            hasSubject = try findSubject(
                key,
                endpoint.subjectName,
                arguments,
                content
            )
        }
        let (index, assignment) = pick(
            endpoint,
            forced,
            hasSubject: hasSubject,
            wantsSubject: endpoint.subjectKey != nil || call.subject != nil
        )
        let split = endpoint.splits[index]
        if call.isOneArm {
            arm = Arm(split: split, assignment: assignment, hasSubject: hasSubject)
        }
        assign(split, assignment, subject: hasSubject ? subject : nil)
        return split
    }

    /// Chooses a split for a subject, which has been read, or for none.
    @inline(__always)
    func pick(
        _ endpoint: PreparedEndpoint,
        _ forced: Int?,
        hasSubject: Bool,
        wantsSubject: Bool
    ) -> (Int, AssignmentKind) {
        if let forced { return (forced, .forced) }
        if let only = endpoint.assigner.only { return (only, .only) }
        if hasSubject {
            let subject = subject
            return (endpoint.assigner.split(subject: subject.span), .subject)
        }
        return (endpoint.assigner.split(random: flip()), wantsSubject ? .noSubject : .coin)
    }

    func flip() -> UInt64 {
        var coin = self.coin ?? CoinGenerator(seed: coinSeed)
        defer { self.coin = coin }
        return coin.next()
    }

    /// Notes that a split answers the row at hand too.
    @inline(__always)
    func assign(_ arm: Arm) {
        let subject = arm.hasSubject ? subject : nil
        outcome.assign(arm.split.text, arm.assignment, intended: arm.intended, subject: subject)
        if outcome.splits.count > usedSplits.count { usedSplits.append(arm.split) }
    }

    /// Forgets who was to answer.
    func forgetAssignments() {
        outcome.clear()
        usedSplits.removeAll(keepingCapacity: true)
        outcome.beginRow()
    }

    /// Notes who answers the row at hand, and whose it is.
    func assign(_ split: PreparedSplit, _ assignment: AssignmentKind?, subject: [UInt8]?) {
        outcome.assign(split.text, assignment, subject: subject)
        if outcome.splits.count > usedSplits.count { usedSplits.append(split) }
    }

    /// Reads the row's subject; false when there is no usable one.
    func findSubject(
        _ key: SubjectKey,
        _ name: [UInt8],
        _ arguments: Span<Int>,
        _ content: Span<UInt8>
    ) throws(Failure) -> Bool {
        guard
            let index = NativeSurface.subject(
                key,
                name: name,
                arguments: arguments,
                of: document,
                in: content
            )
        else { return false }
        return try takeSubject(index, content)
    }

    /// Reads the subject that a value of the document is; false when it is no usable one.
    @inline(__always)
    func takeSubject(_ index: Int, _ content: Span<UInt8>) throws(Failure) -> Bool {
        subject.removeAll(keepingCapacity: true)
        guard Subject.append(document.entries[index], in: content, to: &subject) else {
            return false
        }
        try requireShortSubject()
        return true
    }

    @inline(__always)
    func requireShortSubject() throws(Failure) {
        guard subject.count > Subject.bytesMaximum else { return }
        throw Failure(
            .badInput,
            "the subject has \(subject.count) bytes; at most \(Subject.bytesMaximum) are taken"
        )
    }
}
