import JSON
import Platform
import TestSupport
import Testing

/// What the host's processes are, to each other and to the machine that they run on.
@Suite(.serialized)
struct ProcessTests {
    private static let value = "schemaVersion: 1\nbackends: {a: {value: 1}}\n"

    private func host(_ more: [String] = []) throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.value)
        try host.start(more)
        return host
    }

    private func ask(_ host: HostProcess) throws -> Int {
        try Client(host.address).call("POST", "/v1/e", body: "{\"data\": 1}").status
    }

    private static func text(_ path: String) -> String {
        String(decoding: (try? File.readStream(path)) ?? [], as: UTF8.self)
    }

    @Test func `ps and top show what each process is`() throws {
        let host = try host()
        let worker = try #require(host.worker())
        let child = try #require(host.child)
        #expect(Self.text("/proc/\(child.id)/comm") == "switchyard\n")
        #expect(Self.text("/proc/\(worker)/comm") == "switchyard-work\n")
        #expect(Self.text("/proc/\(worker)/cmdline").hasPrefix("switchyard-worker\0"))
        let names = try Directory.names(in: "/proc/\(worker)/task").map {
            Self.text("/proc/\(worker)/task/\($0)/comm")
        }
        #expect(names.contains("loop-0\n") && names.contains("request-log\n"), "\(names)")
    }

    @Test func `nobody can connect before the first worker serves`() throws {
        let host = try HostProcess()
        try host.deploy("slow", "life_model")
        try host.folder.write("settings.json", "{\"burnMilliseconds\": 1500}")
        try host.deploy("slow", "life_model", ["--settings", "\(host.folder.path)/settings.json"])
        let socket = "\(host.folder.path)/clients"
        let child = try ChildProcess(
            executable: Built.program,
            arguments: ["serve", "--listen", "unix:\(socket)", "--settle", "0"] + host.options,
            environment: ["PATH=/usr/bin:/bin"]
        )
        #expect(eventually { File.exists(socket) })
        var refused = 0
        while !child.standardOutput.contains("listening on ") {
            if (try? Socket.connect(to: .unix(socket), waits: false)) == nil { refused += 1 }
            MonotonicClock.sleep(nanoseconds: 10_000_000)
            if child.poll() != nil { break }
        }
        #expect(refused > 20, "\(refused)")
        #expect((try? Socket.connect(to: .unix(socket), waits: false)) != nil)
        child.send(signal: 15)
        #expect(child.wait(seconds: 30) == .exited(0))
    }

    @Test func `two hosts do not share a folder of logs`() throws {
        let host = try host()
        let other = try HostProcess()
        try other.folder.write("endpoints/e.yaml", Self.value)
        let result = try other.run([
            "serve", "--listen", "127.0.0.1:0", "--endpoints", "\(other.folder.path)/endpoints",
            "--deployments", "\(other.folder.path)/deployments", "--logs",
            "\(host.folder.path)/logs", "--state", "\(other.folder.path)/state",
        ])
        let process = host.child?.id ?? 0
        #expect(result.end == .exited(78))
        #expect(result.errors.contains("found a lock of process \(process)"), "\(result.errors)")
        #expect(result.errors.contains("--state \(host.folder.path)/state"), "\(result.errors)")
        #expect(result.errors.contains("another --logs"))
        #expect(try ask(host) == 200)
    }

    @Test func `a reader of events that stops reading stops nobody`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.value)
        // Standard error is a pipe that is open and never read.
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: [
                "-c", "cd \"$0\"; mkfifo events; (sleep 600 < events) & exec \"$@\" 2> events",
                host.folder.path,
                try Built.program, "serve", "--listen", "127.0.0.1:0", "--settle", "0",
            ] + host.options,
            environment: ["PATH=/usr/bin:/bin"]
        )
        #expect(eventually { child.standardOutput.contains("listening on ") })
        let line = child.standardOutput.split(separator: "\n").first { $0.hasPrefix("listening") }
        let address = try #require(SocketAddress(String((line ?? "").dropFirst(13))))
        // Each of them is an event; a pipe holds some hundreds.
        try host.folder.write("endpoints/broken.yaml", "schemaVersion: 9\n")
        for _ in 0..<600 { child.send(signal: 1) }
        for round in 0..<300 {
            _ = try host.run(round == 0 ? ["status"] + host.options : ["version"])
            if round % 50 == 0 { _ = try host.run(["reload"] + host.options) }
            let status = try Client(address).call("POST", "/v1/e", body: "{\"data\": 1}").status
            #expect(status == 200)
        }
        child.send(signal: 15)
        #expect(child.wait(seconds: 30) == .exited(0))
    }

    @Test(arguments: ["line", "channels"])
    func `a worker whose line a plugin has closed is replaced`(how: String) throws {
        let host = try HostProcess()
        try host.deploy("faulty", "faulty_model")
        try host.start(["--quarantine", "1000/1"])
        let before = try #require(host.worker())
        let client = try Client(host.address)
        let answer = try client.call(
            "POST",
            "/v1/faulty/1",
            body: "{\"data\": {\"number\": 1, \"how\": \"\(how)\"}}"
        )
        #expect(answer.status == 200, "\(answer.text)")
        // New connections show that a channel is closed.
        for _ in 0..<20 {
            let other = try Client(host.address)
            let answer = try other.call("POST", "/v1/faulty/1", body: "{\"data\": {\"number\": 2}}")
            #expect(answer.status == 200, "\(answer.text)")
        }
        #expect(eventually { host.worker().map { $0 != before } ?? false })
        #expect(eventually { host.child?.standardError.contains("worker.silent") == true })
        #expect(
            try client.call("POST", "/v1/faulty/1", body: "{\"data\": {\"number\": 3}}").status
                == 200
        )
        #expect(host.stop() == .exited(0))
    }

    @Test func `a recycling whose next worker cannot start is given up with a sentence`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.value)
        // Long enough to be ended before it is ready.
        try host.folder.write("settings.json", "{\"burnMilliseconds\": 2000}")
        try host.deploy("slow", "life_model", ["--settings", "\(host.folder.path)/settings.json"])
        try host.start()
        let serving = try #require(host.worker())
        let command = try ChildProcess(
            executable: Built.program,
            arguments: ["recycle"] + host.options,
            environment: ["PATH=/usr/bin:/bin"]
        )
        var ended = 0
        let isOver = eventually(seconds: 60) {
            for worker in host.workers where worker != serving {
                Processes.end(worker)
                ended += 1
            }
            return command.poll() != nil
        }
        #expect(isOver && command.poll() == .exited(1), "\(ended) ended")
        #expect(
            command.standardError.contains("no other worker takes over"),
            "\(command.standardError)"
        )
        #expect(try ask(host) == 200)
        #expect(host.worker() == serving)
        #expect(host.child?.standardError.contains("worker.recycle_failed") == true)
        // And the next one is an attempt of its own.
        let again = try host.run(["recycle"] + host.options)
        #expect(again.end == .exited(0), "\(again.errors)")
        #expect(host.stop() == .exited(0))
    }

    @Test func `standbys that are killed cost the one that serves nothing`() throws {
        let host = try host(["--standby"])
        let serving = try #require(host.worker())
        for _ in 0..<6 {
            #expect(eventually { host.workers.contains { $0 != serving } })
            for worker in host.workers where worker != serving { Processes.end(worker) }
        }
        let begun = MonotonicClock.now()
        Processes.end(serving)
        #expect(try ask(host) == 200)
        // A back-off would take five seconds.
        #expect(MonotonicClock.now() - begun < 4_000_000_000)
        #expect(host.stop() == .exited(0))
    }

    @Test func `the first process of a container takes note of every child's end`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.value)
        let child = try ChildProcess(
            executable: "/usr/bin/unshare",
            arguments: [
                "--fork", "--pid", "--kill-child", "/bin/sh", "-c",
                "for i in 1 2 3; do (sleep 1 & sleep 0.1) & done; exec \"$@\"", "sh",
                try Built.program, "serve", "--listen", "127.0.0.1:0", "--settle", "0",
            ] + host.options,
            environment: ["PATH=/usr/bin:/bin"]
        )
        guard eventually(seconds: 30, { child.standardOutput.contains("listening on ") }) else {
            // Where no namespaces can be made there is nothing to see.
            #expect(child.standardError.contains("unshare"), "\(child.standardError)")
            return
        }
        let first = try #require(Processes.children(of: child.id).first)
        func zombies() -> Int {
            Processes.children(of: first).filter { Processes.hasEnded($0) }.count
        }
        MonotonicClock.sleep(nanoseconds: 1_500_000_000)
        #expect(eventually { zombies() == 0 })
        #expect(Processes.children(of: first).count == 1, "the worker")
        Processes.end(first)
    }

    @Test func `a worker with too little memory says what it needs`() throws {
        let host = try host(["--worker-memory", "64"])
        #expect(try ask(host) == 200)
        #expect(host.stop() == .exited(0))
    }

    @Test func `settling is a part of draining`() throws {
        let host = try HostProcess()
        let result = try host.run(["serve", "--settle", "30000", "--drain", "10"] + host.options)
        #expect(result.end == .exited(64))
        #expect(result.errors.contains("wanted a shorter '--settle'"), "\(result.errors)")
    }
}
