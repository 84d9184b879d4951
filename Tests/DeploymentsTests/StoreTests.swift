import Deployments
import Endpoints
import Logging
import Platform
import PluginHost
import TestSupport
import Testing
import YAML

struct StoreTests {
    private struct Scene {
        let folder: TemporaryFolder
        let store: DeploymentStore
        let name: DeploymentName

        init() throws {
            folder = try TemporaryFolder()
            store = DeploymentStore(root: "\(folder.path)/deployments")
            name = try #require(DeploymentName(branch: "team/alice", name: "m"))
        }

        func publish(
            _ plugin: String,
            resources: String? = nil,
            settings: String = "{}"
        ) throws -> DeploymentStore.Published {
            try store.publish(
                DeployRequest(
                    deployment: name,
                    plugin: Built.plugin(plugin),
                    resources: resources,
                    settings: settings
                ),
                probe: PluginProbe(executable: Built.program)
            )
        }
    }

    @Test func `a version holds every file with size and hash`() throws {
        let scene = try Scene()
        try scene.folder.write("resources/weights.json", "[1,2]")
        try scene.folder.write("resources/deep/er/x.bin", "x")
        let published = try scene.publish(
            "thirty_lines",
            resources: "\(scene.folder.path)/resources",
            settings: #"{"a":1}"#
        )
        #expect(published.version == 1 && published.isNew)
        let manifest = try scene.store.manifest(scene.name, 1)
        #expect(
            manifest.files.map(\.path)
                == ["plugin.so", "resources/deep/er/x.bin", "resources/weights.json"]
        )
        #expect(manifest.files[2].bytes == 5)
        #expect(
            manifest.files[2].sha256
                == "49a64717d5d4cb19952e6eac2946415cf6879adacf9908e7d872332d32c6e684"
        )
        #expect(manifest.settings == #"{"a":1}"# && manifest.abi == "1.0")
        #expect(try Manifest(parsing: Array(manifest.text.utf8)) == manifest)
        let folder = "\(scene.folder.path)/deployments/team~alice/m/1"
        #expect(try Directory.names(in: folder) == ["manifest.yaml", "plugin.so", "resources"])
        #expect(try File.facts("\(folder)/plugin.so").mode == 0o555)
        #expect(try File.facts("\(folder)/manifest.yaml").mode == 0o444)
        #expect(try scene.store.deployments() == [scene.name])
    }

    @Test func `the same build with the same settings is the same version`() throws {
        let scene = try Scene()
        #expect(try scene.publish("thirty_lines").version == 1)
        #expect(try scene.publish("thirty_lines").isNew == false)
        #expect(try scene.publish("thirty_lines", settings: #"{"a":1}"#).version == 2)
        #expect(try scene.publish("thirty_lines").version == 3)
        #expect(try scene.store.versions(scene.name) == [1, 2, 3])
    }

    @Test func `versions are numbers, and nine comes before ten`() throws {
        let scene = try Scene()
        for name in ["9", "10", "1", "01", "x", "-2", ".new-1"] {
            try scene.folder.write("deployments/team~alice/m/\(name)/f", "")
        }
        #expect(try scene.store.versions(scene.name) == [1, 9, 10])
    }

    @Test func `deploys at the same time get numbers of their own`() throws {
        let scene = try Scene()
        let results = Guarded<[Int]>([])
        let running = Guarded<Int>(6)
        let (store, name) = (scene.store, scene.name)
        let (plugin, program) = (try Built.plugin("thirty_lines"), try Built.program)
        for index in 0..<6 {
            _ = try Thread(name: "deploy") {
                let request = DeployRequest(
                    deployment: name,
                    plugin: plugin,
                    resources: nil,
                    settings: "{\"n\":\(index)}"
                )
                let published = try? store.publish(request, probe: PluginProbe(executable: program))
                if let published { results.withLock { $0.append(published.version) } }
                running.withLock { $0 -= 1 }
            }
        }
        #expect(eventually(seconds: 60) { running.withLock { $0 } == 0 })
        #expect(results.withLock { $0.sorted() } == [1, 2, 3, 4, 5, 6])
        #expect(try Directory.names(in: scene.store.root) == ["team~alice"])
    }

    @Test func `resources are regular files and folders only`() throws {
        let scene = try Scene()
        try scene.folder.write("resources/a", "1")
        let link = try ChildProcess(
            executable: "/bin/ln",
            arguments: ["-s", "/etc/passwd", "\(scene.folder.path)/resources/b"],
            environment: []
        )
        #expect(link.wait(seconds: 10) == .exited(0))
        let error = #expect(throws: DeploymentError.self) {
            try scene.publish("thirty_lines", resources: "\(scene.folder.path)/resources")
        }
        #expect(error?.description.contains("resources/b: found a symbolic link; wanted") == true)
        #expect(try scene.store.versions(scene.name).isEmpty)
    }

    @Test func `what would need a manifest too long to be read is not deployed`() throws {
        let scene = try Scene()
        // Two bytes each, and six in the manifest.
        let settings = "[\"\(String(repeating: "\u{85}", count: 60_000))\"]"
        let error = #expect(throws: DeploymentError.self) {
            try scene.publish("thirty_lines", settings: settings)
        }
        #expect(error?.description.contains("at most 262144 are read") == true)
        #expect(try scene.store.versions(scene.name).isEmpty)
    }

    @Test(arguments: [
        "../x", "/etc/passwd", "a//b", "resources/../../x", "", ".", "../\u{301}x", "/\u{301}x",
    ])
    func `a manifest that leads out of its folder is refused`(path: String) throws {
        let manifest = Manifest(
            branch: "main",
            name: "m",
            version: 1,
            created: "",
            abi: "1.0",
            build: "",
            settings: "{}",
            files: ["plugin.so", path].map {
                Manifest.File(path: $0, bytes: 1, sha256: String(repeating: "a", count: 64))
            }
        )
        let error = #expect(throws: YAMLError.self) {
            try Manifest(parsing: Array(manifest.text.utf8))
        }
        #expect(error?.problem.contains("leads out") == true)
    }

    @Test func `whatever characters a manifest's texts have, it comes back as it was written`()
        throws
    {
        let texts = (0...0xffff as ClosedRange<UInt32>).compactMap { Unicode.Scalar($0) }
        let every = String(String.UnicodeScalarView(texts))
        let manifest = Manifest(
            branch: "main",
            name: "m",
            version: 1,
            created: "",
            abi: "1.0",
            build: "swift\u{85}6",
            settings: every,
            files: [
                Manifest.File(
                    path: "plugin.so",
                    bytes: 1,
                    sha256: String(repeating: "a", count: 64)
                )
            ]
        )
        let again = try Manifest(parsing: Array(manifest.text.utf8))
        #expect(again == manifest)
        #expect(again.settings.utf8.elementsEqual(every.utf8))
    }

    @Test func `what is not named by the rules is no deployment`() {
        #expect(DeploymentName(branch: "main", name: "../x") == nil)
        #expect(DeploymentName(branch: "a/../b", name: "x") == nil)
        #expect(DeploymentName(branch: "main", name: "x\u{0}") == nil)
    }
}

struct DeploymentFileTests {
    @Test func `aliases are read, and what is wrong is shown with its place`() throws {
        let folder = try TemporaryFolder()
        let good = try folder.write("a.yaml", "schemaVersion: 1\naliases: {prod: 3, canary: 4}\n")
        #expect(try DeploymentFile(path: good).aliases == ["prod": 3, "canary": 4])
        #expect(try DeploymentFile(path: "\(folder.path)/none").aliases.isEmpty)
        for text in [
            "aliases: {latest: 1}", "aliases: {7: 1}", "aliases: {a: b}", "alias: {}",
            "aliases: {a: 01}", "aliases: {a: +1}", "aliases: [a, b]", "aliases: 5", "aliases:",
        ] {
            let bad = try folder.write("b.yaml", "schemaVersion: 1\n\(text)\n")
            let error = #expect(throws: DeploymentError.self) { try DeploymentFile(path: bad) }
            #expect(error?.description.contains("b.yaml:2:") == true, "\(text)")
        }
        for text in ["schemaVersion: 7\naliases: {a: 1}\n", "aliases: {a: 1}\n"] {
            let bad = try folder.write("b.yaml", text)
            let error = #expect(throws: DeploymentError.self) { try DeploymentFile(path: bad) }
            #expect(error?.description.contains("schema version 1") == true, "\(text)")
        }
    }

    @Test func `how calls run is read, kept when aliases change, and shown with its place`() throws
    {
        let folder = try TemporaryFolder()
        let path = try folder.write(
            "a.yaml",
            "schemaVersion: 1\nexecution: {mode: pool, threads: 3, queue: 0, deadline: 2s, batch: 8}\n"
        )
        let file = try DeploymentFile(path: path)
        #expect(file.execution.mode == .pool && file.execution.threads == 3)
        #expect(file.execution.queue == 0 && file.execution.batch == 8)
        #expect(file.execution.deadlineMilliseconds == 2000)
        let again = DeploymentFile(aliases: ["a": 1], execution: file.execution)
        #expect(try DeploymentFile(parsing: Array(again.text.utf8)) == again)
        for text in [
            "{mode: fast}", "{threads: 0}", "{threads: 1.5}", "{threads: +2}", "{threads: 02}",
            "{queue: -1}", "{deadline: 5}",
            "{deadline: 0s}", "{deadline: 2000min}", "{batch: 0}", "{thread: 1}", "pool", "[]",
        ] {
            let bad = try folder.write("b.yaml", "schemaVersion: 1\nexecution: \(text)\n")
            let error = #expect(throws: DeploymentError.self) { try DeploymentFile(path: bad) }
            #expect(error?.description.contains("b.yaml:2:") == true, "\(text)")
        }
    }

    @Test func `a serial model has one thread, whatever deployment.yaml says`() throws {
        let serial = try ModelDescription(json: Array("{}".utf8))
        #expect(Execution(serial, threads: 8).threads == 1)
        #expect(Execution(serial).mode == .pool && Execution(serial).ignored == nil)
        var settings = ExecutionSettings()
        settings.mode = .inline
        #expect(Execution(serial, settings).ignored?.contains("'mode: inline'") == true)
        settings.mode = nil
        settings.threads = 2
        #expect(Execution(serial, settings).ignored?.contains("several threads") == true)
        #expect(Execution(serial, settings).threads == 1)
        let concurrent = try ModelDescription(json: Array(#"{"threading":"concurrent"}"#.utf8))
        let execution = Execution(concurrent, settings, threads: 8)
        #expect(execution.mode == .inline && execution.threads == 2)
        #expect(Execution(concurrent, threads: 8).threads == 8)
    }
}
