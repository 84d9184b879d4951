// Removing versions: under the deployment's lock, refused while somebody uses them, by one rename.
//
// A version that goes away is renamed to a name that is none, `.removed-<n>-…`, and then deleted.
// A process that is killed in between leaves that folder, which the next removal deletes. The
// highest number that was ever given is kept in `.highest`, so that none is given twice.

import Bytes
package import Endpoints
import Platform

/// Who needs a version.
package enum VersionUser: Equatable, Sendable, CustomStringConvertible {
    /// This endpoint file names its number.
    case endpointNumber(file: String)
    /// This endpoint file names `latest`, and there is no other version.
    case endpointLatest(file: String)
    /// This alias of its deployment names it.
    case alias(String)
    /// The revision of this number, which is served, resolved a reference to it.
    case revision(Int, reference: VersionReference)

    /// What it does, such as `the alias prod names it`.
    package var description: String {
        switch self {
        case .endpointNumber(let file):
            "the endpoint file \(file) names it"
        case .endpointLatest(let file):
            "the endpoint file \(file) names latest, and there is no other version"
        case .alias(let alias):
            "the alias \(alias) names it"
        case .revision(let number, let reference):
            "revision \(number), which is served, has it as \(reference)"
        }
    }

    /// What ends the use; nil for one that ends with the next reload.
    func remedy(_ deployment: DeploymentName, isNewest: Bool) -> String? {
        switch self {
        case .endpointNumber(let file): "name another version in \(file)"
        case .endpointLatest: "deploy another version"
        case .alias(let alias): "run 'switchyard alias remove \(deployment.argument) \(alias)'"
        case .revision(_, .latest): isNewest ? "deploy a newer version" : nil
        case .revision: nil
        }
    }

    var isServed: Bool {
        if case .revision = self { true } else { false }
    }
}

/// What pruning came to for one version.
package struct PrunedVersion: Equatable, Sendable {
    /// What happened to it.
    package enum Outcome: Equatable, Sendable {
        case removed
        /// It is one of the newest.
        case recent
        case used([VersionUser])
        /// Why it could not be removed.
        case failed(String)
    }

    package let number: Int
    package let outcome: Outcome

    package init(number: Int, outcome: Outcome) {
        self.number = number
        self.outcome = outcome
    }
}

extension DeploymentStore {
    /// Who needs the versions of a deployment, by number. Asked while the deployment is locked, so
    /// it must not change it: it would wait for itself.
    package typealias Users = (DeploymentName) throws -> [Int: [VersionUser]]

    /// Removes a version that nobody uses; its number is never given out again.
    package func remove(
        _ deployment: DeploymentName,
        _ number: Int,
        usedBy users: Users
    ) throws(DeploymentError) {
        guard hasFolder(deployment) else { throw missing(deployment) }
        try whileLocked(deployment, "removing version \(number) of") {
            let result = Result { try removeLocked(deployment, number, users) }
            // What killed removals have left goes whatever became of this one.
            let swept = Result { try sweep(deployment) }
            try result.get()
            try swept.get()
        }
    }

    private func removeLocked(
        _ deployment: DeploymentName,
        _ number: Int,
        _ users: Users
    ) throws {
        let numbers = try storedVersions(deployment)
        guard let newest = numbers.last else { throw missing(deployment) }
        try require(number, of: deployment, among: numbers)
        if let users = try users(deployment)[number], !users.isEmpty {
            throw Self.refusal(deployment, number, users, isNewest: number == newest)
        }
        if number == newest { try keepHighest(newest, of: deployment) }
        try takeAway(deployment, number)
    }

    private static func refusal(
        _ deployment: DeploymentName,
        _ number: Int,
        _ users: [VersionUser],
        isNewest: Bool
    ) -> DeploymentError {
        var steps: [String] = []
        for user in users {
            guard let step = user.remedy(deployment, isNewest: isNewest) else { continue }
            if !steps.contains(step) { steps.append(step) }
        }
        // A reload comes last: it takes what the other steps have changed.
        if users.contains(where: \.isServed) { steps.append("run 'switchyard reload'") }
        return DeploymentError(
            "\(deployment) version \(number) is in use: "
                + users.map(\.description).joined(separator: "; ")
                + "; wanted a version that nobody uses; " + steps.joined(separator: ", then ")
                + ", then remove it"
        )
    }

    /// Removes the versions of a deployment that are not among the newest and that nobody uses,
    /// the oldest first.
    ///
    /// - Parameters:
    ///   - deployment: whose versions; one without a version is fine.
    ///   - count: how many of the newest stay, at least 1.
    ///   - isTrial: whether nothing is changed, and the outcomes say what would happen.
    ///   - users: who needs them; asked when there are more versions than `count`.
    /// - Returns: what happened to every version, ascending.
    package func prune(
        _ deployment: DeploymentName,
        keeping count: Int,
        isTrial: Bool,
        usedBy users: Users
    ) throws(DeploymentError) -> [PrunedVersion] {
        guard hasFolder(deployment) else { throw missing(deployment) }
        return try whileLocked(deployment, "pruning") {
            let numbers = try storedVersions(deployment)
            // The newest version always stays, so no number needs to be remembered.
            let old = numbers.dropLast(max(count, 1))
            let result = Result {
                let used = old.isEmpty ? [:] : try users(deployment)
                return numbers.map { number in
                    guard old.contains(number) else {
                        return PrunedVersion(number: number, outcome: .recent)
                    }
                    let found = used[number] ?? []
                    let outcome =
                        found.isEmpty
                        ? pruneOne(deployment, number, isTrial: isTrial) : .used(found)
                    return PrunedVersion(number: number, outcome: outcome)
                }
            }
            let swept = Result { if !isTrial { try sweep(deployment) } }
            let outcomes = try result.get()
            try swept.get()
            return outcomes
        }
    }

    private func pruneOne(
        _ deployment: DeploymentName,
        _ number: Int,
        isTrial: Bool
    ) -> PrunedVersion.Outcome {
        do {
            if !isTrial { try takeAway(deployment, number) }
            return .removed
        } catch {
            return .failed("\(error); make the folder writable and try again")
        }
    }

    // MARK: On the disk

    private static let removedPrefix = ".removed-"

    /// Gives a version a name that is none; from here on nobody sees it.
    private func takeAway(
        _ deployment: DeploymentName,
        _ number: Int
    ) throws(SystemError) {
        let start = "\(folder(deployment))/\(Self.removedPrefix)\(number)-\(CurrentProcess.id)"
        // A name that another process of this number has left is not used again.
        var target = start
        var attempt = 1
        while File.exists(target) {
            target = "\(start)-\(attempt)"
            attempt += 1
        }
        try File.rename(folder(deployment, number), to: target)
        try Directory.synchronize(folder(deployment))
    }

    /// Deletes what removals have left: those before that were killed, and the one that is going
    /// on. Needs the lock.
    private func sweep(_ deployment: DeploymentName) throws(DeploymentError) {
        let folder = folder(deployment)
        do {
            for name in try Directory.names(in: folder) {
                let isHalfWritten = name.hasPrefix(".highest.") && name.hasSuffix(".new")
                guard name.hasPrefix(Self.removedPrefix) || isHalfWritten else { continue }
                try Self.delete("\(folder)/\(name)")
            }
        } catch {
            throw DeploymentError(
                "\(folder): found files of removed versions that cannot be deleted: \(error); the "
                    + "versions are gone; make those files deletable, and the next removal "
                    + "deletes them"
            )
        }
    }

    /// Deletes a file or a folder, also one that its owner has made read-only.
    private static func delete(_ path: String) throws(SystemError) {
        let facts = try File.facts(path, followingLinks: false)
        guard facts.kind == .directory else { return try File.remove(path) }
        if facts.mode & 0o700 != 0o700 { try File.setMode(path, 0o700) }
        for name in try Directory.names(in: path) { try delete("\(path)/\(name)") }
        try Directory.removeAll(path)
    }

    private func highestPath(_ deployment: DeploymentName) -> String {
        "\(folder(deployment))/.highest"
    }

    /// Remembers that a number was given, when it is higher than those before.
    private func keepHighest(_ number: Int, of deployment: DeploymentName) throws {
        guard try highest(deployment) < number else { return }
        try File.writeAtomically(highestPath(deployment), Array("\(number)\n".utf8))
    }

    /// The highest number that was remembered when a version went away; 0 when none was.
    private func highest(_ deployment: DeploymentName) throws -> Int {
        let path = highestPath(deployment)
        let text: [UInt8]
        do {
            text = try File.read(path, limit: 64)
        } catch {
            if error.isNotFound { return 0 }
            throw error
        }
        guard let number = Bytes.decimal(text.prefix { $0 != 0x0a }),
            let number = Int(exactly: number), Self.numbers.contains(number)
        else {
            throw DeploymentError(
                "\(path): found '\(String(decoding: text.prefix(64), as: UTF8.self))'; wanted the "
                    + "highest number that a version of \(deployment) ever had; write it there"
            )
        }
        return number
    }

    /// The number of the next version: above every one that is there or ever was.
    func nextNumber(_ deployment: DeploymentName) throws -> Int {
        let next = max(try versions(deployment).last ?? 0, try highest(deployment)) + 1
        guard Self.numbers.contains(next) else {
            throw DeploymentError(
                "\(folder(deployment)): found version \(next - 1); wanted a number below "
                    + "\(Self.numbers.upperBound - 1), which leaves one for the next version; "
                    + "deploy under another name"
            )
        }
        return next
    }

    // MARK: The lock

    /// Whether anything was ever deployed under this name.
    func hasFolder(_ deployment: DeploymentName) -> Bool {
        (try? File.facts(folder(deployment)).kind) == .directory
    }

    /// Runs a body while no other process or thread changes the deployment.
    func whileLocked<R>(
        _ deployment: DeploymentName,
        _ action: String,
        _ body: () throws -> R
    ) throws(DeploymentError) -> R {
        do {
            let lock = try File.open(folder(deployment), access: .read)
            try File.waitForLock(lock)
            let result = try body()
            _ = consume lock
            return result
        } catch let error as DeploymentError {
            throw error
        } catch {
            throw DeploymentError("\(action) \(deployment): \(error)")
        }
    }
}
