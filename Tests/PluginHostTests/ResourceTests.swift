import Bytes
import JSON
import Platform
import PluginHost
import TestSupport
import Testing

/// What the SDK reads of a version's resources, and what it refuses to.
struct ResourceTests {
    /// The plugin is opened once, and the contract's load thread is whoever holds this lock.
    private static let opened = Guarded<Plugin?>(nil)

    private static func open(_ path: String) throws -> Plugin {
        try Plugin(path: path, bytes: File.read(path, limit: 1 << 28), shownAs: path)
    }

    private func make(_ name: String, in resources: String) throws -> ModelInstance {
        try Self.opened.withLock { opened in
            let plugin = try opened ?? Self.open(Built.plugin("resource_model"))
            opened = plugin
            return try ModelInstance(
                plugin: plugin,
                name: "n",
                version: 1,
                settings: JSONValue.object([.init("name", .string(name))]).text,
                resources: resources,
                log: { _, _, _ in }
            )
        }
    }

    private func refusal(_ name: String, in resources: String) -> String? {
        do {
            _ = try make(name, in: resources)
            return nil
        } catch {
            return (error as? PluginError)?.found
        }
    }

    @Test(arguments: [("trees.json", "0123456789abcdef"), ("a/b/..c", ""), ("a b", "1")])
    func `a resource is read whole`(name: String, text: String) throws {
        let folder = try TemporaryFolder()
        try folder.write(name, text)
        let frame = CallFrame()
        let none: [UInt8] = []
        let end = try make(name, in: folder.path).predict(
            [JSONReference]().span,
            in: none.span,
            requestID: none.span,
            deadline: 0,
            frame: frame
        )
        #expect(end == .answered)
        let answer = frame.withResult { Bytes.string($0, 0..<$0.count) }
        #expect(answer == "\(text.utf8.count).0")
    }

    @Test(arguments: ["", ".", "..", "/etc/hostname", "a/../b", "../a", "a//b", "a/", "a\0b"])
    func `a name that is no file's below the folder is refused`(name: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("a", "1")
        try folder.write("b", "1")
        let found = refusal(name, in: folder.path) ?? "nothing"
        #expect(found.contains("does not name a file below the folder of resources"), "\(found)")
    }

    @Test func `what is wrong with a resource is said`() throws {
        let folder = try TemporaryFolder()
        try folder.write("large", "0123456789abcdefg")
        try Directory.create("\(folder.path)/inner")
        let sentences = [
            ("large", "the resource \"large\" has 17 bytes; at most 16 are read"),
            ("inner", "the resource \"inner\" is not a regular file"),
            ("none", "the resource \"none\" cannot be opened: No such file or directory"),
        ]
        for (name, sentence) in sentences {
            #expect(
                refusal(name, in: folder.path)
                    == "a create() that returned NULL with the reason '\(sentence)'"
            )
        }
        #expect(
            refusal("none", in: "") == "a create() that returned NULL with the reason "
                + "'the resource \"none\" is missing: the version was made without resources'"
        )
    }
}
