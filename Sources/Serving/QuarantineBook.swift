// Versions that have ended workers and are not run again, and what has happened of late. It lies in
// the state folder, so that it outlives every process: `quarantine.json`.

package import Deployments
package import JSON
package import Logging
import Platform

/// How often a version may end a worker before it is not run again.
package struct QuarantineRule: Equatable, Sendable {
    package var deaths = 3
    package var seconds = 60

    package init() {}
}

/// A version that is not run.
package struct Quarantine: Equatable, Sendable {
    /// `branch/name`
    package let deployment: String
    package let version: Int
    /// The hash of the plugin's file.
    package let build: String
    package let since: String
    /// What it has done, as a sentence.
    package let reason: String

    /// Whether it is about this build.
    fileprivate func isOf(_ deployment: String, _ version: Int, _ build: String) -> Bool {
        self.deployment == deployment && self.version == version && self.build == build
    }

    /// The members of status and file.
    package var json: JSONValue {
        .object([
            .init("deployment", .string(deployment)), .init("version", .number("\(version)")),
            .init("build", .string(build)), .init("since", .string(since)),
            .init("reason", .string(reason)),
        ])
    }

    fileprivate init?(_ json: JSONValue) {
        guard let deployment = json["deployment"]?.string,
            let version = json["version"]?.unsigned.flatMap({ Int(exactly: $0) }),
            let build = json["build"]?.string, let since = json["since"]?.string,
            let reason = json["reason"]?.string
        else { return nil }
        self.init(
            deployment: deployment,
            version: version,
            build: build,
            since: since,
            reason: reason
        )
    }

    fileprivate init(
        deployment: String,
        version: Int,
        build: String,
        since: String,
        reason: String
    ) {
        self.deployment = deployment
        self.version = version
        self.build = build
        self.since = since
        self.reason = reason
    }
}

/// Who is in quarantine. Any thread may use it.
package final class QuarantineBook: Sendable {
    /// A death that a version is guilty of.
    private struct Guilt: Equatable {
        let deployment: String
        let version: Int
        let microseconds: Int64
        let process: Int32

        init(deployment: String, version: Int, microseconds: Int64, process: Int32) {
            self.deployment = deployment
            self.version = version
            self.microseconds = microseconds
            self.process = process
        }

        init?(_ json: JSONValue) {
            guard let deployment = json["deployment"]?.string,
                let version = json["version"]?.unsigned.flatMap({ Int(exactly: $0) }),
                let time = json["microseconds"]?.unsigned.flatMap({ Int64(exactly: $0) }),
                let process = json["process"]?.unsigned.flatMap({ Int32(exactly: $0) })
            else { return nil }
            self.init(
                deployment: deployment,
                version: version,
                microseconds: time,
                process: process
            )
        }
    }

    private struct Pages {
        var entries: [Quarantine] = []
        var recent: [Guilt] = []
    }

    private let path: String
    private let rule: QuarantineRule
    private let log: EventLog
    private let pages = Guarded(Pages())

    /// Reads what is in the state folder; what cannot be read is told, and counts as empty.
    package init(state: String, rule: QuarantineRule, log: EventLog) {
        path = "\(state)/quarantine.json"
        self.rule = rule
        self.log = log
        refresh()
    }

    /// Reads what another worker may have written; whether other versions are in quarantine now.
    @discardableResult
    func refresh() -> Bool {
        guard File.exists(path) else { return false }
        guard let text = try? File.read(path, limit: 1 << 22),
            let json = try? JSONValue(parsing: text), let entries = json["entries"]?.array
        else {
            log.write(
                .error,
                "quarantine.unreadable",
                "\(path) cannot be read, so what is known of it counts; it is written anew with "
                    + "the next death"
            )
            return false
        }
        let found = Pages(
            entries: entries.compactMap { Quarantine($0) },
            recent: (json["recent"]?.array ?? []).compactMap { Guilt($0) }
        )
        return pages.withLock { pages in
            defer { pages = found }
            return pages.entries != found.entries
        }
    }

    /// Who is in quarantine, in the order in which they came.
    package var entries: [Quarantine] { pages.withLock { $0.entries } }

    /// Why a build is not run; nil: it may be.
    package func entry(
        _ deployment: DeploymentName,
        _ number: Int,
        build: String
    ) -> Quarantine? {
        let name = "\(deployment)"
        return entries.first { $0.isOf(name, number, build) }
    }

    /// The entry of a model that a board tells of.
    func entry(of model: WorkerBoard.Model) -> Quarantine? {
        entries.first { $0.isOf(model.deployment, model.version, model.build) }
    }

    /// Counts deaths against the versions that are guilty of them; returns those that are not run
    /// any more because of it.
    package func count(_ deaths: [Death]) -> [Quarantine] {
        if deaths.isEmpty { return [] }
        refresh()
        var new: [Quarantine] = []
        pages.withLock { pages in
            for death in deaths { count(death, &pages).map { new.append($0) } }
            save(pages)
        }
        for entry in new {
            log.write(
                .error,
                "version.quarantined",
                "\(entry.deployment) version \(entry.version) is not run again: \(entry.reason); "
                    + "'switchyard quarantine clear' lets it run, or a new version",
                [
                    "deployment": .text(entry.deployment), "version": .number(entry.version),
                    "build": .text(entry.build),
                ]
            )
        }
        return new
    }

    private func count(_ death: Death, _ pages: inout Pages) -> Quarantine? {
        guard let model = death.model else { return nil }
        let place = death.note.map { "in \($0.activity.function)" } ?? "on a thread of its own"
        let now = death.time.microseconds
        // Those of a future that the clock was set back from count as little as old ones.
        let window = UInt64(rule.seconds) * 1_000_000
        pages.recent.removeAll { (now - $0.microseconds).magnitude > window }
        let guilt = Guilt(
            deployment: model.deployment,
            version: model.version,
            microseconds: now,
            process: death.process
        )
        guard !pages.recent.contains(where: { $0.process == guilt.process }) else { return nil }
        pages.recent.append(guilt)
        let isKnown = pages.entries.contains {
            $0.isOf(model.deployment, model.version, model.build)
        }
        guard !isKnown else { return nil }
        let deaths = pages.recent.filter {
            $0.deployment == model.deployment && $0.version == model.version
        }.count
        let reason: String
        if let note = death.note, note.activity.isLoading {
            reason = "it \(death.cause) \(place) while it was loaded"
        } else if deaths >= rule.deaths {
            reason =
                "it ended \(deaths) workers within \(rule.seconds) s; the last time it "
                + "\(death.cause) \(place)"
        } else {
            return nil
        }
        let entry = Quarantine(
            deployment: model.deployment,
            version: model.version,
            build: model.build,
            since: Timestamp.text(death.time),
            reason: reason
        )
        pages.entries.append(entry)
        return entry
    }

    /// Lets versions run again; returns which. Nil stands for all.
    package func clear(_ deployment: String?, _ version: Int?) -> [Quarantine] {
        pages.withLock { pages in
            func isMeant(_ name: String, _ number: Int) -> Bool {
                (deployment == nil || deployment == name) && (version == nil || version == number)
            }
            let cleared = pages.entries.filter { isMeant($0.deployment, $0.version) }
            pages.entries.removeAll { isMeant($0.deployment, $0.version) }
            pages.recent.removeAll { isMeant($0.deployment, $0.version) }
            save(pages)
            return cleared
        }
    }

    private func save(_ pages: Pages) {
        let recent = pages.recent.map { guilt in
            JSONValue.object([
                .init("deployment", .string(guilt.deployment)),
                .init("version", .number("\(guilt.version)")),
                .init("microseconds", .number("\(guilt.microseconds)")),
                .init("process", .number("\(guilt.process)")),
            ])
        }
        let json = JSONValue.object([
            .init("entries", .array(pages.entries.map(\.json))), .init("recent", .array(recent)),
        ])
        do {
            try File.writeAtomically(path, Array((json.text + "\n").utf8), mode: 0o600)
        } catch {
            log.write(
                .error,
                "quarantine.not_noted",
                "who is in quarantine cannot be written down, so a later worker does not know: "
                    + "\(error)"
            )
        }
    }
}
