import Platform
import TestSupport
import Testing

struct FolderWatchTests {
    /// All that was said so far.
    private func changes(_ watch: FolderWatch) throws -> [FolderChange] {
        var changes: [FolderChange] = []
        while let change = try watch.next() { changes.append(change) }
        return changes
    }

    @Test func `what happens to a name is said with the name, in order`() throws {
        let folder = try TemporaryFolder()
        let watch = try FolderWatch()
        let place = try watch.watch(folder.path)
        #expect(try watch.next() == nil)
        let one = try folder.write("one", "1")
        try File.setMode(one, 0o600)
        try File.rename(one, to: "\(folder.path)/a name of another length")
        try Directory.create("\(folder.path)/below")
        try folder.write("below/not seen", "")
        try File.remove("\(folder.path)/a name of another length")
        let name = { FolderChange.name($0, isFolder: false, in: place) }
        #expect(
            try changes(watch) == [
                name("one"), name("one"), name("one"), name("one"),
                name("a name of another length"), .name("below", isFolder: true, in: place),
                name("a name of another length"),
            ]
        )
    }

    @Test func `reading a file and listing a folder are no changes`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a", "1")
        let watch = try FolderWatch()
        _ = try watch.watch(folder.path)
        _ = try File.read(path, limit: 10)
        _ = try Directory.names(in: folder.path)
        #expect(try watch.next() == nil)
    }

    @Test func `an atomic write ends with the file's name`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a", "old")
        let watch = try FolderWatch()
        let place = try watch.watch(folder.path)
        try File.writeAtomically(path, Array("new".utf8))
        #expect(try changes(watch).last == .name("a", isFolder: false, in: place))
    }

    @Test func `more events than one read takes come whole`() throws {
        let folder = try TemporaryFolder()
        let watch = try FolderWatch()
        let place = try watch.watch(folder.path)
        let names = (0..<500).map { "\($0)-" + String(repeating: "n", count: $0 % 250) }
        for name in names { try Directory.create("\(folder.path)/\(name)") }
        #expect(
            try changes(watch) == names.map { .name($0, isFolder: true, in: place) }
        )
    }

    @Test func `a folder that is removed or renamed is gone, and can be watched again`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/a"
        let watch = try FolderWatch()
        try Directory.create(path)
        let first = try watch.watch(path)
        try Directory.removeAll(path)
        #expect(try changes(watch).first == .gone(first))
        watch.forget(first)
        try Directory.create(path)
        let second = try watch.watch(path)
        #expect(second != first)
        try File.rename(path, to: "\(folder.path)/b")
        #expect(try changes(watch) == [.gone(second)])
        #expect(try watch.watch("\(folder.path)/b") == second)
    }

    @Test func `a path is asked again whether it names the same folder`() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/a"
        try Directory.create(path)
        let watch = try FolderWatch()
        let place = try watch.watch(path)
        #expect(try watch.watch(path) == place)
        try File.rename(path, to: "\(folder.path)/b")
        try Directory.create(path)
        #expect(try watch.watch(path) != place)
    }

    @Test func `a forgotten folder is silent`() throws {
        let folder = try TemporaryFolder()
        let watch = try FolderWatch()
        let place = try watch.watch(folder.path)
        watch.forget(place)
        try folder.write("a", "")
        #expect(try changes(watch).allSatisfy { $0 == .gone(place) })
    }

    @Test func `what is no folder is refused`() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("a", "")
        let watch = try FolderWatch()
        let missing = #expect(throws: SystemError.self) { try watch.watch("\(file)-none") }
        #expect(missing?.isNotFound == true)
        let other = #expect(throws: SystemError.self) { try watch.watch(file) }
        #expect(other?.isNotFolder == true)
    }

    @Test func `an event makes the descriptor readable until it is taken`() throws {
        let folder = try TemporaryFolder()
        let watch = try FolderWatch()
        _ = try watch.watch(folder.path)
        var epoll = try Epoll()
        try epoll.add(watch.descriptor, .readable, token: 1)
        let before = try epoll.wait(milliseconds: 0)
        try folder.write("a", "")
        let after = try epoll.wait(milliseconds: 0)
        _ = try changes(watch)
        let end = try epoll.wait(milliseconds: 0)
        #expect(before == 0 && after == 1 && end == 0)
    }

    @Test func `more than the kernel keeps is an overflow, and then it goes on`() throws {
        let folder = try TemporaryFolder()
        let watch = try FolderWatch()
        let place = try watch.watch(folder.path)
        try EventFlood.overflow("\(folder.path)/one", "\(folder.path)/two")
        #expect(try changes(watch).last == .overflow)
        try folder.write("after", "")
        #expect(try changes(watch).first == .name("after", isFolder: false, in: place))
    }
}
