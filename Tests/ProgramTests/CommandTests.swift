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
        #expect(try host.run(["--help"]).output == result.errors)
    }

    @Test func `every command's help is the text that was agreed on`() throws {
        // Tests/help.txt holds all of them; change it with what it describes.
        let host = try HostProcess()
        let overview = try host.run(["--help"]).output
        let commands = overview.split(separator: "\n").drop { $0 != "commands:" }.dropFirst()
            .prefix { $0.hasPrefix("  ") }.compactMap { $0.split(separator: " ").first }
        #expect(commands.count == 21)
        var text = "$ switchyard --help\n\(overview)"
        for command in commands {
            let help = try host.run([String(command), "--help"])
            #expect(help.end == .exited(0))
            text += "\n$ switchyard \(command) --help\n\(help.output)"
        }
        let agreed = try File.read("\(Built.repository)/Tests/help.txt", limit: 1 << 20)
        #expect(text == String(decoding: agreed, as: UTF8.self))
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
        (["deploy", "x", "y.so", "--branch", "a//b"], "'a//b/x' is no name for a deployment"),
        (["serve", "--limit", "bdy=1"], "'--limit' 'bdy=1': wanted NAME=VALUE with a name of"),
        (["check"], "wanted one plugin's file"), (["alias"], "wanted set, list or remove"),
        (["alias", "set", "x", "latest", "1"], "'latest' is no alias"),
        (["alias", "set", "x", "12", "1"], "'12' is no alias"),
        (["alias", "set", "x", "prod", "0"], "'0' is no version"),
        (["assign", "x"], "wanted an endpoint and --subject"),
        (["assign", "../x", "--subject", "1"], "'../x' is no name for an endpoint"),
        (["assign", "x", "--subject", ""], "wanted a text of 1 to 1024 bytes"),
        (["predict", "x"], "wanted a name and the data"), (["predict", "x", "{"], "is not JSON"),
        (["predict", "x", #"{"data": 1}"#], "leave '{\"data\": …}' out"),
        (["predict", "a b", "1"], "'a b' is no name"),
        (["predict", "x", "1", "--host", "here"], "'--host here': wanted 127.0.0.1:8080"),
        (["predict", "x", "--examples", "--count", "0"], "wanted a number from 1 to"),
        (["new", "My-Model", "--language", "c"], "'My-Model' is no name for a new plugin"),
        (["new", "m"], "wanted --language swift, c or cpp"),
        (["version", "x"], "unexpected 'x'"),
        (
            ["deploy", "\u{1b}[31mred\nline", "x.so"],
            "'main/\u{fffd}[31mred\u{fffd}line' is no name"
        ),
        (["assign", "e", "--subject", "\u{fffd}"], "found an argument that is not UTF-8"),
        (["new", "m", "--language", "rust"], "'--language rust': wanted swift, c or cpp"),
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
        #expect(rest == [], "nothing is left: \(rest)")
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
        let result = try host.run(["serve", "--listen", "127.0.0.1:0"] + host.options)
        #expect(result.end == .exited(78))
        #expect(result.errors.contains("b.yml: found a name that ends in .yml; wanted .yaml"))
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
                    + "you mean 'pricing_model'? else deploy it: 'switchyard deploy pricing_modle "
                    + "PLUGIN.so'"
            ),
            "\(result.errors)"
        )
    }

    @Test func `SIGHUP is a reload, and few descriptors are no start`() throws {
        let host = try HostProcess()
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {value: 1}}\n")
        try host.start()
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {a: {value: 2}}\n")
        host.child?.send(signal: 1)
        #expect(eventually { host.child?.standardError.contains("commit.done") == true })
        let answer = try Client(host.address).call("POST", "/v1/e", body: "{\"data\": 0}")
        #expect(answer.json["data"]?.unsigned == 2)
        try host.folder.write("endpoints/e.yaml", "schemaVersion: 1\nbackends: {}\n")
        host.child?.send(signal: 1)
        #expect(eventually { host.child?.standardError.contains("commit.failed") == true })
        let still = try Client(host.address).call("POST", "/v1/e", body: "{\"data\": 0}")
        #expect(still.json["data"]?.unsigned == 2)
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
