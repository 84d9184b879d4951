// The real program as a child process, in a folder of its own.

package import JSON
package import Platform

/// Other processes of this machine.
package enum Processes {
    /// The children of a process, the oldest first.
    package static func children(of parent: Int32) -> [Int32] {
        let tasks = (try? Directory.names(in: "/proc/\(parent)/task")) ?? []
        let texts = tasks.map { task in
            (try? File.readStream("/proc/\(parent)/task/\(task)/children")) ?? []
        }
        return texts.flatMap { String(decoding: $0, as: UTF8.self).split(separator: " ") }
            .compactMap { Int32($0) }
    }

    /// Whether a process has ended; somebody may still have to take note of it.
    package static func hasEnded(_ process: Int32) -> Bool {
        let text = (try? File.readStream("/proc/\(process)/stat")) ?? []
        let state = String(decoding: text, as: UTF8.self).split(separator: ")").last ?? " Z"
        return state.hasPrefix(" Z")
    }

    /// Sends a signal to a process that a test has started, or that one of those has: SIGKILL.
    package static func end(_ process: Int32) { CurrentProcess.send(9, to: process) }
}

/// A folder with endpoints, a store, logs and a state, and the host that runs in it.
package final class HostProcess {
    package let folder: TemporaryFolder
    package private(set) var child: ChildProcess?
    package private(set) var address = SocketAddress.unix("none")
    package private(set) var output = ""

    package init() throws {
        folder = try TemporaryFolder()
        try Directory.create("\(folder.path)/endpoints")
    }

    /// The folder options of every command.
    package var options: [String] {
        ["endpoints", "deployments", "logs", "state"].flatMap {
            ["--\($0)", "\(folder.path)/\($0)"]
        }
    }

    /// Runs a command to its end.
    package func run(
        _ arguments: [String]
    ) throws -> (end: ProcessEnd?, output: String, errors: String) {
        let child = try ChildProcess(
            executable: Built.program,
            arguments: arguments,
            environment: Self.environment
        )
        let end = child.wait(seconds: 60)
        return (end, child.standardOutput, child.standardError)
    }

    static let environment = ["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no"]

    /// Deploys a plugin that the build made.
    package func deploy(_ name: String, _ plugin: String, _ more: [String] = []) throws {
        let result = try run(["deploy", name, Built.plugin(plugin)] + options + more)
        guard result.end == .exited(0) else {
            throw ClientError(description: "deploy \(name): \(result.errors)")
        }
    }

    /// Starts the host on a port that the kernel chooses, and waits until it listens.
    package func start(_ more: [String] = []) throws {
        let child = try ChildProcess(
            executable: Built.program,
            arguments: ["serve", "--listen", "127.0.0.1:0", "--settle", "0"] + options + more,
            environment: Self.environment
        )
        self.child = child
        let isListening = eventually(seconds: 60) {
            output = child.standardOutput
            return output.contains("listening on ") && output.hasSuffix("\n") || child.poll() != nil
        }
        let line = output.split(separator: "\n").last { $0.hasPrefix("listening on ") }
        guard isListening, let line, let address = SocketAddress(String(line.dropFirst(13))) else {
            throw ClientError(
                description: "the host did not listen: \(output)\(child.standardError)"
            )
        }
        self.address = address
    }

    /// Ends the host with a signal and says how it ended.
    package func stop(signal: CInt = 15) -> ProcessEnd? {
        guard let child else { return nil }
        child.send(signal: signal)
        return child.wait(seconds: 60)
    }

    /// The process id of the host's worker: the oldest child; nil: there is none at the moment.
    package func worker() -> Int32? { workers.first }

    /// The processes that the host has started, the newest last.
    package var workers: [Int32] { child.map { Processes.children(of: $0.id) } ?? [] }

    /// How many crash reports there are.
    package var crashReports: Int {
        let names = (try? Directory.names(in: "\(folder.path)/state/crashes")) ?? []
        return names.filter { $0.hasSuffix(".json") }.count
    }

    /// How many descriptors the supervisor has open.
    package func supervisorDescriptors() -> Int {
        guard let child else { return 0 }
        return (try? Directory.names(in: "/proc/\(child.id)/fd").count) ?? 0
    }

    /// Every record of the request log, in order.
    package func records() throws -> [JSONValue] {
        let logs = "\(folder.path)/logs"
        var records: [JSONValue] = []
        for name in try Directory.names(in: logs) where name.hasPrefix("requests-") {
            let bytes = try File.read("\(logs)/\(name)", limit: 1 << 30)
            for line in bytes.split(separator: 0x0a) {
                records.append(try JSONValue(parsing: Array(line)))
            }
        }
        return records
    }
}
