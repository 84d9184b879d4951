// What a rollback has put aside: it stays away until it is released or says something new, so that
// nobody's reload brings it back by accident.

import Bytes
import Deployments
package import Endpoints
package import JSON

/// One thing that a rollback has put aside: an endpoint's text, or the build that an alias or
/// `latest` stood for.
package struct Pin: Equatable, Sendable {
    /// What it is of.
    package enum Subject: Equatable, Sendable {
        case endpoint(String)
        case reference(DeploymentReference)
    }

    /// One state of that; nil stands for "there was none".
    package enum State: Equatable, Sendable {
        case text(String)
        case build(number: Int, pluginHash: String)
    }

    package let subject: Subject
    /// The endpoints whose state it is a part of.
    package let endpoints: [String]
    /// What was put aside, and what is served instead.
    package let left: State?
    package let kept: State?
    /// Who rolled back, when, and why, if that was said.
    package let author: String
    package let since: String
    package let reason: String?

    /// What `rollback --release` takes: the endpoint, or the deployment where there is none.
    package var name: String {
        switch subject {
        case .endpoint(let name): name
        case .reference(let reference): endpoints.first ?? reference.deployment
        }
    }

    /// Whether a word of `rollback --release` means it.
    package func isMeant(by word: String) -> Bool {
        if endpoints.contains(word) { return true }
        switch subject {
        case .endpoint(let name): return name == word
        case .reference(let reference):
            return [
                reference.deployment, reference.name,
                "\(reference.deployment)/\(reference.version)",
            ]
            .contains(word)
        }
    }

    /// `pricing: main/pricing_model latest version 2 is put aside for version 1`
    package var text: String {
        func said(_ state: State?) -> String {
            switch state {
            case .build(let number, _): "version \(number)"
            case .text: "its file"
            case nil: "nothing"
            }
        }
        switch subject {
        case .endpoint(let name):
            return kept == nil
                ? "endpoint \(name), which was not there" : "endpoint \(name), its older file"
        case .reference(let reference):
            let what = "\(reference.deployment) \(reference.version)"
            return "\(what), \(said(kept)) instead of \(said(left))"
        }
    }

    /// `(rolled back by user 0 at 14:03 because …)`
    package var origin: String {
        let time = since.count > 16 ? String(since.dropFirst(11).prefix(5)) : since
        return "(rolled back by \(author) at \(time)" + (reason.map { " because \($0)" } ?? "")
            + ")"
    }

    /// The pin as it lies in a revision, and as `status` shows it.
    package var json: JSONValue {
        var members: [JSONValue.Member] = []
        switch subject {
        case .endpoint(let name): members.append(.init("endpoint", .string(name)))
        case .reference(let reference):
            members += [
                .init("branch", .string(reference.branch)), .init("name", .string(reference.name)),
                .init("reference", .string("\(reference.version)")),
            ]
        }
        members.append(.init("endpoints", .array(endpoints.map { .string($0) })))
        if let left { members.append(.init("left", Self.json(left))) }
        if let kept { members.append(.init("kept", Self.json(kept))) }
        members += [.init("author", .string(author)), .init("since", .string(since))]
        if let reason { members.append(.init("because", .string(reason))) }
        return .object(members)
    }

    private static func json(_ state: State) -> JSONValue {
        switch state {
        case .text(let text): .object([.init("text", .string(text))])
        case .build(let number, let hash):
            .object([.init("version", .number("\(number)")), .init("sha256", .string(hash))])
        }
    }

    /// Reads what `json` writes; nil when it is something else.
    init?(_ value: JSONValue) {
        guard let author = value["author"]?.string, let since = value["since"]?.string,
            let endpoints = value["endpoints"]?.array?.compactMap(\.string)
        else { return nil }
        if let name = value["endpoint"]?.string {
            subject = .endpoint(name)
        } else if let branch = value["branch"]?.string, let name = value["name"]?.string,
            let version = value["reference"]?.string.flatMap({ VersionReference($0) })
        {
            subject = .reference(.init(branch: branch, name: name, version: version))
        } else {
            return nil
        }
        self.endpoints = endpoints
        left = value["left"].flatMap(Self.state)
        kept = value["kept"].flatMap(Self.state)
        (self.author, self.since, reason) = (author, since, value["because"]?.string)
    }

    private static func state(_ value: JSONValue) -> State? {
        if let text = value["text"]?.string { return .text(text) }
        guard let number = value["version"]?.unsigned, let hash = value["sha256"]?.string else {
            return nil
        }
        return .build(number: Int(clamping: number), pluginHash: hash)
    }

    init(
        _ subject: Subject,
        endpoints: [String],
        left: State?,
        kept: State?,
        author: String,
        since: String,
        reason: String?
    ) {
        self.subject = subject
        self.endpoints = endpoints
        (self.left, self.kept) = (left, kept)
        (self.author, self.since, self.reason) = (author, since, reason)
    }
}

/// That nothing is to be changed, who says so, and why.
package struct Freeze: Equatable, Sendable {
    package let text: String
    package let author: String
    package let since: String

    /// `frozen by user 0 since 2026-12-01T14:03:00.000000Z: release week`
    package var sentence: String {
        "the host is frozen by \(author) since \(since): \(text); 'switchyard unfreeze' ends that"
    }

    package var json: JSONValue {
        .object([
            .init("text", .string(text)), .init("author", .string(author)),
            .init("since", .string(since)),
        ])
    }

    init(text: String, author: String, since: String) {
        (self.text, self.author, self.since) = (text, author, since)
    }

    init?(_ value: JSONValue?) {
        guard let value, let text = value["text"]?.string, let author = value["author"]?.string,
            let since = value["since"]?.string
        else { return nil }
        self.init(text: text, author: author, since: since)
    }
}

// MARK: Rolling back

extension Pin {
    /// The pins of a host that goes from one state to an older one.
    ///
    /// - Parameters:
    ///   - old: what is live, with the pins that there are already: what those put aside stays what
    ///     the files say.
    ///   - new: what is served instead.
    ///   - users: the endpoints that use a reference.
    static func pins(
        from old: Revision,
        to new: (texts: [Revision.EndpointText], versions: [Revision.ResolvedVersion]),
        users: (DeploymentReference) -> [String],
        author: String,
        since: String,
        reason: String?
    ) -> [Pin] {
        let known = Dictionary(
            old.pins.map { ("\($0.subject)", $0) },
            uniquingKeysWith: { first, _ in first }
        )
        var pins: [Pin] = []
        func add(_ subject: Subject, _ endpoints: [String], _ before: State?, _ after: State?) {
            let pin = known["\(subject)"]
            guard before != after else { return pin.map { pins.append($0) } ?? () }
            // What the files say was put aside already by the rollback before.
            let left = pin == nil ? before : pin?.left
            guard left != after else { return }
            pins.append(
                Pin(
                    subject,
                    endpoints: endpoints,
                    left: left,
                    kept: after,
                    author: author,
                    since: since,
                    reason: reason
                )
            )
        }
        func texts(_ list: [Revision.EndpointText]) -> [String: String] {
            Dictionary(list.map { ($0.name, $0.text) }, uniquingKeysWith: { $1 })
        }
        let (before, after) = (texts(old.endpoints), texts(new.texts))
        for name in Set(before.keys).union(after.keys).sorted() {
            add(
                .endpoint(name),
                [name],
                before[name].map { .text($0) },
                after[name].map { .text($0) }
            )
        }
        func builds(_ list: [Revision.ResolvedVersion]) -> [DeploymentReference: State] {
            var builds: [DeploymentReference: State] = [:]
            for version in list where version.reference.version.isMovable {
                builds[version.reference] =
                    .build(number: version.number, pluginHash: version.pluginHash)
            }
            return builds
        }
        let (had, has) = (builds(old.versions), builds(new.versions))
        for reference in Set(had.keys).union(has.keys).sorted(by: { "\($0)" < "\($1)" }) {
            add(.reference(reference), users(reference), had[reference], has[reference])
        }
        return pins
    }
}

// MARK: Reloading

extension ConfigurationFiles {
    /// What the files say, with what pins keep away.
    struct Held {
        var reading: Reading
        /// What movable names stand for that are held; nil: they stand for nothing.
        var versions: [DeploymentReference: Revision.ResolvedVersion?] = [:]
        /// The pins that go on.
        var pins: [Pin] = []
        /// What was left out, and which pins have ended.
        var leftOut: [StateChange] = []
        var ended: [StateChange] = []
    }

    /// Leaves out what pins put aside.
    ///
    /// - Parameter isExplicit: whether somebody has asked for this very reload: then what says
    ///   something new is taken, and its pin ends.
    func held(_ reading: Reading, by pins: [Pin], isExplicit: Bool) -> Held {
        var held = Held(reading: reading)
        for pin in pins {
            let now: Pin.State?
            switch pin.subject {
            case .endpoint(let name):
                now = reading.contents.texts.first { $0.name == name }.map { .text($0.text) }
            case .reference(let reference): now = state(of: reference)
            }
            let isNew = now != pin.left
            if isNew, isExplicit {
                held.ended.append(StateDifference.pinEnded(pin))
                continue
            }
            held.pins.append(pin)
            held.leftOut.append(StateDifference.leftOut(pin, isNew: isNew))
            switch (pin.subject, pin.kept) {
            case (.endpoint(let name), .text(let text)): put(text, for: name, in: &held.reading)
            case (.endpoint(let name), _): put(nil, for: name, in: &held.reading)
            case (.reference(let reference), .build(let number, let hash)):
                held.versions[reference] = Revision.ResolvedVersion(
                    reference: reference,
                    number: number,
                    pluginHash: hash
                )
            case (.reference(let reference), _): held.versions[reference] = .some(nil)
            }
        }
        return held
    }

    /// What a movable name stands for in the store; nil: for nothing.
    private func state(of reference: DeploymentReference) -> Pin.State? {
        guard let (deployment, numbers) = try? store.candidates(reference),
            let number = numbers.first, let manifest = try? store.manifest(deployment, number)
        else { return nil }
        return .build(number: number, pluginHash: manifest.pluginHash)
    }

    private func put(_ text: String?, for name: String, in reading: inout Reading) {
        reading.contents.texts.removeAll { $0.name == name }
        reading.contents.endpoints.removeAll { $0.name == name }
        guard let text else { return }
        let kept = Revision.EndpointText(name: name, text: text)
        var errors: [String] = []
        guard let endpoint = folder.parse(kept, &errors) else {
            reading.contents.errors += errors
            return
        }
        reading.contents.texts.append(kept)
        reading.contents.texts.sort { $0.name < $1.name }
        reading.contents.endpoints.append(endpoint)
        reading.contents.endpoints.sort { $0.name < $1.name }
    }
}

extension StateDifference {
    /// That a pin has kept something away.
    static func leftOut(_ pin: Pin, isNew: Bool) -> StateChange {
        let advice =
            isNew
            ? "it says something new: 'switchyard reload' takes that"
            : "'switchyard rollback --release \(pin.name)' lets it come back"
        return StateChange(
            "leftOut",
            "left out: \(pin.name) \(pin.origin): \(pin.text); \(advice)",
            [.init("subject", .string(pin.name)), .init("new", .boolean(isNew))]
        )
    }

    /// That a pin is not needed any more.
    static func pinEnded(_ pin: Pin) -> StateChange {
        StateChange(
            "pinEnded",
            "\(pin.name) says something new, so what was rolled back \(pin.origin) is not kept "
                + "away any more",
            [.init("subject", .string(pin.name))]
        )
    }
}
