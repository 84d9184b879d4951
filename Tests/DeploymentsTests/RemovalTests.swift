import Deployments
import Endpoints
import Platform
import PluginHost
import TestSupport
import Testing

struct RemovalTests {
    /// A store with a deployment whose versions have a manifest and a few files.
    private struct Scene {
        let folder: TemporaryFolder
        let store: DeploymentStore
        let name: DeploymentName
        /// The deployment's folder.
        let path: String

        init(_ numbers: [Int]) throws {
            folder = try TemporaryFolder()
            store = DeploymentStore(root: "\(folder.path)/deployments")
            name = try #require(DeploymentName(branch: "main", name: "m"))
            path = "\(store.root)/main/m"
            for number in numbers { try add(number) }
        }

        func add(_ number: Int) throws {
            let hash = String(repeating: "a", count: 64)
            let manifest = Manifest(
                branch: "main",
                name: "m",
                version: number,
                created: "",
                abi: "1.0",
                build: "",
                settings: "{}",
                files: [Manifest.File(path: "plugin.so", bytes: 1, sha256: hash)]
            )
            let start = "deployments/main/m/\(number)"
            try folder.write("\(start)/manifest.yaml", manifest.text)
            try folder.write("\(start)/plugin.so", "x")
            try folder.write("\(start)/resources/deep/er", "x")
        }

        func names() throws -> [String] { try Directory.names(in: path) }

        /// The sentence of a refusal.
        func refusal(_ number: Int, _ users: [Int: [VersionUser]] = [:]) -> String {
            let error = #expect(throws: DeploymentError.self) {
                try store.remove(name, number) { _ in users }
            }
            return error?.description ?? ""
        }

        func publish(_ settings: String = "{}") throws -> Int {
            try store.publish(
                DeployRequest(
                    deployment: name,
                    plugin: Built.plugin("thirty_lines"),
                    resources: nil,
                    settings: settings
                ),
                probe: PluginProbe(executable: Built.program)
            ).version
        }
    }

    private static let nobody: @Sendable (DeploymentName) -> [Int: [VersionUser]] = { _ in [:] }

    @Test func `a version goes with all its files, read-only ones and folders too`() throws {
        let scene = try Scene([1, 2, 3])
        try File.setMode("\(scene.path)/2/resources/deep/er", 0o444)
        try File.setMode("\(scene.path)/2/resources/deep", 0o555)
        try File.setMode("\(scene.path)/2", 0o555)
        try scene.store.remove(scene.name, 2, usedBy: Self.nobody)
        #expect(try scene.names() == ["1", "3"])
        #expect(try scene.store.versions(scene.name) == [1, 3])
        #expect(scene.refusal(2) == "main/m has no version 2; it has 1, 3")
    }

    @Test func `a version in use stays, and the refusal names every user and what to do`() throws {
        let scene = try Scene([1, 2])
        let users: [VersionUser] = [
            .endpointNumber(file: "e/a.yaml"), .alias("prod"), .revision(7, reference: .latest),
            .revision(7, reference: .alias("prod")),
        ]
        #expect(
            scene.refusal(2, [2: users])
                == "main/m version 2 is in use: the endpoint file e/a.yaml names it; the alias prod "
                + "names it; revision 7, which is served, has it as latest; revision 7, which is "
                + "served, has it as prod; wanted a version that nobody uses; name another version "
                + "in e/a.yaml, then run 'switchyard alias remove m prod', then deploy a newer "
                + "version, then run 'switchyard reload', then remove it"
        )
        // A start is enough where a newer version is there already.
        #expect(
            scene.refusal(1, [1: [.revision(7, reference: .latest)]])
                .hasSuffix("nobody uses; run 'switchyard reload', then remove it")
        )
        #expect(
            scene.refusal(1, [1: [.endpointLatest(file: "e/a.yaml")]])
                == "main/m version 1 is in use: the endpoint file e/a.yaml names latest, and there "
                + "is no other version; wanted a version that nobody uses; deploy another version, "
                + "then remove it"
        )
        #expect(try scene.names() == ["1", "2"])
    }

    @Test func `where it cannot be known who uses a version, it stays`() throws {
        let scene = try Scene([1, 2, 3])
        let unknown: DeploymentStore.Users = { _ in throw DeploymentError("cannot be known") }
        let error = #expect(throws: DeploymentError.self) {
            try scene.store.remove(scene.name, 1, usedBy: unknown)
        }
        #expect(error?.description == "cannot be known")
        #expect(throws: DeploymentError.self) {
            try scene.store.prune(scene.name, keeping: 1, isTrial: false, usedBy: unknown)
        }
        #expect(try scene.names() == ["1", "2", "3"])
        // Nobody needs to be asked where everything stays.
        let kept = try scene.store.prune(scene.name, keeping: 3, isTrial: false, usedBy: unknown)
        #expect(kept.map(\.outcome) == [.recent, .recent, .recent])
    }

    @Test func `what is not there is not removed`() throws {
        let scene = try Scene([2])
        #expect(scene.refusal(1) == "main/m has no version 1; it has 2")
        let other = try #require(DeploymentName(branch: "main", name: "mm"))
        let error = #expect(throws: DeploymentError.self) {
            try scene.store.remove(other, 1, usedBy: Self.nobody)
        }
        #expect(error?.description.hasPrefix("there is no deployment main/mm in ") == true)
        #expect(throws: DeploymentError.self) {
            try scene.store.prune(other, keeping: 1, isTrial: false, usedBy: Self.nobody)
        }
    }

    @Test func `a number is never given again, whatever was removed`() throws {
        let scene = try Scene([])
        #expect(try scene.publish() == 1)
        #expect(try scene.publish(#"{"n":2}"#) == 2)
        #expect(try scene.publish(#"{"n":3}"#) == 3)
        try scene.store.remove(scene.name, 3, usedBy: Self.nobody)
        try scene.store.remove(scene.name, 2, usedBy: Self.nobody)
        #expect(try scene.names() == [".highest", "1"])
        #expect(try scene.publish(#"{"n":4}"#) == 4)
        try scene.store.remove(scene.name, 4, usedBy: Self.nobody)
        try scene.store.remove(scene.name, 1, usedBy: Self.nobody)
        #expect(try scene.names() == [".highest"])
        // The very build that version 1 was is another version now.
        #expect(try scene.publish() == 5)
    }

    @Test func `a deployment without versions is no error, and says so where one is needed`()
        throws
    {
        let scene = try Scene([7])
        try scene.store.remove(scene.name, 7, usedBy: Self.nobody)
        #expect(try scene.store.deployments() == [scene.name])
        #expect(try scene.store.versions(scene.name) == [])
        let callable = scene.store.callable()
        #expect(callable.references.isEmpty && callable.errors.isEmpty)
        #expect(scene.refusal(7).contains("main/m in \(scene.store.root) has no version; deploy"))
        let error = #expect(throws: DeploymentError.self) {
            try scene.store.setAlias("prod", of: scene.name, to: 7)
        }
        #expect(error?.description.contains("has no version; deploy one with") == true)
        let none = try scene.store.prune(
            scene.name,
            keeping: 1,
            isTrial: false,
            usedBy: Self.nobody
        )
        #expect(none.isEmpty)
    }

    @Test(arguments: ["", "x", "0", "1000000000", "-1"])
    func `a high-water mark that is no number is an error with its place`(text: String) throws {
        let scene = try Scene([1])
        try scene.folder.write("deployments/main/m/.highest", "\(text)\n")
        let sentence =
            "\(scene.path)/.highest: found '\(text)\n'; wanted the highest number that a version "
            + "of main/m ever had; write it there"
        #expect(scene.refusal(1) == sentence)
        let error = #expect(throws: DeploymentError.self) { try scene.publish() }
        #expect(error?.description == sentence)
        #expect(try scene.store.versions(scene.name) == [1])
    }

    @Test func `after the last number there is none`() throws {
        let scene = try Scene([999_999_999])
        let error = #expect(throws: DeploymentError.self) { try scene.publish() }
        #expect(error?.description.contains("found version 999999999; wanted") == true)
    }

    @Test func `what a killed removal has left is cleaned up by the next one`() throws {
        let scene = try Scene([1, 2, 3, 4])
        // Killed between the rename and the deletion, and while the mark was written.
        try File.rename("\(scene.path)/2", to: "\(scene.path)/.removed-2-\(CurrentProcess.id)")
        try scene.folder.write("deployments/main/m/.highest.77.new", "9")
        #expect(try scene.store.versions(scene.name) == [1, 3, 4])
        try scene.add(2)
        try scene.store.remove(scene.name, 2, usedBy: Self.nobody)
        #expect(try scene.names() == ["1", "3", "4"])
        // A removal that is refused, and pruning with nothing to do, clean up as well.
        try File.rename("\(scene.path)/3", to: "\(scene.path)/.removed-3-1")
        _ = scene.refusal(3)
        #expect(try scene.names() == ["1", "4"])
        try File.rename("\(scene.path)/1", to: "\(scene.path)/.removed-1-1")
        func prune(isTrial: Bool) throws {
            _ = try scene.store.prune(
                scene.name,
                keeping: 5,
                isTrial: isTrial,
                usedBy: Self.nobody
            )
        }
        try prune(isTrial: true)
        #expect(try scene.names() == [".removed-1-1", "4"])
        try prune(isTrial: false)
        #expect(try scene.names() == ["4"])
    }

    @Test func `pruning keeps the newest and those in use`() throws {
        let scene = try Scene([1, 2, 3, 9, 10])
        let users: DeploymentStore.Users = { _ in
            [2: [.alias("prod")], 10: [.alias("next")], 77: [.alias("gone")]]
        }
        let expected = [
            PrunedVersion(number: 1, outcome: .removed),
            PrunedVersion(number: 2, outcome: .used([.alias("prod")])),
            PrunedVersion(number: 3, outcome: .removed),
            PrunedVersion(number: 9, outcome: .recent),
            PrunedVersion(number: 10, outcome: .recent),
        ]
        let trial = try scene.store.prune(scene.name, keeping: 2, isTrial: true, usedBy: users)
        #expect(trial == expected)
        #expect(try scene.store.versions(scene.name) == [1, 2, 3, 9, 10])
        let done = try scene.store.prune(scene.name, keeping: 2, isTrial: false, usedBy: users)
        #expect(done == expected)
        #expect(try scene.names() == ["10", "2", "9"])
    }

    @Test func `an alias cannot be set to a version that is being removed`() throws {
        let scene = try Scene([1, 2])
        let (store, name) = (scene.store, scene.name)
        let outcome = Guarded<String>("waits")
        try store.remove(name, 2) { _ in
            // The lock is held: the other side comes up to it, and not past it.
            _ = try Thread(name: "alias") {
                let result = Result { try store.setAlias("prod", of: name, to: 2) }
                outcome.withLock {
                    if case .failure(let error) = result { $0 = "\(error)" } else { $0 = "set" }
                }
            }
            MonotonicClock.sleep(nanoseconds: 200_000_000)
            #expect(outcome.withLock { $0 } == "waits")
            return [:]
        }
        #expect(eventually { outcome.withLock { $0 } != "waits" })
        #expect(outcome.withLock { $0 } == "main/m has no version 2; it has 1")
        #expect(try store.file(name).aliases.isEmpty)
    }

    @Test func `a build that is deployed during a removal gets a number above the removed one`()
        throws
    {
        let scene = try Scene([1, 2])
        let (store, name) = (scene.store, scene.name)
        let version = Guarded<Int>(0)
        let (plugin, program) = (try Built.plugin("thirty_lines"), try Built.program)
        try store.remove(name, 2) { _ in
            _ = try Thread(name: "deploy") {
                let request = DeployRequest(
                    deployment: name,
                    plugin: plugin,
                    resources: nil,
                    settings: "{}"
                )
                let published = try? store.publish(request, probe: PluginProbe(executable: program))
                version.withLock { $0 = published?.version ?? -1 }
            }
            MonotonicClock.sleep(nanoseconds: 1_000_000_000)
            #expect(version.withLock { $0 } == 0)
            return [:]
        }
        #expect(eventually { version.withLock { $0 } != 0 })
        #expect(version.withLock { $0 } == 3)
        #expect(try store.versions(name) == [1, 3])
    }

    @Test func `an alias without its version can be removed where nothing is left`() throws {
        let scene = try Scene([])
        try scene.folder.write(
            "deployments/main/m/deployment.yaml",
            "schemaVersion: 1\naliases: {prod: 3}\n"
        )
        #expect(try scene.store.removeAlias("prod", of: scene.name) == 3)
        #expect(try scene.store.file(scene.name).aliases.isEmpty)
    }
}
