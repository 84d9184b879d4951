import Endpoints
import JSON
import Platform
import TestSupport
import Testing

/// Aliases, checks of endpoints, assignments and predictions, as a person at a terminal has them.
struct ToolTests {
    private func host() throws -> HostProcess {
        let host = try HostProcess()
        try host.deploy("area", "thirty_lines")
        try host.deploy("area", "codable_model")
        return host
    }

    private func run(_ host: HostProcess, _ line: String...) throws -> String {
        let result = try host.run(line + host.options)
        return (result.end == .exited(0) ? "" : "\(result.end.map { "\($0)" } ?? "never"): ")
            + result.output + result.errors
    }

    // MARK: Aliases

    @Test func `an alias is set, moved, listed and removed`() throws {
        let host = try host()
        #expect(try run(host, "alias", "list") == "there is no alias\n")
        #expect(
            try run(host, "alias", "set", "area", "prod", "1")
                == "main/area: the alias prod is version 1 (new)\n"
        )
        #expect(
            try run(host, "alias", "set", "area", "prod", "2")
                == "main/area: the alias prod is version 2 (it was version 1)\n"
        )
        #expect(
            try run(host, "alias", "set", "area", "a", "2")
                == "main/area: the alias a is version 2 (new)\n"
        )
        #expect(
            try run(host, "alias", "list", "area")
                == "DEPLOYMENT  ALIAS  VERSION\nmain/area   a      2\nmain/area   prod   2\n"
        )
        let json = try JSONValue(parsing: Array(run(host, "alias", "list", "--json").utf8))
        #expect(json.array?.count == 2 && json.array?[0]["version"]?.unsigned == 2)
        #expect(
            try run(host, "alias", "remove", "area", "prod")
                == "main/area: the alias prod is gone; it was version 2\n"
        )
        #expect(try run(host, "alias", "list").hasSuffix("ALIAS  VERSION\nmain/area   a      2\n"))
    }

    @Test(arguments: [
        (["set", "area", "prod", "9"], "main/area has no version 9; it has 1, 2"),
        (["set", "aera", "prod", "1"], "there is no deployment main/aera in"),
        (["set", "area", "prod", "1", "--branch", "dev"], "there is no deployment dev/area"),
        (["remove", "area", "prod"], "main/area has no alias 'prod'; it has none"),
        (["list", "aera"], "did you mean 'area'?"),
    ])
    func `an alias that cannot be is refused and nothing changes`(
        line: [String],
        sentence: String
    ) throws {
        let host = try host()
        let result = try host.run(["alias"] + line + host.options)
        #expect(result.end == .exited(1) && result.errors.contains(sentence), "\(result.errors)")
        #expect(!File.exists("\(host.folder.path)/deployments/main/area/deployment.yaml"))
    }

    @Test func `many who set aliases at once lose none`() throws {
        let host = try host()
        let failures = Guarded<[String]>([])
        let left = Guarded<Int>(4)
        let options = host.options
        for thread in 0..<4 {
            _ = try Thread(name: "alias") {
                for number in 0..<5 {
                    let line = ["alias", "set", "area", "a\(thread)-\(number)", "1"]
                    let result = try? HostProcess().run(line + options)
                    if result?.end != .exited(0) {
                        failures.withLock { $0.append(result?.errors ?? "no process") }
                    }
                }
                left.withLock { $0 -= 1 }
            }
        }
        #expect(eventually(seconds: 120) { left.withLock { $0 } == 0 })
        #expect(failures.withLock { $0 } == [])
        #expect(try run(host, "alias", "list").split(separator: "\n").count == 21)
    }

    // MARK: Endpoints

    @Test func `endpoint files are checked without a host, and every error is shown`() throws {
        let host = try host()
        let folder = "\(host.folder.path)/endpoints"
        try host.folder.write(
            "endpoints/good.yaml",
            """
            schemaVersion: 1
            backends:
              a: {deployment: {name: area, version: latest}, weight: 2}
              b: {value: {score: 1.50}}
            """
        )
        #expect(
            try run(host, "check", folder) == """
                endpoint good, split a, weight 2: main/area version 2 (latest)
                endpoint good, split b, weight 1: static value
                \(folder): fine, 1 endpoint

                """
        )
        try host.folder.write("endpoints/one.yaml", "schemaVersion: 1\nbackends: {a: {valeu: 1}}\n")
        try host.folder.write(
            "endpoints/two.yaml",
            """
            schemaVersion: 1
            backends:
              a: {deployment: {name: aera, version: latest}}
              b: {deployment: {name: area, version: 7}}
              c: {deployment: {name: area, version: prod}}
            """
        )
        try host.folder.write("endpoints/three.yml", "")
        let result = try host.run(["check", folder] + host.options)
        #expect(result.end == .exited(78) && result.output == "")
        for sentence in [
            "three.yml: found a name that ends in .yml; wanted .yaml; rename the file",
            "one.yaml:2:16: error: unknown key 'valeu' in split 'a'", "did you mean 'value'?",
            "two.yaml:3:26: error: split 'a': there is no deployment main/aera", "'area'?",
            "two.yaml:4:41: error: split 'b': main/area has no version 7; it has 1, 2",
            "two.yaml:5:41: error: split 'c': main/area has no alias 'prod'; it has none; set it with",
            "      c: {deployment: {name: area, version: prod}}\n"
                + String(repeating: " ", count: 44)
                + "^",
        ] {
            #expect(result.errors.contains(sentence), "\(sentence) in \(result.errors)")
        }
        let one = try host.run(["check", "\(folder)/one.yaml"] + host.options)
        #expect(one.end == .exited(78) && !one.errors.contains("two.yaml"))
        #expect(try run(host, "check", "\(folder)/three.yml").contains("ends in .yml"))
        #expect(!File.exists("\(host.folder.path)/state"), "checking leaves nothing behind")
    }

    @Test func `accidents in the store neither stop a host nor pass the check`() throws {
        let host = try host()
        let main = "\(host.folder.path)/deployments/main"
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        try host.folder.write("deployments/main/README.txt", "a file beside the deployments")
        try Directory.createAll("\(main)/empty")
        try Directory.createAll("\(main)/area/3")
        let bad = try run(host, "alias", "set", "area", "a", "3")
        #expect(bad.contains("area/3/manifest.yaml"), "\(bad)")
        try host.start()
        let answer = try Client(host.address).call(
            "POST",
            "/v1/area/latest",
            body: #"{"data": {"width": 1, "height": 1}}"#
        )
        #expect(answer.json["split"]?["deployment"]?["version"]?.unsigned == 2)
        #expect(host.stop() == .exited(0))
        // What a host would refuse, the check refuses.
        #expect(try run(host, "check", "\(host.folder.path)/endpoints").contains("fine"))
        try host.folder.write(
            "deployments/main/area/deployment.yaml",
            "schemaVersion: 1\naliases: {v: 9}\n"
        )
        let check = try run(host, "check", "\(host.folder.path)/endpoints")
        #expect(check.contains("alias 'v' of main/area: main/area has no version 9"), "\(check)")
        try host.folder.write(
            "deployments/main/area/deployment.yaml",
            "schemaVersion: 1\naliases: {v: 1}\n"
        )
        try File.setMode("\(main)/area/1/plugin.so", 0o755)
        let bytes = try File.read("\(main)/area/1/plugin.so", limit: 1 << 24)
        try File.remove("\(main)/area/1/plugin.so")
        try File.writeNew("\(main)/area/1/plugin.so", bytes + [0])
        let changed = try run(host, "check", "\(host.folder.path)/endpoints")
        #expect(changed.contains("it was changed after it was deployed"), "\(changed)")
    }

    @Test func `settings and resources that cannot be are refused with what to do`() throws {
        let host = try HostProcess()
        let plugin = try Built.plugin("thirty_lines")
        let large = try host.folder.write(
            "large.json",
            "\"\(String(repeating: "s", count: 70_000))\""
        )
        try Directory.createAll("\(host.folder.path)/deployments")
        for (option, value, sentence) in [
            ("--settings", large, "found 70002 bytes; wanted settings of at most 65536"),
            ("--settings", "/nowhere", "found no readable file"),
            ("--settings", "/dev/null", "found no readable file"),
            ("--resources", "/nowhere", "/nowhere: found no folder"),
            ("--resources", "", "--resources: found no folder"),
            ("--resources", host.folder.path, "found the store inside the folder of resources"),
        ] {
            let result = try host.run(["deploy", "area", plugin, option, value] + host.options)
            #expect(result.end == .exited(1))
            #expect(result.errors.contains(sentence), "\(result.errors)")
        }
        #expect(try Directory.names(in: "\(host.folder.path)/deployments") == [])
    }

    // MARK: Assignments

    private static let sticky = """
        schemaVersion: 1
        backends:
          control: {value: 1, weight: 1}
          experiment: {value: 2, weight: 3}
          x: {value: 3, weight: 0}
        experimentConfig: {experimentId: pricing_optimizer, subjectKey: user_id}
        """

    @Test func `assign shows the decision and the numbers behind it`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.sticky)
        #expect(
            try run(host, "assign", "e", "--subject", "123") == """
                endpoint e, as its file says, since no host runs with this --state, \
                experiment pricing_optimizer, subject '123', rendezvous-sha256-v1
                SPLIT       WEIGHT  SHARE   U                   SCORE
                control     1       25.0 %  0.7443754331247424  0.29520975700910795
                experiment  3       75.0 %  0.7159681975553817  0.11137317661001345
                x           0       0.0 %   \(fraction("x"))  -
                split experiment: it has the smallest score

                """
        )
        let json = try JSONValue(
            parsing: Array(run(host, "assign", "e", "--subject", "123", "--json").utf8)
        )
        #expect(json["backendName"]?.string == "experiment")
        #expect(json["splits"]?.array?[0]["u"] == .number("0.7443754331247424"))
    }

    private func fraction(_ arm: String) -> Double {
        Assigner.fraction(experiment: "pricing_optimizer", arm: arm, subject: Array("123".utf8))
    }

    @Test func `fresh processes and another order of the file assign alike`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", Self.sticky)
        try host.folder.write(
            "endpoints/f.yaml",
            """
            experimentConfig: {subjectKey: user_id, experimentId: pricing_optimizer}
            backends:
              x: {value: 3, weight: 0}
              experiment: {value: 2, weight: 75}
              control: {value: 1, weight: 25}
            schemaVersion: 1
            """
        )
        try host.start()
        let client = try Client(host.address)
        for subject in ["123", "0", "user-1", "é"] {
            let one = try run(host, "assign", "e", "--subject", subject, "--json")
            let other = try run(host, "assign", "f", "--subject", subject, "--json")
            let arm = try JSONValue(parsing: Array(one.utf8))["backendName"]?.string
            #expect(arm != nil)
            #expect(try JSONValue(parsing: Array(other.utf8))["backendName"]?.string == arm)
            let body = "{\"data\": {\"user_id\": \"\(subject)\"}}"
            let answer = try client.call("POST", "/v1/f", body: body)
            #expect(answer.json["split"]?["backendName"]?.string == arm)
        }
        #expect(host.stop() == .exited(0))
    }

    // MARK: Predictions

    @Test func `a plugin is asked without a host, and what it does is said`() throws {
        let host = try HostProcess()
        let good = try Built.plugin("thirty_lines")
        let answer = try host.run(["predict", "--plugin", good, #"{"width": 3, "height": 2}"#])
        #expect(answer.end == .exited(0) && answer.output.hasPrefix("{\"data\":6.0,"))
        let bad = try host.run(["predict", "--plugin", good, "{}"])
        #expect(bad.end == .exited(1))
        #expect(bad.output.hasPrefix("{\"error\":\"the input \\\"width\\\" is missing\""))
        let misfit = try Built.plugin("misfit_results")
        let crash = try host.run(["predict", "--plugin", misfit, "\"crash\""])
        #expect(crash.end == .exited(1))
        #expect(
            crash.errors.contains(
                "found a build that was ended by signal 6 (Aborted) in predict()"
            ),
            "\(crash.errors)"
        )
        let log = try host.run(["predict", "--plugin", misfit, "\"log\""])
        #expect(log.errors == "warning: a line\n" && log.output.hasPrefix("{\"data\":1"))
        let none = try host.run(["predict", "--plugin", "/nowhere.so", "1"])
        #expect(none.end == .exited(1) && none.errors.contains("/nowhere.so: found "))
    }

    @Test func `a running host is asked by the name of what it serves`() throws {
        let host = try host()
        try host.folder.write("endpoints/e.yaml", Self.sticky)
        _ = try run(host, "alias", "set", "area", "old", "1")
        try host.start()
        let at = ["--host", "\(host.address)"] + host.options
        let one = try host.run(["predict", "e", #"{"user_id": 123}"#] + at)
        #expect(one.end == .exited(0) && one.output.hasPrefix("{\"data\":2,"))
        let forced = try host.run(["predict", "e", "1", "--force", "x"] + at)
        #expect(forced.output.contains("\"assignment\":\"forced\""))
        let direct = try host.run(["predict", "area/old", #"{"width": 2, "height": 2}"#] + at)
        #expect(direct.output.hasPrefix("{\"data\":4.0,"))
        let missing = try host.run(["predict", "nobody", "1"] + at)
        #expect(missing.end == .exited(1) && missing.output.contains("endpoint_not_found"))
        #expect(host.stop() == .exited(0))
        let unknown = try host.run(["assign", "f", "--subject", "1"] + host.options)
        #expect(
            unknown.end == .exited(78) && unknown.errors.contains("there is no endpoint 'f' in")
        )
        let gone = try host.run(["predict", "e", "1"] + at)
        #expect(gone.end == .exited(1) && gone.errors.contains("is a host running there?"))
    }

    @Test func `examples are sent and the shares are shown`() throws {
        let host = try HostProcess()
        for name in ["pricing_model_v1", "pricing_model_v2"] { try host.deploy(name, name) }
        let text = try File.read(
            "\(Built.repository)/endpoints/pricing_optimizer.yaml",
            limit: 1 << 20
        )
        try host.folder.write(
            "endpoints/pricing_optimizer.yaml",
            String(decoding: text, as: UTF8.self)
        )
        try host.start()
        let result = try host.run(
            ["predict", "pricing_optimizer", "--examples", "--count", "200"]
                + ["--host", "\(host.address)"] + host.options
        )
        #expect(result.end == .exited(0), "\(result.errors)")
        let lines = result.output.split(separator: "\n").map {
            $0.split(separator: " ").map(String.init)
        }
        #expect(lines.count == 1 + 200 + 1 + 2)
        #expect(lines[0] == ["QUERY", "ARM", "VERSION", "ANSWER"])
        #expect(lines[1].prefix(3) == ["1", "experiment", "main/pricing_model_v2/1"])
        #expect(lines[201] == ["ARM", "ANSWERS", "SHARE", "WEIGHT"])
        let counts = lines.suffix(2).compactMap { Int($0[1]) }
        let arms = lines[1...200].map { $0[1] }
        #expect(counts == ["control", "experiment"].map { arm in arms.filter { $0 == arm }.count })
        // The subjects are fixed, so the shares are too: 50 ± 24 is four standard deviations.
        #expect(counts.count == 2 && abs(counts[0] - 50) < 25)
        #expect(lines.suffix(2).map { $0.suffix(2) } == [["25.0", "%"], ["75.0", "%"]])
        #expect(host.stop() == .exited(0))
    }
}
