// Going back, and staying there: what a rollback puts aside, what reloads leave out, and when
// nothing is changed at all.

import Deployments
import Endpoints
import JSON
import Logging
import Platform

extension Committer {
    /// Refuses what is asked for of another revision, or of a host that is frozen.
    func requireTerms(
        _ terms: CommitTerms,
        of request: CommitRequest,
        _ current: Revision
    ) throws(CommitFailure) {
        if let wanted = terms.ifRevision, wanted != current.number {
            let since = revisions.numbers.filter { $0 > wanted && $0 <= current.number }.suffix(10)
                .compactMap { try? revisions.revision($0) }
                .map { "revision \($0.number), \($0.author): \($0.changes.first ?? "nothing")" }
            throw CommitFailure(
                errors: [
                    "revision \(current.number) is live, and this was to be a change of revision "
                        + "\(wanted): look at what has changed since, and ask again"
                ] + since,
                code: .revisionMoved
            )
        }
        guard let frozen = current.frozen else { return }
        switch request {
        case .unfreeze, .readmit, .loadAgain: return
        default: throw CommitFailure(errors: [frozen.sentence], code: .frozen)
        }
    }

    // MARK: Reloading

    /// What the files say, without what rollbacks have put aside, and with the live weights that
    /// stay.
    func ofFiles(
        _ reading: ConfigurationFiles.Reading,
        _ before: (revision: Revision, configuration: HostConfiguration)?,
        resetsWeights: Bool,
        _ terms: CommitTerms
    ) -> Proposal {
        let held = files.held(
            reading,
            by: before?.revision.pins ?? [],
            isExplicit: terms.isExplicit
        )
        let endpoints = held.reading.contents.endpoints
        let kept =
            resetsWeights ? [] : before?.configuration.liveWeights(keptFor: endpoints) ?? []
        var proposal = Proposal(held, liveWeights: kept, disabled: before?.revision.disabled ?? [])
        proposal.frozen = before?.revision.frozen
        // As long as something is kept away, it is not what the files say.
        if !held.pins.isEmpty { proposal.rollbackOf = before?.revision.rollbackOf }
        return proposal
    }

    // MARK: Going back

    func rollbackTarget(
        _ wanted: Int?,
        _ current: Revision
    ) throws(CommitFailure) -> Revision {
        let numbers = revisions.numbers
        // Twice in a row goes further back, and not back to what was left.
        let served = current.rollbackOf ?? current.number
        guard let number = wanted ?? numbers.last(where: { $0 < served }) else {
            throw CommitFailure(errors: [
                "there is no revision before revision \(served) in \(revisions.folder)"
            ])
        }
        guard numbers.contains(number) else {
            let list = Self.shown(numbers)
            throw CommitFailure(errors: [
                "there is no revision \(number) in \(revisions.folder); there are \(list)"
            ])
        }
        do {
            return try revisions.revision(number)
        } catch {
            throw CommitFailure(errors: ["revision \(number) cannot be read: \(error)"])
        }
    }

    /// `1, 2, 3`, or `1 to 90` where they are many.
    private static func shown(_ numbers: [Int]) -> String {
        guard let first = numbers.first, let last = numbers.last, numbers.count > 10 else {
            return numbers.map(String.init).joined(separator: ", ")
        }
        return "\(first) to \(last)"
    }

    /// The current state as an older revision was.
    func rolledBack(
        to target: Revision,
        _ current: Committed,
        _ author: String,
        _ terms: CommitTerms
    ) throws(CommitFailure) -> Proposal {
        var proposal = try proposal(of: target)
        proposal.files = current.revision.files
        proposal.rollbackOf = target.rollbackOf ?? target.number
        proposal.frozen = nil
        proposal.heldBack = pins(current, proposal, author, terms)
        return proposal
    }

    /// The pins of a host that goes from what is live to a proposal.
    private func pins(
        _ current: Committed,
        _ proposal: Proposal,
        _ author: String,
        _ terms: CommitTerms
    ) -> [Pin] {
        let endpoints = current.configuration.endpoints + proposal.endpoints
        return Pin.pins(
            from: current.revision,
            to: (proposal.texts, proposal.pins ?? []),
            users: { reference in
                Set(endpoints.filter { $0.references.contains(reference) }.map(\.name)).sorted()
            },
            author: author,
            since: Timestamp.text(.now()),
            reason: terms.reason
        )
    }

    /// The current state with one endpoint as it was before: its text and the builds that it asks.
    func rolledBack(
        endpoint name: String,
        _ current: Committed,
        _ author: String,
        _ terms: CommitTerms
    ) throws(CommitFailure) -> Proposal {
        var errors: [String] = []
        func state(_ revision: Revision) -> (text: String?, builds: [String]) {
            let text = revision.endpoints.first { $0.name == name }
            let references = text.flatMap { files.folder.parse($0, &errors) }?.references ?? []
            let builds = revision.versions.filter { references.contains($0.reference) }
            return (
                text?.text, builds.map { "\($0.reference) \($0.number) \($0.pluginHash)" }.sorted()
            )
        }
        let now = state(current.revision)
        let pinned = current.revision.pins.contains { $0.isMeant(by: name) }
        guard now.text != nil || pinned else {
            throw CommitFailure(errors: [current.configuration.missing(endpoint: name)])
        }
        // Of a state that was gone back from before, nothing counts that lies behind it.
        var seen = [now]
        var target: Revision?
        for number in revisions.numbers.reversed() where number < current.revision.number {
            guard let revision = try? revisions.revision(number) else { continue }
            let then = state(revision)
            if pinned, isLeft(then.text, revision, name, current.revision.pins) { continue }
            if !seen.contains(where: { $0 == then }) {
                seen.append(then)
                target = revision
                break
            }
        }
        guard let target else {
            throw CommitFailure(errors: [
                "there is no revision in \(revisions.folder) in which endpoint \(name) was another "
                    + "one"
            ])
        }
        return try replacing(name, of: current, by: target, author, terms)
    }

    /// Whether a state of an endpoint is the one that its pins put aside.
    private func isLeft(
        _ text: String?,
        _ revision: Revision,
        _ name: String,
        _ pins: [Pin]
    ) -> Bool {
        pins.contains { pin in
            guard pin.isMeant(by: name) else { return false }
            switch pin.subject {
            case .endpoint: return pin.left == text.map { .text($0) }
            case .reference(let reference):
                let build = revision.versions.first { $0.reference == reference }
                return pin.left
                    == build.map { .build(number: $0.number, pluginHash: $0.pluginHash) }
            }
        }
    }

    private func replacing(
        _ name: String,
        of current: Committed,
        by target: Revision,
        _ author: String,
        _ terms: CommitTerms
    ) throws(CommitFailure) -> Proposal {
        var proposal = Proposal(current)
        proposal.texts.removeAll { $0.name == name }
        proposal.endpoints.removeAll { $0.name == name }
        var errors: [String] = []
        var versions = proposal.pins ?? []
        if let text = target.endpoints.first(where: { $0.name == name }),
            let endpoint = files.folder.parse(text, &errors)
        {
            proposal.texts.append(text)
            proposal.texts.sort { $0.name < $1.name }
            proposal.endpoints.append(endpoint)
            proposal.endpoints.sort { $0.name < $1.name }
            for version in target.versions where endpoint.references.contains(version.reference) {
                let now = versions.first { $0.reference == version.reference }
                let others = current.configuration.endpoints.filter {
                    $0.name != name && $0.references.contains(version.reference)
                }
                if let now, now != version, !others.isEmpty {
                    let names = others.map(\.name).joined(separator: ", ")
                    errors.append(
                        "endpoint \(name) shares \(version.reference.deployment) "
                            + "\(version.reference.version) with \(names): roll back all of it "
                            + "with 'switchyard rollback', or name a version's number in the file "
                            + "of \(name)"
                    )
                }
                versions.removeAll { $0.reference == version.reference }
                versions.append(version)
            }
        }
        guard errors.isEmpty else { throw CommitFailure(errors: errors) }
        proposal.pins = versions
        proposal.liveWeights.removeAll { $0.endpoint == name }
        proposal.liveWeights += target.liveWeights.filter { $0.endpoint == name }
        proposal.liveWeights.sort { $0.endpoint < $1.endpoint }
        proposal.heldBack = pins(current, proposal, author, terms)
        return proposal
    }

    /// The current state without the pins that a word means.
    func released(_ word: String, _ current: Committed) throws(CommitFailure) -> Proposal {
        var proposal = Proposal(current)
        let gone = proposal.heldBack.filter { $0.isMeant(by: word) }
        guard !gone.isEmpty else {
            let names = Set(proposal.heldBack.map(\.name)).sorted().joined(separator: ", ")
            throw CommitFailure(errors: [
                "nothing of '\(word.prefix(100))' is rolled back; "
                    + (names.isEmpty ? "nothing is at all" : "what is: \(names)")
            ])
        }
        proposal.heldBack.removeAll { $0.isMeant(by: word) }
        proposal.notes = gone.map(StateDifference.released)
        return proposal
    }
}

extension StateDifference {
    static func released(_ pin: Pin) -> StateChange {
        StateChange(
            "released",
            "released: \(pin.text); the next reload takes what the files say",
            [.init("subject", .string(pin.name))]
        )
    }

    static func freezeChanges(_ old: Freeze?, _ new: Freeze?) -> [StateChange] {
        guard old != new else { return [] }
        guard let new else {
            return [StateChange("unfrozen", "the host may be changed again", [])]
        }
        return [StateChange("frozen", "nothing is changed from now on: \(new.text)", [])]
    }
}
