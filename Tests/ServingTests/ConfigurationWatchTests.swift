import Platform
import Serving
import TestSupport
import Testing

struct DebounceTests {
    @Test func `nothing is due before the first event`() {
        let debounce = Debounce(quietNanoseconds: 10)
        #expect(debounce.left(at: 0) == nil && !debounce.isDue(at: .max))
    }

    @Test func `a call is due when it was quiet for long enough, and then no more`() {
        var debounce = Debounce(quietNanoseconds: 10)
        debounce.event(at: 100)
        #expect(debounce.left(at: 100) == 10 && debounce.left(at: 109) == 1)
        #expect(!debounce.isDue(at: 109) && debounce.isDue(at: 110) && debounce.isDue(at: 500))
        debounce.begin()
        #expect(debounce.left(at: 500) == nil && !debounce.isDue(at: 500))
    }

    @Test func `events that go on put the call off for as long as they do`() {
        var debounce = Debounce(quietNanoseconds: 10)
        for moment in stride(from: UInt64(100), to: 100_000, by: 9) {
            #expect(!debounce.isDue(at: moment))
            debounce.event(at: moment)
        }
        #expect(debounce.isDue(at: 100_009))
    }

    @Test func `an event during a call is followed by another one`() {
        var debounce = Debounce(quietNanoseconds: 10)
        debounce.event(at: 100)
        debounce.begin()
        debounce.event(at: 115)
        #expect(!debounce.isDue(at: 124) && debounce.isDue(at: 125))
    }

    @Test func `a clock that was read late and a quiet time without end do no harm`() {
        var debounce = Debounce(quietNanoseconds: .max)
        debounce.event(at: 100)
        debounce.event(at: 90)
        #expect(debounce.left(at: 50) == .max && debounce.left(at: 101) == .max - 1)
    }

    @Test(arguments: [
        ("a.yaml", false, false), ("..data", false, false), ("", true, false),
        ("x.new", true, false), ("new", false, false), ("a~b", true, false),
        (".new-Ab3dEf", true, true), ("a.yaml.123.new", false, true), (".a.yaml.swp", false, true),
        ("a.yaml.swp", false, true), ("a.yaml~", false, true), ("..2026_11_21", true, true),
    ])
    func `temporary names are known`(name: String, isFolder: Bool, isTemporary: Bool) {
        #expect(ConfigurationWatch.isTemporary(name, isFolder: isFolder) == isTemporary)
    }
}

/// A watch over two folders, and what it has called so far.
private final class Watched: Sendable, CustomReflectable {
    let folder: TemporaryFolder
    let watch: ConfigurationWatch
    let failures: Guarded<[SystemError]>
    private let calls: Guarded<[Set<String>]>

    /// Starts to watch. Each call notes which of some paths were there; `during` runs in it.
    init(
        quiet: UInt64 = 1_000_000,
        makesRoots: Bool = true,
        looksFor paths: [String] = [],
        during: @escaping @Sendable () -> Void = {}
    ) throws {
        let folder = try TemporaryFolder()
        let calls = Guarded<[Set<String>]>([])
        let failures = Guarded<[SystemError]>([])
        if makesRoots {
            try Directory.create("\(folder.path)/endpoints")
            try Directory.create("\(folder.path)/deployments")
        }
        let root = folder.path
        watch = ConfigurationWatch(
            endpoints: "\(root)/endpoints",
            deployments: "\(root)/deployments",
            quietNanoseconds: quiet,
            failed: { error in failures.withLock { $0.append(error) } },
            changed: {
                let seen = Set(paths.filter { File.exists("\(root)/\($0)") })
                calls.withLock { $0.append(seen) }
                during()
            }
        )
        self.folder = folder
        self.calls = calls
        self.failures = failures
        try watch.start()
    }

    deinit {
        watch.stop()
    }

    /// A test that fails looks into its values, and a mirror cannot copy what only has an owner.
    var customMirror: Mirror { Mirror(self, children: [:]) }

    var count: Int { calls.withLock { $0.count } }
    var seen: [Set<String>] { calls.withLock { $0 } }

    /// Waits for a call that saw this path.
    func hasSeen(_ path: String) -> Bool {
        eventually { seen.contains { $0.contains(path) } }
    }

    /// Makes a file of the configuration appear by one event.
    func appear(_ path: String) throws {
        try folder.write("aside", "")
        try File.rename("\(folder.path)/aside", to: "\(folder.path)/\(path)")
    }
}

struct ConfigurationWatchTests {
    @Test func `a burst of 200 writes is one call`() throws {
        let watched = try Watched(quiet: 1_000_000_000, looksFor: ["endpoints/last.yaml"])
        for number in 0..<200 {
            _ = try File.open("\(watched.folder.path)/endpoints/\(number).yaml", access: .append)
        }
        #expect(eventually { watched.count > 0 })
        try watched.appear("endpoints/last.yaml")
        #expect(watched.hasSeen("endpoints/last.yaml"))
        #expect(watched.seen == [[], ["endpoints/last.yaml"]])
    }

    @Test func `an alias of a deployment in a branch that was not there is seen`() throws {
        let file = "deployments/feature~x/model.new/deployment.yaml"
        let watched = try Watched(looksFor: ["deployments/feature~x/model.new", file])
        let folder = "\(watched.folder.path)/\(Path.folder(of: file))"
        try Directory.createAll(folder)
        #expect(watched.hasSeen("deployments/feature~x/model.new"))
        try File.writeAtomically("\(watched.folder.path)/\(file)", Array("a".utf8))
        #expect(watched.hasSeen(file))
        let before = watched.count
        try File.writeAtomically("\(watched.folder.path)/\(file)", Array("b".utf8))
        #expect(eventually { watched.count > before })
    }

    @Test func `a version that is published, and a deployment that moves away, are seen`() throws {
        let version = "deployments/main/model/1"
        let alias = "deployments/other/model/deployment.yaml"
        let watched = try Watched(
            looksFor: ["deployments/main/model", version, "deployments/other/model", alias]
        )
        let root = watched.folder.path
        try Directory.createAll("\(root)/deployments/main/model")
        #expect(watched.hasSeen("deployments/main/model"))
        try Directory.create("\(root)/deployments/.new-x")
        try File.rename("\(root)/deployments/.new-x", to: "\(root)/\(version)")
        #expect(watched.hasSeen(version))
        try File.rename("\(root)/deployments/main/model", to: "\(root)/elsewhere")
        #expect(eventually { watched.seen.last == [] })
        try Directory.create("\(root)/deployments/other")
        try File.rename("\(root)/elsewhere", to: "\(root)/deployments/other/model")
        #expect(watched.hasSeen("deployments/other/model"))
        try watched.appear(alias)
        #expect(watched.hasSeen(alias))
    }

    @Test func `an atomic rename is one call`() throws {
        let watched = try Watched(looksFor: ["endpoints/a.yaml", "endpoints/b.yaml"])
        let file = "\(watched.folder.path)/endpoints/a.yaml"
        try File.writeAtomically(file, Array("a".utf8))
        #expect(watched.hasSeen("endpoints/a.yaml"))
        try watched.appear("endpoints/b.yaml")
        #expect(watched.hasSeen("endpoints/b.yaml"))
        #expect(
            watched.seen == [["endpoints/a.yaml"], ["endpoints/a.yaml", "endpoints/b.yaml"]]
        )
    }

    @Test func `temporary names alone are no call`() throws {
        let watched = try Watched(looksFor: ["endpoints/a.yaml"])
        let folder = watched.folder
        try folder.write("endpoints/.a.yaml.swp", "")
        try folder.write("endpoints/a.yaml~", "")
        try folder.write("endpoints/a.yaml.17.new", "")
        try folder.write("deployments/.new-abcdef/plugin.so", "")
        try File.setMode("\(folder.path)/deployments/.new-abcdef", 0o700)
        try Directory.removeAll("\(folder.path)/deployments/.new-abcdef")
        // A call for these would come now.
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        try File.rename(
            "\(folder.path)/endpoints/a.yaml.17.new",
            to: "\(folder.path)/endpoints/a.yaml"
        )
        #expect(watched.hasSeen("endpoints/a.yaml"))
        #expect(watched.seen == [["endpoints/a.yaml"]])
    }

    @Test func `a root that is removed and made again is watched again`() throws {
        let (first, second) = ("endpoints/1.yaml", "deployments/main/m/2.yaml")
        let watched = try Watched(
            looksFor: ["endpoints", "deployments", "deployments/main/m", first, second]
        )
        let root = watched.folder.path
        try Directory.removeAll("\(root)/endpoints")
        #expect(eventually { watched.seen.last == ["deployments"] })
        try Directory.removeAll("\(root)/deployments")
        #expect(eventually { watched.seen.last == [] })
        try Directory.create("\(root)/endpoints")
        #expect(watched.hasSeen("endpoints"))
        try watched.appear(first)
        #expect(watched.hasSeen(first))
        try Directory.createAll("\(root)/deployments/main/m")
        #expect(watched.hasSeen("deployments/main/m"))
        try watched.appear(second)
        #expect(watched.hasSeen(second))
        #expect(watched.failures.withLock { $0.isEmpty })
    }

    @Test func `roots that are not there at the start are waited for`() throws {
        let watched = try Watched(
            makesRoots: false,
            looksFor: ["endpoints", "deployments/main", "endpoints/a.yaml"]
        )
        #expect(watched.count == 0)
        try Directory.create("\(watched.folder.path)/endpoints")
        #expect(watched.hasSeen("endpoints"))
        try watched.appear("endpoints/a.yaml")
        #expect(watched.hasSeen("endpoints/a.yaml"))
        try Directory.createAll("\(watched.folder.path)/deployments/main")
        #expect(watched.hasSeen("deployments/main"))
    }

    @Test func `another folder under the root's name is seen without an event in it`() throws {
        let watched = try Watched(looksFor: ["deployments/main", "deployments/main/m"])
        let root = watched.folder.path
        try Directory.createAll("\(root)/next/main")
        // Renamed twice at once: the watched folder goes, and another is there when one looks.
        try File.rename("\(root)/deployments", to: "\(root)/old")
        try File.rename("\(root)/next", to: "\(root)/deployments")
        #expect(watched.hasSeen("deployments/main"))
        try Directory.create("\(root)/deployments/main/m")
        #expect(watched.hasSeen("deployments/main/m"))
    }

    /// Makes a link, in the place of one that is there.
    private func link(_ path: String, to target: String) throws {
        let child = try ChildProcess(
            executable: "/bin/ln",
            arguments: ["-sfn", target, path],
            environment: []
        )
        try #require(child.wait(seconds: 20) == .exited(0))
    }

    @Test func `a root's link to another folder is seen, and a broken one is told once`() throws {
        let watched = try Watched(
            makesRoots: false,
            looksFor: ["endpoints/1.yaml", "endpoints/2.yaml", "endpoints/3.yaml"]
        )
        let folder = watched.folder
        try folder.write("one/1.yaml", "")
        try folder.write("two/2.yaml", "")
        let root = "\(folder.path)/endpoints"
        try link(root, to: "one")
        #expect(watched.hasSeen("endpoints/1.yaml"))
        try link(root, to: "two")
        #expect(watched.hasSeen("endpoints/2.yaml"))
        try link(root, to: "endpoints")
        #expect(eventually { watched.seen.last == [] })
        #expect(eventually { watched.failures.withLock { !$0.isEmpty } })
        try link(root, to: "one")
        #expect(eventually { watched.seen.last == ["endpoints/1.yaml"] })
        try watched.appear("endpoints/3.yaml")
        #expect(watched.hasSeen("endpoints/3.yaml"))
        #expect(watched.failures.withLock { $0.map(\.call) } == ["inotify_add_watch"])
    }

    @Test func `what cannot be watched refuses the start, and leaves nothing running`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/" + String(repeating: "n", count: 1000)
        let watch = ConfigurationWatch(endpoints: path, deployments: folder.path) {}
        #expect(throws: SystemError.self) { try watch.start() }
        watch.stop()
    }

    @Test func `a change during a call is followed by another call`() throws {
        let (isCalled, mayReturn) = (Guarded(false), Guarded(false))
        let watched = try Watched(looksFor: ["endpoints/a.yaml", "endpoints/b.yaml"]) {
            isCalled.withLock { $0 = true }
            isCalled.notify()
            mayReturn.wait { $0 ? () : nil }
        }
        defer {
            mayReturn.withLock { $0 = true }
            mayReturn.notify()
        }
        try watched.appear("endpoints/a.yaml")
        #expect(eventually { isCalled.withLock { $0 } })
        try watched.appear("endpoints/b.yaml")
        mayReturn.withLock { $0 = true }
        mayReturn.notify()
        #expect(watched.hasSeen("endpoints/b.yaml"))
        #expect(
            watched.seen == [["endpoints/a.yaml"], ["endpoints/a.yaml", "endpoints/b.yaml"]]
        )
    }

    @Test func `events that the kernel could not keep are followed by a call`() throws {
        let (isCalled, mayReturn) = (Guarded(false), Guarded(false))
        let watched = try Watched {
            isCalled.withLock { $0 = true }
            mayReturn.wait { $0 ? () : nil }
        }
        defer {
            mayReturn.withLock { $0 = true }
            mayReturn.notify()
        }
        try watched.appear("endpoints/a.yaml")
        #expect(eventually { isCalled.withLock { $0 } })
        // None of these names is worth a call: only that some are missing.
        let folder = "\(watched.folder.path)/endpoints"
        try EventFlood.overflow("\(folder)/.one", "\(folder)/.two")
        mayReturn.withLock { $0 = true }
        mayReturn.notify()
        #expect(eventually { watched.count == 2 })
    }

    @Test func `stopping ends the thread and the calls, and it can be started again`() throws {
        let watched = try Watched(looksFor: ["endpoints/a.yaml", "endpoints/b.yaml"])
        watched.watch.stop()
        watched.watch.stop()
        try watched.appear("endpoints/a.yaml")
        try watched.watch.start()
        try watched.watch.start()
        try watched.appear("endpoints/b.yaml")
        #expect(watched.hasSeen("endpoints/b.yaml"))
        #expect(watched.count == 1)
    }

    @Test func `a watch that nobody holds any more ends by itself`() throws {
        final class Token: Sendable {}
        let folder = try TemporaryFolder()
        weak var token: Token?
        do {
            let strong = Token()
            token = strong
            let watch = ConfigurationWatch(
                endpoints: folder.path,
                deployments: folder.path
            ) { _ = strong }
            try watch.start()
        }
        #expect(eventually { token == nil })
    }

    @Test func `no descriptor is left behind`() throws {
        let folder = try TemporaryFolder()
        let watch = ConfigurationWatch(endpoints: folder.path, deployments: folder.path) {}
        let open = { try Directory.names(in: "/proc/self/fd").count }
        let before = try open()
        for _ in 0..<300 {
            try watch.start()
            watch.stop()
        }
        // Other tests open descriptors meanwhile, but one of each round would be more.
        #expect(try eventually { try open() < before + 300 })
    }
}
