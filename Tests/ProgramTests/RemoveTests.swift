import JSON
import Platform
import TestSupport
import Testing

/// `remove` and `prune` as a person uses them.
struct RemoveTests {
    private let host: HostProcess
    /// The folder of `main/m`.
    private let path: String

    init() throws {
        host = try HostProcess()
        path = "\(host.folder.path)/deployments/main/m"
    }

    private func deploy(_ count: Int) throws {
        for number in 1...count {
            let settings = try host.folder.write("settings.json", "{\"n\":\(number)}")
            try host.deploy("m", "thirty_lines", ["--settings", settings])
        }
    }

    /// Copies version 1 under another number; nothing that is tested here opens its plugin.
    private func copy(to number: Int) throws {
        let bytes = try File.read("\(path)/1/manifest.yaml", limit: 1 << 20)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
            $0 == "version: 1" ? "version: \(number)" : String($0)
        }
        let start = "deployments/main/m/\(number)"
        try host.folder.write("\(start)/manifest.yaml", lines.joined(separator: "\n") + "\n")
    }

    private func run(
        _ line: [String]
    ) throws -> (end: ProcessEnd?, output: String, errors: String) {
        try host.run(line + host.options)
    }

    private func versions() throws -> [String] {
        try Directory.names(in: path).filter { Int($0) != nil }
    }

    @Test func `a version that nobody uses is removed, and its number is not given again`() throws {
        try deploy(2)
        let first = try run(["remove", "m", "2"])
        #expect(first.end == .exited(0), "\(first.errors)")
        #expect(first.output == "main/m version 2: removed\n")
        #expect(try run(["list"]).output.split(separator: "\n").count == 2)
        let again = try run(["remove", "m", "2"])
        #expect(again.end == .exited(1))
        #expect(again.errors == "switchyard remove: main/m has no version 2; it has 1\n")
        let last = try run(["remove", "m", "1", "--json"])
        #expect(
            last.output == #"{"branch":"main","name":"m","version":1,"outcome":"removed"}"# + "\n"
        )
        #expect(try run(["list"]).output == "nothing is deployed\n")
        let empty = try run(["prune", "--keep", "1"])
        #expect(empty.end == .exited(0) && empty.output == "there is no version\n")
        try host.deploy("m", "thirty_lines")
        #expect(try versions() == ["3"])
    }

    @Test func `a version in use is refused with everybody who uses it and what to do`() throws {
        try deploy(3)
        let file = "\(host.folder.path)/endpoints/e.yaml"
        try host.folder.write(
            "endpoints/e.yaml",
            "schemaVersion: 1\nbackends:\n  a: {deployment: {name: m, version: 1}}\n"
                + "  b: {deployment: {name: m, version: 1}}\n"
                + "  c: {deployment: {name: m, version: prod}}\n"
        )
        _ = try run(["alias", "set", "m", "prod", "2"])
        try host.start()
        #expect(host.stop() == .exited(0))
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        _ = try run(["alias", "remove", "m", "prod"])
        _ = try run(["alias", "set", "m", "next", "3"])
        for (number, sentence) in [
            (
                1,
                "revision 1, which is served, has it as 1; wanted a version that nobody uses; "
                    + "run 'switchyard reload', then remove it"
            ),
            (
                2,
                "revision 1, which is served, has it as prod; wanted a version that nobody "
                    + "uses; run 'switchyard reload', then remove it"
            ),
            (
                3,
                "the alias next names it; revision 1, which is served, has it as latest; wanted "
                    + "a version that nobody uses; run 'switchyard alias remove m next', then "
                    + "deploy a newer version, then run 'switchyard reload', then remove it"
            ),
        ] {
            let result = try run(["remove", "m", String(number)])
            #expect(result.end == .exited(1) && result.output.isEmpty)
            let start = "switchyard remove: main/m version \(number) is in use: "
            #expect(result.errors == "\(start)\(sentence)\n")
        }
        // A start takes what the files say now, and with it the uses of the revision before.
        try host.start()
        #expect(host.stop() == .exited(0))
        #expect(try run(["remove", "m", "1"]).end == .exited(0))
        try host.folder.write(
            "endpoints/e.yaml",
            "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: 2}}}\n"
        )
        let named = try run(["remove", "m", "2"])
        #expect(
            named.errors == "switchyard remove: main/m version 2 is in use: the endpoint file "
                + "\(file) names it; wanted a version that nobody uses; name another version in "
                + "\(file), then remove it\n"
        )
        #expect(try versions() == ["2", "3"])
    }

    @Test func `the only version stays while an endpoint names latest`() throws {
        try deploy(2)
        try host.folder.write(
            "endpoints/e.yaml",
            "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: latest}}}\n"
        )
        #expect(try run(["remove", "m", "2"]).end == .exited(0))
        let last = try run(["remove", "m", "1"])
        #expect(last.end == .exited(1))
        #expect(last.errors.contains("e.yaml names latest, and there is no other version; wanted"))
    }

    @Test func `what cannot be read is a reason to keep everything`() throws {
        try deploy(2)
        func refused(_ sentences: String...) throws {
            for line in [["remove", "m", "1"], ["prune", "--keep", "1"]] {
                let result = try run(line)
                #expect(result.end == .exited(1))
                for sentence in sentences {
                    #expect(result.errors.contains(sentence), "\(result.errors)")
                }
            }
            #expect(try versions() == ["1", "2"])
        }
        let folder = host.folder.path
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackend: {}\n")
        try refused(
            "the endpoint files in \(folder)/endpoints use cannot be known: found errors",
            "'switchyard check \(folder)/endpoints' shows",
            "\(folder)/endpoints/e.yaml:2:1: error: unknown key 'backend'"
        )
        try Directory.removeAll("\(folder)/endpoints")
        try refused("opendir \(folder)/endpoints: No such file", "name the folder of endpoint")
        try Directory.create("\(folder)/endpoints")
        try host.folder.write("state/revisions/current", "x\n")
        try refused("no readable revision in \(folder)/state/revisions: ", "start the host again")
        try File.remove("\(folder)/state/revisions/current")
        try host.folder.write("deployments/main/m/deployment.yaml", "aliases: 5\n")
        try refused("deployment.yaml:1:")
        try File.remove("\(path)/deployment.yaml")
        #expect(try run(["prune", "--keep", "1"]).end == .exited(0))
        #expect(try versions() == ["2"])
    }

    @Test func `pruning says of every version what became of it`() throws {
        try deploy(4)
        try host.deploy("other", "thirty_lines")
        try host.deploy("m", "thirty_lines", ["--branch", "team/a"])
        _ = try run(["alias", "set", "m", "prod", "2"])
        let all = try run(["prune", "--keep", "1", "--dry-run"])
        #expect(all.end == .exited(0))
        #expect(
            all.output == """
                main/m version 1: would be removed
                main/m version 2: kept: the alias prod names it
                main/m version 3: would be removed
                main/m version 4: kept: it is the newest
                main/other version 1: kept: it is the newest
                team/a/m version 1: kept: it is the newest

                """
        )
        #expect(try versions() == ["1", "2", "3", "4"])
        let trial = try run(["prune", "m", "--keep", "2", "--dry-run", "--json"])
        let shared = #"{"branch":"main","name":"m","version":"#
        func rows(_ isTrial: Bool) -> String {
            let end = #","dryRun":\#(isTrial)}"#
            return "[\(shared)1,\"outcome\":\"removed\",\"reasons\":[]\(end),"
                + "\(shared)2,\"outcome\":\"kept\",\"reasons\":[\"the alias prod names it\"]\(end),"
                + "\(shared)3,\"outcome\":\"kept\",\"reasons\":[\"it is one of the 2 newest\"]\(end),"
                + "\(shared)4,\"outcome\":\"kept\",\"reasons\":[\"it is one of the 2 newest\"]\(end)]\n"
        }
        #expect(trial.output == rows(true))
        #expect(try versions() == ["1", "2", "3", "4"])
        #expect(try run(["prune", "m", "--keep", "2", "--json"]).output == rows(false))
        #expect(try versions() == ["2", "3", "4"])
        let branch = try run(["prune", "--branch", "team/a", "--keep", "1"])
        #expect(branch.output == "team/a/m version 1: kept: it is the newest\n")
        let rest = try run(["prune", "--keep", "1"]).output.split(separator: "\n")
        #expect(rest.count == 5 && rest[1] == "main/m version 3: removed")
        #expect(try versions() == ["2", "4"])
        // Its build is that of version 5 now, not of 3, which is gone.
        let settings = try host.folder.write("settings.json", "{\"n\":3}")
        try host.deploy("m", "thirty_lines", ["--settings", settings])
        #expect(try versions() == ["2", "4", "5"])
    }

    @Test(arguments: [
        (["remove", "m"], "wanted the deployment's name and the version's number"),
        (["remove", "m", "prod"], "'prod' is no version; wanted a number from 1 on"),
        (["remove", "m", "0"], "'0' is no version"),
        (["remove", "../m", "1"], "'main/../m' is no name for a deployment"),
        (["prune"], "wanted --keep N and at most one deployment's name"),
        (["prune", "--keep", "1", "a", "b"], "wanted --keep N and at most one"),
        (["prune", "--keep", "0"], "'--keep 0': wanted a number from 1 to "),
        (["prune", "--keep", "1", "--branch", "a//b"], "'--branch a//b': wanted the name of"),
    ])
    func `wrong usage ends with 64 and a sentence`(line: [String], sentence: String) throws {
        let result = try run(line)
        #expect(result.end == .exited(64))
        #expect(result.errors.contains(sentence), "\(result.errors)")
    }

    @Test func `deployments and branches that are not there are errors`() throws {
        try deploy(1)
        for (line, sentence) in [
            (["prune", "--keep", "1", "mm"], "there is no deployment main/mm in "),
            (["prune", "--keep", "1", "--branch", "x"], "found no deployment of the branch x in "),
            (["remove", "m", "1", "--branch", "x"], "there is no deployment x/m in "),
        ] {
            let result = try run(line)
            #expect(result.end == .exited(1))
            #expect(result.errors.contains(sentence), "\(result.errors)")
        }
    }

    @Test func `an alias that is set while its version is removed never stands for nothing`()
        throws
    {
        try deploy(1)
        for number in 2...Storm.count(2000, least: 30) + 1 {
            try copy(to: number)
            let removal = try start(["remove", "m", String(number)])
            let alias = try start(["alias", "set", "m", "prod", String(number)])
            let ends = (removal.wait(seconds: 60), alias.wait(seconds: 60))
            let isThere = File.exists("\(path)/\(number)/manifest.yaml")
            let text = removal.standardError + alias.standardError
            if isThere {
                #expect(ends == (.exited(1), .exited(0)), "\(text)")
                #expect(removal.standardError.contains("the alias prod names it"), "\(text)")
                #expect(try run(["alias", "remove", "m", "prod"]).end == .exited(0))
            } else {
                #expect(ends == (.exited(0), .exited(1)), "\(text)")
                #expect(alias.standardError.contains("has no version \(number)"), "\(text)")
            }
            #expect(try run(["alias", "list"]).output == "there is no alias\n")
        }
    }

    @Test func `a removal that is killed leaves the whole version or none of it`() throws {
        try deploy(1)
        let files = 500
        func add(_ number: Int) throws {
            try copy(to: number)
            // Not one after the other and each to the disk, which takes long.
            let make = "mkdir resources && cd resources && seq \(files) | xargs touch"
            let child = try ChildProcess(
                executable: "/bin/sh",
                arguments: ["-c", "cd \(path)/\(number) && \(make)"],
                environment: ["PATH=/usr/bin:/bin"]
            )
            #expect(child.wait(seconds: 60) == .exited(0))
        }
        try add(2)
        let begin = MonotonicClock.now()
        #expect(try run(["remove", "m", "2"]).end == .exited(0))
        let duration = MonotonicClock.now() - begin
        let last = Storm.count(1000, least: 20) + 2
        var halves = 0
        for number in 3...last {
            try add(number)
            let removal = try start(["remove", "m", String(number)])
            if number.isMultiple(of: 2) {
                // Later and later into the removal.
                let part = UInt64(number) * duration / UInt64(last)
                MonotonicClock.sleep(nanoseconds: part)
            } else {
                // As soon as the version is gone.
                let version = "\(path)/\(number)"
                #expect(eventually { !File.exists(version) || removal.poll() != nil })
            }
            removal.send(signal: 9)
            _ = removal.wait(seconds: 60)
            if try Directory.names(in: path).contains(where: { $0.hasPrefix(".removed-") }) {
                halves += 1
            }
            if try versions().contains(String(number)) {
                let rest = try Directory.names(in: "\(path)/\(number)/resources")
                #expect(rest.count == files && File.exists("\(path)/\(number)/manifest.yaml"))
                #expect(try run(["remove", "m", String(number)]).end == .exited(0))
            } else {
                #expect(try run(["prune", "m", "--keep", "1"]).end == .exited(0))
            }
            #expect(try Directory.names(in: path) == [".highest", "1"])
            let mark = try File.read("\(path)/.highest", limit: 64)
            #expect(String(decoding: mark, as: UTF8.self) == "\(number)\n")
        }
        // Of those that were watched most, but not on every machine every one.
        #expect(halves > 0)
    }

    private func start(_ line: [String]) throws -> ChildProcess {
        try ChildProcess(
            executable: Built.program,
            arguments: line + host.options,
            environment: ["PATH=/usr/bin:/bin", "SWIFT_BACKTRACE=enable=no"]
        )
    }
}
