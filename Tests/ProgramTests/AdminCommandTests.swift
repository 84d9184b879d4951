import JSON
import Platform
import TestSupport
import Testing

/// What an admin types, and what comes of it.
struct AdminCommandTests {
    private static let endpoint = """
        schemaVersion: 1
        backends:
          control: {deployment: {name: area, version: latest}, weight: 1}
          experiment: {deployment: {name: area, version: prod}, weight: 3}
        experimentConfig: {subjectKey: user}

        """

    private func host() throws -> HostProcess {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.endpoint)
        try host.deploy("area", "thirty_lines")
        try host.deploy("area", "codable_model")
        #expect(try run(host, "alias", "set", "area", "prod", "1").end == .exited(0))
        return host
    }

    @discardableResult
    private func run(
        _ host: HostProcess,
        _ words: String...
    ) throws -> (end: ProcessEnd?, output: String, errors: String) {
        try host.run(words + host.options)
    }

    private func revision(_ host: HostProcess) throws -> UInt64? {
        let status = try run(host, "status", "--json")
        return try JSONValue(parsing: Array(status.output.utf8))["configRevision"]?.unsigned
    }

    // MARK: Plan

    @Test func `plan says the same with a host and without one, and exits with 0, 2 or 78`() throws
    {
        let host = try host()
        let first = try run(host, "plan")
        #expect(first.end == .exited(2))
        #expect(first.output.hasPrefix("nothing is live; a reload would change:\n"))
        #expect(first.output.contains("  endpoint e is new: control 1, experiment 3\n"))
        #expect(first.output.contains("  loads main/area version 2\n"))
        try host.start()
        let none = try run(host, "plan")
        #expect(none.end == .exited(0))
        #expect(none.output == "nothing to change: revision 1 is what the files say\n")
        try host.folder.write(
            "endpoints/e.yaml",
            Self.endpoint.replacing("weight: 3", with: "weight: 1")
        )
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        let expected = """
            revision 1 is live; a reload would change:
              endpoint e: split experiment: weight 3 → 1 (75.0 % → 50.0 %)
              endpoint e: 25.0 % of subjects get another split
              endpoint f is new: a 1

            """
        let asked = try run(host, "plan")
        #expect(asked.output == expected)
        #expect(asked.end == .exited(2))
        let machine = try run(host, "plan", "--json")
        #expect(host.stop() == .exited(0))
        let offline = try run(host, "plan")
        #expect(offline.output == expected)
        #expect(try run(host, "plan", "--json").output == machine.output)
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackend: {a: {value: 1}}\n")
        let broken = try run(host, "plan")
        #expect(broken.end == .exited(78))
        #expect(broken.errors.contains("f.yaml:2:1: error: unknown key 'backend'"))
        #expect(broken.errors.hasSuffix("a reload would change nothing: 2 errors\n"))
    }

    // MARK: Changing

    @Test func `reload, weights and rollback say what has changed`() throws {
        let host = try host()
        try host.start()
        let nothing = try run(host, "reload")
        #expect(nothing.output == "revision 1: nothing to do: that is what the files say\n")
        let weights = try run(host, "weights", "e", "control=9", "experiment=1")
        #expect(
            weights.output == """
                revision 2 is live, it was 1
                  endpoint e: split control: weight 1 → 9 (25.0 % → 90.0 %)
                  endpoint e: split experiment: weight 3 → 1 (75.0 % → 10.0 %)
                  endpoint e: 65.0 % of subjects get another split

                """
        )
        let shown = try run(host, "weights", "e").output
        #expect(
            shown.contains("e         control     9       1        90.0 %  main/area 2 (latest)")
        )
        #expect(shown.contains("e: live weights of user "))
        let same = try run(host, "weights", "e", "control=9")
        #expect(same.output == "revision 2: nothing to do: those are the weights that count\n")
        let reset = try run(host, "weights", "e", "--reset")
        #expect(reset.output.hasPrefix("revision 3 is live, it was 2\n"))
        let back = try run(host, "rollback", "--json")
        let json = try JSONValue(parsing: Array(back.output.utf8))
        #expect(json["configRevision"]?.unsigned == 4)
        #expect(json["previousRevision"]?.unsigned == 3)
        #expect(json["changes"]?.array?.contains { $0["change"]?.string == "rolledBack" } == true)
        #expect(try run(host, "status").output.contains("rolled back to revision 2;"))
        let list = try run(host, "rollback", "--list").output
        #expect(list.hasPrefix("REVISION  COMMITTED"))
        #expect(list.contains("rollback to revision 2 by user "))
        let reload = try run(host, "reload").output
        #expect(reload.contains("  the files count again instead of revision 2\n"))
        #expect(try revision(host) == 5)
    }

    @Test func `what cannot be is refused with a sentence and changes nothing`() throws {
        let host = try host()
        try host.start()
        let cases: [(words: [String], end: CInt, sentence: String)] = [
            (
                ["weights", "e", "controll=1"], 1,
                "has no split 'controll'; did you mean 'control'?"
            ),
            (["weights", "nothing", "a=1"], 1, "there is no endpoint 'nothing'"),
            (["weights", "e", "control=-1"], 64, "'control=-1': wanted a split and its weight"),
            (["weights", "e", "control"], 64, "'control': wanted a split and its weight"),
            (["weights"], 64, "wanted an endpoint and weights"),
            (["weights", "e", "control=0", "experiment=0"], 1, "would have the sum 0"),
            (["rollback"], 1, "there is no revision before revision 1"),
            (["rollback", "77"], 1, "there is no revision 77"),
            (["rollback", "x"], 64, "'x' is no revision"),
            (["reload", "now"], 64, "unexpected 'now'"),
        ]
        for one in cases {
            let result = try host.run(one.words + host.options)
            #expect(result.end == .exited(one.end), "\(one.words): \(result.errors)")
            #expect(result.errors.contains(one.sentence), "\(one.words): \(result.errors)")
        }
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {}}\n")
        let reload = try run(host, "reload")
        #expect(reload.end == .exited(78))
        #expect(reload.errors.contains("nothing is changed:\n"))
        #expect(reload.errors.contains("e.yaml:2:12: error: split 'a' has neither"))
        #expect(try revision(host) == 1)
        #expect(host.stop() == .exited(0))
        let nobody = try run(host, "status")
        #expect(nobody.end == .exited(1))
        #expect(nobody.errors.contains("does a host run with this --state?"))
    }

    @Test func `deploy and alias reload at once if they are told to, and keep live weights`() throws
    {
        let host = try host()
        try host.start()
        try run(host, "weights", "e", "control=5")
        let deploy = try run(
            host,
            "deploy",
            "area",
            Built.plugin("life_model"),
            "--reload"
        )
        #expect(deploy.end == .exited(0), "\(deploy.errors)")
        #expect(deploy.output.contains("deployed main/area version 3"))
        #expect(deploy.output.contains("  main/area latest is version 3, was 2\n"))
        let alias = try run(host, "alias", "set", "area", "prod", "3", "--reload")
        #expect(alias.output.contains("  main/area prod is version 3, was 1\n"))
        #expect(alias.output.contains("  retires main/area version 1\n"))
        let shown = try run(host, "weights", "e").output
        #expect(shown.contains("live weights of user"))
        #expect(host.stop() == .exited(0))
        let nobody = try run(host, "alias", "set", "area", "prod", "2", "--reload")
        #expect(nobody.end == .exited(1))
        #expect(nobody.output.contains("main/area: the alias prod is version 2"))
        #expect(nobody.errors.contains("does a host run with this --state?"))
    }

    @Test func `what commands change beside a host is in the audit log, by whom and why`() throws {
        let host = try HostProcess()
        let plugin = try Built.plugin("thirty_lines")
        for words in [
            ["deploy", "area", plugin, "--because", "first"],
            ["alias", "set", "area", "prod", "1", "--because", "to try"],
            ["alias", "remove", "area", "prod"],
            ["deploy", "area", try Built.plugin("codable_model")],
            ["remove", "area", "1", "--because", "old"],
        ] {
            let result = try host.run(words + host.options)
            #expect(result.end == .exited(0), "\(words): \(result.errors)")
        }
        let bytes = try File.read("\(host.folder.path)/logs/audit.jsonl", limit: 1 << 20)
        let lines = try bytes.split(separator: 0x0a).map { try JSONValue(parsing: Array($0)) }
        #expect(lines.allSatisfy { $0["author"]?.string?.hasPrefix("user ") == true })
        #expect(
            lines.map { $0["because"]?.string } == ["first", "to try", nil, nil, "old"],
            "\(lines.map(\.text))"
        )
        #expect(lines.allSatisfy { $0["subject"]?.string?.hasPrefix("main/area") == true })
    }

    // MARK: By itself

    @Test func `a watching host takes files that are left alone, and tells of broken ones`() throws
    {
        let host = try host()
        try host.start(["--watch"])
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackends: {a: {value: 7}}\n")
        func answer() throws -> Answer {
            try Client(host.address).call("POST", "/v1/f", body: "{\"data\": 1}")
        }
        #expect(try eventually { try answer().json["data"]?.unsigned == 7 })
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackends: 7\n")
        #expect(eventually { host.child?.standardError.contains("commit.failed") == true })
        #expect(try answer().json["data"]?.unsigned == 7)
        try host.folder.write("endpoints/f.yaml", "schemaVersion: 1\nbackends: {a: {value: 8}}\n")
        #expect(try eventually { try answer().json["data"]?.unsigned == 8 })
        try run(host, "alias", "set", "area", "prod", "2")
        #expect(try eventually { try revision(host) == 4 })
        #expect(host.stop() == .exited(0))
        let audit = try File.read("\(host.folder.path)/logs/audit.jsonl", limit: 1 << 20)
        let lines = try audit.split(separator: 0x0a).map { try JSONValue(parsing: Array($0)) }
            .filter { $0["action"]?.string == "reload" }
        #expect(lines.allSatisfy { $0["author"]?.string == "watch" })
        #expect(
            lines.map { $0["outcome"]?.string }
                == ["committed", "failed", "committed", "committed"]
        )
    }

    // MARK: The end

    @Test func `a second signal ends a host that still waits for a model`() throws {
        let host = try HostProcess()
        try host.deploy("slow", "slow_model")
        try host.folder.write(
            "deployments/main/slow/deployment.yaml",
            "schemaVersion: 1\nexecution: {mode: pool}\n"
        )
        try host.start()
        let client = try Client(host.address)
        try client.request(
            "POST",
            "/v1/slow/1",
            body: "{\"data\": {\"ms\": 50000, \"sleep\": true}}"
        )
        #expect(
            eventually {
                let status = try? run(host, "status", "--json").output
                return status?.contains("\"waiting\":0") == true
            }
        )
        host.child?.send(signal: 15)
        #expect(
            try eventually {
                try JSONValue(
                    parsing: Array(try run(host, "status", "--json").output.utf8)
                )["ready"]?.boolean == false
            }
        )
        host.child?.send(signal: 15)
        #expect(host.child?.wait(seconds: 20) == .exited(1))
    }
}
