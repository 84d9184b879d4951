import JSON
import Platform
import TestSupport
import Testing

/// The program as a person uses it: what it prints, and how it ends.
struct CommandTests {
    @Test func `without a command the program shows what there is and ends with 64`() throws {
        let host = try HostProcess()
        let result = try host.run([])
        #expect(result.end == .exited(64))
        #expect(
            result.errors == """
                Switchyard serves models from shared-library plugins behind splitting endpoints.

                usage: switchyard COMMAND [OPTIONS]

                commands:
                  serve     serve the endpoints
                  check     check a plugin build as 'deploy' would, without storing it
                  deploy    store a plugin build as the next version of a deployment
                  list      list the stored deployments and their versions
                  version   print the version of the host and of the plugin contract

                'switchyard COMMAND --help' tells more.
                exit status: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration

                """
        )
        #expect(try host.run(["--help"]).output == result.errors)
    }

    @Test func `the help of a command is complete`() throws {
        let result = try HostProcess().run(["deploy", "--help"])
        #expect(result.end == .exited(0))
        #expect(
            result.output == """
                usage: switchyard deploy NAME PLUGIN.so [OPTIONS]

                Checks the file, tries it in a process of its own, and stores it with its resources
                and settings as the next version of the deployment. A build that equals the newest
                version is not stored again. A running host does not change until it is told to.

                options:
                  --endpoints DIR           folder of endpoint files (default: endpoints)
                                            or SWITCHYARD_ENDPOINTS in the environment
                  --deployments DIR         folder of the store (default: deployments)
                                            or SWITCHYARD_DEPLOYMENTS in the environment
                  --logs DIR                folder of request logs (default: logs)
                                            or SWITCHYARD_LOGS in the environment
                  --state DIR               folder of revisions, private copies and log rings (default: state)
                                            or SWITCHYARD_STATE in the environment
                  --branch NAME             branch of the deployment (default: main)
                  --resources DIR           folder of files that the model reads
                  --settings FILE           JSON file that the model is made with
                  --json                    print JSON for machines
                  --help                    print this text

                """
        )
    }

    @Test(arguments: [
        (["srve"], "switchyard: unknown command 'srve'; did you mean 'serve'?"),
        (["serve", "--lisen", "x"], "unknown option '--lisen'; did you mean '--listen'?"),
        (["serve", "--listen", "here"], "'--listen here': wanted 127.0.0.1:8080, [::1]:8080"),
        (["serve", "--loops", "0"], "'--loops 0': wanted a number from 1 to 256"),
        (["serve", "--listen"], "'--listen' needs a value: --listen ADDRESS"),
        (["serve", "extra"], "unexpected 'extra'"),
        (["serve", "--strict=yes"], "'--strict' takes no value"),
        (["deploy", "x"], "wanted the deployment's name and the plugin's file"),
        (["deploy", "../x", "y.so"], "'main/../x' is no name for a deployment"),
    ])
    func `wrong usage ends with 64 and a sentence`(line: [String], sentence: String) throws {
        let result = try HostProcess().run(line)
        #expect(result.end == .exited(64))
        #expect(result.errors.contains(sentence), "\(result.errors)")
    }

    @Test func `builds are deployed, numbered and listed`() throws {
        let host = try HostProcess()
        #expect(try host.run(["list"] + host.options).output == "nothing is deployed\n")
        let first = try host.run(["deploy", "area", Built.plugin("thirty_lines")] + host.options)
        #expect(first.end == .exited(0))
        #expect(first.output.hasPrefix("deployed main/area version 1 (sha256 "))
        let again = try host.run(["deploy", "area", Built.plugin("thirty_lines")] + host.options)
        #expect(again.output.hasPrefix("main/area version 1 (sha256 "))
        #expect(again.output.hasSuffix(") is this build\n"))
        let other = try host.run(
            ["deploy", "area", Built.plugin("codable_model"), "--json"] + host.options
        )
        let json = try JSONValue(parsing: Array(other.output.utf8))
        #expect(json["version"]?.unsigned == 2 && json["new"]?.boolean == true)
        let list = try host.run(["list"] + host.options).output.split(separator: "\n")
        #expect(list.count == 3)
        #expect(list[0].hasPrefix("DEPLOYMENT  VERSION  CREATED"))
        #expect(list[1].hasPrefix("main/area   1        2"))
        let machine = try host.run(["list", "--json"] + host.options).output
        #expect(try JSONValue(parsing: Array(machine.utf8)).array?.count == 2)
    }

    @Test func `a build that is refused leaves nothing in the store`() throws {
        let host = try HostProcess()
        for plugin in ["misfit_no_tag", "misfit_crash_in_constructor", "misfit_null_function"] {
            let path = try Built.plugin(plugin)
            let result = try host.run(["deploy", "x", path] + host.options)
            #expect(result.end == .exited(1))
            #expect(
                result.errors.hasPrefix("switchyard deploy: \(path): found "),
                "\(result.errors)"
            )
        }
        #expect(try host.run(["list"] + host.options).output == "nothing is deployed\n")
        let rest = try Directory.names(in: "\(host.folder.path)/deployments")
        #expect(rest == ["main"], "no staging folder is left: \(rest)")
    }

    @Test func `a fine plugin is described by check`() throws {
        let path = try Built.plugin("thirty_lines")
        let result = try HostProcess().run(["check", path])
        #expect(result.end == .exited(0))
        #expect(result.output.hasPrefix("\(path): fine, contract 1.0, built by clang "))
        #expect(result.output.contains("{\"inputs\": [{\"name\": \"width\""))
    }

    @Test func `broken endpoints end the first start with 78 and every error`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/a.yaml", "schemaVersion: 1\nbackend: {}\n")
        try host.folder.write("endpoints/b.yml", "")
        try host.folder.write("endpoints/c.yaml", "schemaVersion: 1\nbackends: {x: {wieght: 1}}\n")
        var result = try host.run(["serve", "--listen", "127.0.0.1:0"] + host.options)
        #expect(result.end == .exited(78))
        #expect(result.errors.contains("b.yml: found a name that ends in .yml; wanted .yaml"))
        try File.remove("\(host.folder.path)/endpoints/b.yml")
        result = try host.run(["serve", "--listen", "127.0.0.1:0"] + host.options)
        #expect(result.end == .exited(78))
        #expect(result.errors.contains("a.yaml:2:1: error: unknown key 'backend' in an endpoint"))
        #expect(result.errors.contains("did you mean 'backends'?"))
        #expect(result.errors.contains("c.yaml:2:16: error: unknown key 'wieght' in split 'x'"))
        #expect(!File.exists("\(host.folder.path)/state/revisions"))
    }

    @Test func `an endpoint on a deployment that is not there says what to do`() throws {
        let host = try HostProcess()
        try host.deploy("pricing_model", "thirty_lines")
        try host.folder.write(
            "endpoints/a.yaml",
            "schemaVersion: 1\nbackends: {x: {deployment: {name: pricing_modle, version: latest}}}\n"
        )
        let result = try host.run(["serve", "--listen", "127.0.0.1:0"] + host.options)
        #expect(result.end == .exited(78))
        #expect(
            result.errors.contains(
                "there is no deployment main/pricing_modle in \(host.folder.path)/deployments; did "
                    + "you mean 'pricing_model'? deploy it with 'switchyard deploy pricing_modle "
                    + "PLUGIN.so'"
            ),
            "\(result.errors)"
        )
    }

    @Test func `SIGHUP is no end, and few descriptors are no start`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        try host.start()
        host.child?.send(signal: 1)
        #expect(eventually { host.child?.standardError.contains("signal.ignored") == true })
        #expect(try Client(host.address).call("GET", "/health/ready").status == 200)
        #expect(host.stop() == .exited(0))
        let serve =
            "\(try Built.program) serve --listen 127.0.0.1:0 "
            + host.options.joined(separator: " ")
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", "ulimit -n 100; exec \(serve)"],
            environment: ["SWIFT_BACKTRACE=enable=no"]
        )
        #expect(child.wait(seconds: 20) == .exited(1))
        #expect(
            child.standardError.contains("found a limit of 100 open files; wanted at least ")
        )
    }

    @Test func `control characters in names do not reach the terminal`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", "\"\\e[31mX\": 1\nschemaVersion: 1\n")
        let result = try host.run(["serve", "--listen", "127.0.0.1:0"] + host.options)
        #expect(result.end == .exited(78))
        #expect(!result.errors.contains("\u{1b}") && result.errors.contains("\u{fffd}[31mX"))
    }

    @Test func `a model that never comes back does not keep the host from ending`() throws {
        let host = try HostProcess()
        try host.deploy("m", "misfit_results")
        try host.folder.write(
            "endpoints/e.yaml",
            "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: 1}}}\n"
        )
        try host.start(["--drain", "1"])
        let client = try Client(host.address)
        try client.request("POST", "/v1/e", body: "{\"data\":\"hang\"}")
        #expect(eventually { host.child?.poll() == nil })
        // Long enough for the request to be in the model, where it stays.
        MonotonicClock.sleep(nanoseconds: 1_000_000_000)
        #expect(host.stop() == .exited(1))
        #expect(host.child?.standardError.contains("shutdown.stuck") == true)
    }

    @Test func `the README's request gets the README's answer`() throws {
        let bytes = try File.read("\(Built.repository)/README.md", limit: 1 << 20)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        let request = try #require(lines.first { $0.hasPrefix("  -d '") })
        let shown = try #require(lines.first { $0.hasPrefix("{\"data\":") })
        let host = try HostProcess()
        for name in ["pricing_model_v1", "pricing_model_v2"] { try host.deploy(name, name) }
        let endpoint = "endpoints/pricing_optimizer.yaml"
        let text = try File.read("\(Built.repository)/\(endpoint)", limit: 1 << 20)
        try host.folder.write(endpoint, String(decoding: text, as: UTF8.self))
        try host.start()
        let answer = try Client(host.address).call(
            "POST",
            "/v1/pricing_optimizer",
            body: String(request.dropFirst(6).dropLast())
        )
        let expected = try JSONValue(parsing: Array(shown.utf8))
        #expect(answer.json["data"] == expected["data"])
        #expect(answer.json["split"] == expected["split"])
        #expect(answer.json.object?.map(\.name) == expected.object?.map(\.name))
        #expect(host.stop() == .exited(0))
    }

    @Test func `the program prints its version`() throws {
        #expect(
            try HostProcess().run(["version"]).output == "switchyard 0.1.0, plugin contract 1.0\n"
        )
    }
}
