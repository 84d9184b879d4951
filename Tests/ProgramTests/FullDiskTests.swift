import JSON
import Platform
import TestSupport
import Testing

/// A disk that takes nothing more. Files of this process may not grow past a limit (`ulimit -f`),
/// which every write meets as it would meet a full disk, in any folder and without root.
struct FullDiskTests {
    private let host: HostProcess

    init() throws {
        host = try HostProcess()
        try host.folder.write(
            "endpoints/e.yaml",
            "schemaVersion: 1\nbackends: {a: {value: 1}, m: {value: 2, weight: 0}}\n"
        )
    }

    /// Runs the program with files of at most so many KiB.
    private func start(_ line: [String], kibibytes: Int) throws -> ChildProcess {
        let words = ([try Built.program] + line + host.options).map { "'\($0)'" }
        return try ChildProcess(
            executable: "/bin/bash",
            arguments: [
                "-c",
                "trap '' XFSZ; ulimit -f \(kibibytes); exec \(words.joined(separator: " "))",
            ],
            environment: ["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no"]
        )
    }

    /// A host with a small ring and few slots, which lie in files of their own; alone, since what a
    /// supervisor shares with its workers is such a file too.
    private let serve = [
        "serve", "--listen", "127.0.0.1:0", "--settle", "0", "--ring", "1", "--loops", "1",
        "--limit", "connections=8", "--no-supervisor",
    ]

    /// Every path below the folder.
    private func files(_ folder: String) throws -> [String] {
        guard File.exists("\(host.folder.path)/\(folder)") else { return [] }
        return try Directory.names(in: "\(host.folder.path)/\(folder)").flatMap { name in
            let path = "\(folder)/\(name)"
            let kind = try File.facts("\(host.folder.path)/\(path)").kind
            return kind == .directory ? [path + "/"] + (try files(path)) : [path]
        }
    }

    @Test(.enabled(if: !Sanitizers.watchThreads))
    func `a build that does not fit into the store leaves nothing there`() throws {
        let child = try start(
            ["deploy", "area", Built.plugin("codable_model")],
            kibibytes: 64
        )
        #expect(child.wait(seconds: 60) == .exited(1))
        #expect(child.standardError.contains("deploying main/area: "), "\(child.standardError)")
        #expect(child.standardError.contains("plugin.so: File too large"))
        #expect(try files("deployments") == [])
        // And once there is room again:
        try host.deploy("area", "codable_model")
    }

    @Test(.enabled(if: !Sanitizers.watchThreads))
    func `an alias that cannot be written stays what it was`() throws {
        try host.deploy("area", "thirty_lines")
        _ = try host.run(["alias", "set", "area", "prod", "1"] + host.options)
        for number in 0..<40 {
            let name = "\(number)-\(String(repeating: "x", count: 50))"
            _ = try host.run(["alias", "set", "area", name, "1"] + host.options)
        }
        let before = try files("deployments")
        let child = try start(["alias", "set", "area", "other", "1"], kibibytes: 1)
        #expect(child.wait(seconds: 60) == .exited(1))
        #expect(child.standardError.contains("deployment.yaml"), "\(child.standardError)")
        #expect(try files("deployments") == before)
        let list = try host.run(["alias", "list"] + host.options).output
        #expect(list.contains("main/area   prod ") && !list.contains("other"))
    }

    @Test func `a host whose state has little room keeps its records in less`() throws {
        let child = try start(serve, kibibytes: 700)
        let isListening = eventually {
            child.standardOutput.contains("listening on ") || child.poll() != nil
        }
        #expect(isListening && child.standardOutput.contains("endpoint e: "))
        let said = eventually { child.standardError.contains("request_log.small_ring") }
        #expect(said && child.standardError.contains("instead of 1048576"))
        #expect(child.standardError.contains("File too large"), "\(child.standardError)")
        child.send(signal: 15)
        #expect(child.wait(seconds: 60) == .exited(0))
    }

    @Test func `a private copy that has no room keeps the version out, not the host`() throws {
        try host.deploy("large", "codable_model")
        let child = try start(
            serve,
            kibibytes: 2048
        )
        let isListening = eventually {
            child.standardOutput.contains("listening on ") || child.poll() != nil
        }
        #expect(isListening && child.standardOutput.contains("endpoint e: "))
        #expect(child.standardError.contains("'latest' of main/large cannot be called"))
        #expect(child.standardError.contains("File too large"), "\(child.standardError)")
        child.send(signal: 15)
        #expect(child.wait(seconds: 20) == .exited(0))
        #expect(try files("state/plugins").isEmpty)
    }

    @Test func `a full log is a reason of health and predictions go on`() throws {
        let child = try start(
            serve,
            kibibytes: 1100
        )
        #expect(eventually { child.standardOutput.contains("listening on ") })
        let line =
            child.standardOutput.split(separator: "\n").first { $0.hasPrefix("listening on ") }
            ?? ""
        let address = try #require(SocketAddress(String(line.dropFirst(13))))
        let client = try Client(address)
        var answered = 0
        func ask(until isEnough: (JSONValue) -> Bool) throws -> JSONValue {
            while true {
                for _ in 0..<200 {
                    let answer = try client.call("POST", "/v1/e", body: "{\"data\": 1}")
                    #expect(answer.status == 200)
                    answered += 1
                }
                let health = try client.call("GET", "/health/ready")
                #expect(health.status == 200, "the host goes on")
                if isEnough(health.json) || answered > 40_000 { return health.json }
            }
        }
        let reasons = { (health: JSONValue) in
            (health["reasons"]?.array ?? []).compactMap(\.string)
        }
        let failing = try ask { reasons($0).contains("the request log cannot be written") }
        #expect(reasons(failing).contains("the request log cannot be written"))
        // The ring holds what waits; when it is full too, what is lost is counted.
        let losing = try ask { reasons($0).contains { $0.contains("were lost") } }
        let sentence = try #require(reasons(losing).first { $0.contains("were lost") })
        let lost = try #require(sentence.split(separator: " ").first.flatMap { Int($0) })
        #expect(child.standardError.contains("request_log.failing"))
        child.send(signal: 9)
        _ = child.wait(seconds: 20)
        // With room again, everything but what was counted reaches the log, and no line is torn.
        try host.start(["--ring", "1"])
        #expect(host.stop() == .exited(0))
        let records = try host.records()
        #expect(records.count >= answered - lost - 1)
        #expect(records.count <= answered - lost + 200)
        let sequences = records.compactMap { $0["sequence"]?.unsigned }
        #expect(sequences == Array(1...UInt64(records.count)))
    }
}
