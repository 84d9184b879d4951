import JSON
import Platform
import TestSupport
import Testing

/// Endpoint files that nobody should have to meet: each is an error with its place, all of them at
/// once, and nothing is half-started.
struct BadEndpointTests {
    private let host: HostProcess

    init() throws { host = try HostProcess() }

    private func write(_ name: String, _ text: String) throws {
        try host.folder.write("endpoints/\(name)", text)
    }

    @Test func `every kind of broken file is an error with its place`() throws {
        let bomb = (0..<9).map { "a\($0): &a\($0) [\(Array(repeating: "*a\($0)", count: 9))]\n" }
        try write("anchor.yaml", bomb.joined())
        try write("tab.yaml", "schemaVersion: 1\n\tbackends: {}\n")
        try write("twice.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}, a: {value: 2}}\n")
        try write("tag.yaml", "schemaVersion: !!int 1\nbackends: {a: {value: 1}}\n")
        try write("merge.yaml", "schemaVersion: 1\nbackends: {a: {<<: {value: 1}}}\n")
        try write("second.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n---\nx: 1\n")
        try write("deep.yaml", String(repeating: "[", count: 100_000))
        try write("binary.yaml", "\u{0}\u{1}\u{2}ELF")
        try write("Bad-Name.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        try write("control.yaml", "schemaVersion: 1\nbackends: {\"a\\u0000b\": {value: 1}}\n")
        let folder = "\(host.folder.path)/endpoints"
        try File.writeNew("\(folder)/latin.yaml", [0x61, 0x3a, 0x20, 0xe9, 0x0a])
        try Directory.create("\(folder)/folder.yaml")
        try shell("ln -s nowhere \(folder)/dangling.yaml")
        try shell("ln -s loop.yaml \(folder)/loop.yaml")
        try shell("truncate -s 1G \(folder)/large.yaml")
        try shell("mkfifo \(folder)/fifo.yaml")
        for line in [["check", folder], ["serve", "--listen", "127.0.0.1:0"]] {
            let result = try host.run(line + host.options)
            #expect(result.end == .exited(78), "\(line[0])")
            for place in [
                "anchor.yaml:1:5: error", "tab.yaml:2:", "twice.yaml:2:", "tag.yaml:1:",
                "merge.yaml:2:", "second.yaml:3:", "deep.yaml:1:", "binary.yaml:1:1: error",
                "Bad-Name.yaml:1:1: error", "control.yaml:2:12: error", "latin.yaml:1:1: error",
                "folder.yaml: found a folder", "dangling.yaml: found no readable file",
                "loop.yaml: found no readable file", "large.yaml: found 1073741824 bytes",
                "fifo.yaml: found neither a file nor a folder",
            ] {
                #expect(result.errors.contains("\(folder)/\(place)"), "\(place): \(result.errors)")
            }
            #expect(!result.errors.utf8.contains { $0 < 0x20 && $0 != 0x0a })
        }
        #expect(!File.exists("\(host.folder.path)/state/revisions"), "nothing was committed")
        #expect(
            try Directory.names(in: "\(host.folder.path)/logs") == [".lock"],
            "nothing was begun"
        )
    }

    private func shell(_ line: String) throws {
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", line],
            environment: ["PATH=/usr/bin:/bin"]
        )
        #expect(child.wait(seconds: 10) == .exited(0), "\(line): \(child.standardError)")
    }

    @Test func `a file that nobody may read is an error`() throws {
        try write("secret.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        try File.setMode("\(host.folder.path)/endpoints/secret.yaml", 0)
        let result = try host.run(["check", "\(host.folder.path)/endpoints"] + host.options)
        if CurrentProcess.user == 0 {
            // Nothing is closed to root.
            #expect(result.end == .exited(0))
        } else {
            #expect(result.end == .exited(78))
            #expect(result.errors.contains("secret.yaml: found no readable file"))
        }
    }

    @Test func `a folder that is not there is an error`() throws {
        let result = try host.run(
            ["serve", "--listen", "127.0.0.1:0"] + host.options + ["--endpoints", "/nowhere"]
        )
        #expect(result.end == .exited(78))
        #expect(result.errors.contains("/nowhere"), "\(result.errors)")
        #expect(result.errors.contains("name the folder of endpoint files"))
    }

    @Test func `a file that comes and goes while it is read is there or an error`() throws {
        let folder = "\(host.folder.path)/endpoints"
        try write("steady.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        let path = host.folder.path
        let isDone = Guarded<Bool>(false)
        let thread = try Thread(name: "vanish") {
            while !isDone.withLock({ $0 }) {
                let text = Array("schemaVersion: 1\nbackends: {a: {value: 1}}\n".utf8)
                try? File.writeNew("\(path)/endpoints/shy.yaml", text)
                try? File.remove("\(path)/endpoints/shy.yaml")
            }
        }
        for _ in 0..<Storm.count(1000, least: 20) {
            let result = try host.run(["check", folder] + host.options)
            switch result.end {
            case .exited(0):
                #expect(result.output.contains("fine, "))
            case .exited(78):
                #expect(result.errors.contains("\(folder)/shy.yaml:"), "\(result.errors)")
                #expect(!result.errors.contains("steady"))
            default:
                Issue.record("\(String(describing: result.end)): \(result.errors)")
            }
        }
        isDone.withLock { $0 = true }
        thread.join()
    }
}
