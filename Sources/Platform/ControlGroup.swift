// What a container gives this process of its machine: processors and memory of the control groups
// that it is in. Without any, what the machine has.

/// Limits of control groups, version 2 or 1.
package struct ControlGroup: Sendable {
    /// Processors, rounded up to whole ones; nil: no limit.
    package private(set) var processors: Int?
    /// Bytes; nil: no limit.
    package private(set) var memoryBytes: Int?

    /// Reads the limits of this process's groups and of all above them.
    ///
    /// - Parameters:
    ///   - root: where the groups are.
    ///   - membership: the text of `/proc/self/cgroup`; nil: that file's own.
    package init(root: String = "/sys/fs/cgroup", membership: String? = nil) {
        let text =
            membership
            ?? String(decoding: (try? File.readStream("/proc/self/cgroup")) ?? [], as: UTF8.self)
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let controllers = parts[1].split(separator: ",").map(String.init)
            if controllers.isEmpty {
                take(groups(root, String(parts[2])), "cpu.max", "memory.max")
            }
            if controllers.contains("cpu") {
                takeQuota(groups("\(root)/cpu", String(parts[2])))
            }
            if controllers.contains("memory") {
                let folders = groups("\(root)/memory", String(parts[2]))
                for folder in folders { takeMemory(word("\(folder)/memory.limit_in_bytes")) }
            }
        }
    }

    /// A group's folder and those above it. A container may see its own group as the root.
    private func groups(_ root: String, _ path: String) -> [String] {
        var folders = [root]
        for part in path.split(separator: "/") where part != ".." {
            folders.append("\(folders.last ?? root)/\(part)")
        }
        return folders
    }

    private func word(_ path: String, _ index: Int = 0) -> Int? {
        let text = String(decoding: (try? File.readStream(path)) ?? [], as: UTF8.self)
        let words = text.split(whereSeparator: \.isWhitespace)
        return index < words.count ? Int(words[index]) : nil
    }

    private mutating func take(_ folders: [String], _ cpu: String, _ memory: String) {
        for folder in folders {
            takeQuota(word("\(folder)/\(cpu)"), word("\(folder)/\(cpu)", 1))
            takeMemory(word("\(folder)/\(memory)"))
        }
    }

    private mutating func takeQuota(_ folders: [String]) {
        for folder in folders {
            takeQuota(word("\(folder)/cpu.cfs_quota_us"), word("\(folder)/cpu.cfs_period_us"))
        }
    }

    private mutating func takeQuota(_ quota: Int?, _ period: Int?) {
        guard let quota, let period, quota > 0, period > 0 else { return }
        let count = max(1, (quota + period - 1) / period)
        processors = min(processors ?? count, count)
    }

    private mutating func takeMemory(_ bytes: Int?) {
        // Version 1 says a number beyond every machine where there is no limit.
        guard let bytes, bytes > 0, bytes < 1 << 60 else { return }
        memoryBytes = min(memoryBytes ?? bytes, bytes)
    }
}
