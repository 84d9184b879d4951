import Platform
import TestSupport
import Testing

/// A model author's first hour: `new`, build, test, check, ask and deploy, outside this repository.
struct NewTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs a line of a shell in the new folder.
    private func run(_ line: String, in place: String = "") throws -> (ProcessEnd?, String) {
        let path = CurrentProcess.environment("PATH") ?? "/usr/bin:/bin"
        let home = CurrentProcess.environment("HOME") ?? folder.path
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", "cd \(folder.path)/\(place) && (\(line)) 2>&1"],
            environment: [
                "PATH=\(path)", "HOME=\(home)", "SWIFT_BACKTRACE=enable=no", "LC_ALL=C.UTF-8",
            ]
        )
        let end = child.wait(seconds: 600)
        return (end, child.standardOutput + child.standardError)
    }

    private func expect(_ line: String, in place: String = "", says text: String) throws {
        let (end, output) = try run(line, in: place)
        #expect(end == .exited(0) && output.contains(text), "\(line): \(output.suffix(2000))")
    }

    /// Checks, asks and deploys a built library.
    private func tryOut(_ library: String, in place: String) throws {
        let program = try Built.program
        try expect("\(program) check \(library)", in: place, says: ": fine, contract 1.0")
        try expect(
            "\(program) predict --plugin \(library) '{\"price\": 2.5, \"quantity\": 4}'",
            in: place,
            says: "{\"data\":10.0,"
        )
        try expect(
            "\(program) deploy \(place) \(library)",
            in: place,
            says: "deployed main/\(place) version 1"
        )
    }

    @Test(arguments: ["c", "cpp"])
    func `a new plugin in C or C++ builds, passes its test and is deployed`(
        language: String
    ) throws {
        let program = try Built.program
        let name = "first_\(language)"
        try expect(
            "\(program) new \(name) --language \(language) --sdk \(Built.repository)",
            says: "made \(name)/; \(name)/README.md says how to go on"
        )
        // Swift's own compiler: a machine with Swift may lack another one.
        try expect("make CC=clang CXX=clang++", in: name, says: "-o \(name).so")
        try expect(
            "make test CC=clang CXX=clang++ SWITCHYARD=\(program)",
            in: name,
            says: "ok: [[\"a\""
        )
        try tryOut("\(name).so", in: name)
        // The test of the folder can fail.
        _ = try run("sed -i 's/price \\* quantity/price + quantity/' model.*", in: name)
        let (end, output) = try run(
            "make test CC=clang CXX=clang++ SWITCHYARD=\(program)",
            in: name
        )
        #expect(end != .exited(0) && output.contains("not ok"), "\(output)")
    }

    @Test func `a new plugin in Swift builds, passes its test and is deployed`() throws {
        let name = "first_swift"
        try expect(
            "\(Built.program) new \(name) --language swift --sdk \(Built.repository)",
            says: "made \(name)/"
        )
        try expect("swift build -c release", in: name, says: "Build complete!")
        try tryOut(".build/release/lib\(name).so", in: name)
        try expect("swift test --disable-xctest", in: name, says: "1 test in 1 suite passed")
    }

    @Test func `a folder that is there is left alone, and sources that are not are named`() throws {
        try folder.write("taken/file", "mine")
        let (end, output) = try run("\(Built.program) new taken --language c")
        #expect(end == .exited(1) && output.contains("taken: found something of that name"))
        #expect(try Directory.names(in: "\(folder.path)/taken") == ["file"])
        let (other, text) = try run("\(Built.program) new fresh --language c --sdk /tmp/nowhere")
        #expect(other == .exited(1) && text.contains("found no Plugins/templates there"))
        #expect(!File.exists("\(folder.path)/fresh"))
    }
}
