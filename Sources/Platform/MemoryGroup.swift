// A bound on a worker's memory that the kernel counts: a control group (version 2), where this
// process may divide its own one, as under systemd with `Delegate=yes`.

package import Glibc

/// A control group that workers are put into.
package struct MemoryGroup: Sendable {
    /// The group's folder.
    package let folder: String

    /// Divides the group of this process into one for it and one for workers, which may have so
    /// many bytes; nil: there is no group that it may divide.
    ///
    /// - Parameters:
    ///   - bytes: what all processes of the group may hold together.
    ///   - root: where the groups are.
    ///   - own: this process's group below it; nil: what `/proc/self/cgroup` says.
    package init?(bytes: UInt64, root: String = "/sys/fs/cgroup", own: String? = nil) {
        guard let own = own ?? Self.ownGroup() else { return nil }
        let base = own == "/" ? root : root + own
        guard File.exists("\(base)/cgroup.procs"),
            let controllers = try? File.readStream("\(base)/cgroup.controllers"),
            String(decoding: controllers, as: UTF8.self).split(whereSeparator: \.isWhitespace)
                .contains("memory")
        else { return nil }
        folder = "\(base)/worker"
        do {
            // A group whose processes are counted has none itself: this one goes to a part of it.
            try Directory.createAll("\(base)/supervisor", mode: 0o755)
            try Self.write("\(CurrentProcess.id)\n", to: "\(base)/supervisor/cgroup.procs")
            try Self.write("+memory\n", to: "\(base)/cgroup.subtree_control")
            try Directory.createAll(folder, mode: 0o755)
            try Self.write("\(bytes)\n", to: "\(folder)/memory.max")
            // A worker that goes over it ends as a whole, and the next one takes over.
            try Self.write("1\n", to: "\(folder)/memory.oom.group")
        } catch {
            return nil
        }
    }

    /// Puts a process there; false: the kernel does not want it.
    package func add(_ process: pid_t) -> Bool {
        (try? Self.write("\(process)\n", to: "\(folder)/cgroup.procs")) != nil
    }

    private static func ownGroup() -> String? {
        let text = (try? File.readStream("/proc/self/cgroup")) ?? []
        let line = String(decoding: text, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix("0::") }
        return line.map { String($0.dropFirst(3)) }
    }

    private static func write(_ text: String, to path: String) throws(SystemError) {
        let file = try File.open(path, flags: O_WRONLY | O_CREAT | O_TRUNC)
        let bytes = Array(text.utf8)
        try file.writeAll(bytes.span)
    }
}
