// What a host needs of the machine before anything is loaded: its folders, its lock, its share of
// descriptors. A supervisor sees to it for its workers.

import Bytes
package import Platform

/// The folders of a host, and what keeps them its own.
package enum HostFolders {
    /// Makes the folder of the state and locks it; nobody else serves from it as long
    /// as the descriptor is open, in whatever process.
    package static func claim(
        _ configuration: ServerConfiguration
    ) throws(StartFailure) -> FileDescriptor {
        try make(configuration.state, option: "state")
        do {
            return try lock(configuration.state)
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

    private static func lock(_ folder: String) throws -> FileDescriptor {
        let path = "\(folder)/lock"
        let file = try File.open(path, access: .append, mode: 0o600)
        // A host that is just ending holds the lock for another moment; a worker whose supervisor
        // was killed, until it has answered what it had begun.
        let owner = (try? File.read(path, limit: 64)).flatMap { Bytes.decimal($0.dropLast()) }
        let isRunning = owner.flatMap { Int32(exactly: $0) }.map(CurrentProcess.isRunning) ?? true
        let limit = MonotonicClock.now() + (isRunning ? 1_000_000_000 : 10_000_000_000)
        while try !File.lock(file) {
            guard MonotonicClock.now() < limit else {
                throw StartFailure.configuration(
                    "\(path): found a lock of another host; wanted a state folder of its own for "
                        + "every host; end the other one or give this one another --state"
                )
            }
            MonotonicClock.sleep(nanoseconds: 10_000_000)
        }
        try file.truncate(to: 0)
        var text: [UInt8] = []
        text.append("\(CurrentProcess.id)\n")
        try file.writeAll(text.span)
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
