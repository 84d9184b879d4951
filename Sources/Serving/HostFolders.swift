// What a host needs of the machine before anything is loaded: its folders, its lock, its share of
// descriptors. A supervisor sees to it for its workers.

import Bytes
package import Platform

/// The folders of a host, and what keeps them its own.
package enum HostFolders {
    /// Makes the folders of the state and of the logs and locks them; nobody else serves from them
    /// as long as the descriptors are open, in whatever process.
    package static func claim(
        _ configuration: ServerConfiguration
    ) throws(StartFailure) -> FolderLocks {
        try make(configuration.state, option: "state")
        try make(configuration.logs, option: "logs")
        do {
            let state = try lock("\(configuration.state)/lock", "state", configuration)
            return FolderLocks(
                state: state,
                logs: try lock("\(configuration.logs)/.lock", "logs", configuration)
            )
        } catch let failure as StartFailure {
            throw failure
        } catch {
            throw .system("\(error)")
        }
    }

    static func make(_ path: String, option: String) throws(StartFailure) {
        do {
            try Directory.createAll(path, mode: option == "state" ? 0o700 : 0o755)
        } catch {
            throw .system("\(error); name a folder that can be written with --\(option)")
        }
    }

    private static func lock(
        _ path: String,
        _ option: String,
        _ configuration: ServerConfiguration
    ) throws -> FileDescriptor {
        let file = try File.open(path, access: .append, mode: 0o600)
        // A host that is just ending holds the lock for another moment; a worker whose supervisor
        // was killed, until it has answered what it had begun.
        let lines = ((try? File.read(path, limit: 4096)) ?? []).split(separator: 0x0a)
        let owner = lines.first.flatMap { Bytes.decimal($0) }.flatMap { Int32(exactly: $0) }
        let isRunning = owner.map(CurrentProcess.isRunning) ?? true
        let limit = MonotonicClock.now() + (isRunning ? 1_000_000_000 : 10_000_000_000)
        while try !File.lock(file) {
            guard MonotonicClock.now() < limit else {
                let holder =
                    owner.map { "process \($0)" } ?? "another host"
                let state = lines.count > 1 ? String(decoding: lines[1], as: UTF8.self) : "another"
                throw StartFailure.configuration(
                    "\(path): found a lock of \(holder), which serves with --state "
                        + "\(Visible.line(state)); wanted a folder of its own for every host; end "
                        + "that one or give this one another --\(option)"
                )
            }
            MonotonicClock.sleep(nanoseconds: 10_000_000)
        }
        try file.truncate(to: 0)
        let state = Path.absolute(configuration.state)
        try file.writeAll(Array("\(CurrentProcess.id)\n\(state)\n".utf8).span)
        return file
    }

    /// Connections at once: what the descriptor limit leaves for them.
    package static func connections(
        _ configuration: ServerConfiguration
    ) throws(StartFailure) -> Int {
        // What the host itself needs: four descriptors a loop, those of admins, and some more.
        let reserve = 192 + 4 * configuration.loops
        let limit = CurrentProcess.raiseDescriptorLimit()
        guard limit >= 2 * reserve else {
            throw .system(
                "found a limit of \(limit) open files; wanted at least \(2 * reserve); raise it, "
                    + "for example with 'ulimit -n 4096'"
            )
        }
        return min(configuration.limits.connections, limit - reserve)
    }

}

/// What keeps the folders of a host its own, as long as it is open.
package struct FolderLocks: ~Copyable {
    package let state: FileDescriptor
    package let logs: FileDescriptor
}
