import Platform
import TestSupport
import Testing

/// Reads the tree and keeps the rules of the house true.
struct TidyTests {
    private struct SourceFile {
        let path: String
        let lines: [String]
        /// The target that the file belongs to.
        let target: String
    }

    /// Swift and C files below some folders of the repository.
    private func files(_ folders: [String]) throws -> [SourceFile] {
        var files: [SourceFile] = []
        var pending = folders
        while let folder = pending.popLast() {
            for name in try Directory.names(in: "\(Built.repository)/\(folder)") {
                let path = "\(folder)/\(name)"
                let facts = try File.facts("\(Built.repository)/\(path)")
                if facts.kind == .directory {
                    pending.append(path)
                } else if [".swift", ".c", ".cpp", ".h"].contains(where: { name.hasSuffix($0) }) {
                    let bytes = try File.read("\(Built.repository)/\(path)", limit: 1 << 20)
                    let text = String(decoding: bytes, as: UTF8.self)
                    let parts = path.split(separator: "/")
                    files.append(
                        SourceFile(
                            path: path,
                            lines: text.split(separator: "\n", omittingEmptySubsequences: false)
                                .map(String.init),
                            target: parts.count > 2 ? String(parts[1]) : ""
                        )
                    )
                }
            }
        }
        return files
    }

    /// A line without its comment; texts in quotes stay.
    private func code(_ line: String) -> String {
        guard let start = line.firstRange(of: "//") else { return line }
        return String(line[..<start.lowerBound])
    }

    private func hasWord(_ word: String, in line: String) -> Bool {
        let isWordCharacter = { (c: Character) in c.isLetter || c.isNumber || c == "_" }
        var rest = line[...]
        while let range = rest.firstRange(of: word) {
            let before =
                range.lowerBound > line.startIndex
                ? line[line.index(before: range.lowerBound)] : " "
            let after = range.upperBound < line.endIndex ? line[range.upperBound] : " "
            if !isWordCharacter(before), !isWordCharacter(after) { return true }
            rest = rest[range.upperBound...]
        }
        return false
    }

    @Test func `unsafe code stays behind the marked doors`() throws {
        let doors: Set = ["Platform", "YAML", "PluginHost", "ModelPlugin", "JSON", "Bytes"]
        for file in try files(["Sources", "Plugins"])
        where file.path.hasSuffix(".swift") && !doors.contains(file.target) {
            for (number, line) in file.lines.enumerated() {
                let code = code(line)
                #expect(
                    !hasWord("unsafe", in: code) && !code.contains("@unchecked"),
                    "\(file.path):\(number + 1)"
                )
            }
        }
        // In these, only the files that read and write bytes without looking at each.
        let files = try files(["Sources/Bytes", "Sources/JSON"])
        let leaves = ["ByteBuffer.swift", "ByteSearch.swift", "JSONMemory.swift"]
        for file in files where !leaves.contains(where: { file.path.hasSuffix("/\($0)") }) {
            #expect(!file.lines.contains { hasWord("unsafe", in: code($0)) }, "\(file.path)")
        }
    }

    @Test func `a fuzzer is unsafe in one line, where libFuzzer hands it the input`() throws {
        let door = "    let input = unsafe [UInt8](UnsafeBufferPointer(start: start, count: count))"
        for file in try files(["Tests/Fuzz"]) {
            let lines = file.lines.filter { hasWord("unsafe", in: code($0)) }
            #expect(lines.isEmpty || lines == [door], "\(file.path)")
        }
    }

    @Test func `every unchecked or safe claim has its proof above it`() throws {
        for file in try files(["Sources"]) where file.path.hasSuffix(".swift") {
            for (number, line) in file.lines.enumerated()
            where code(line).contains("@unchecked Sendable") || code(line).hasPrefix("@safe") {
                let above = file.lines[max(0, number - 20)...number].joined(separator: "\n")
                #expect(above.contains("SAFETY:"), "\(file.path):\(number + 1)")
            }
        }
    }

    @Test func `only Platform imports Glibc and nobody imports Foundation`() throws {
        // A plugin has no Platform: the SDK reads resources and computes `exp` itself.
        let doors: Set = [
            "Sources/ModelPlugin/Resource.swift", "Sources/ModelPlugin/Logistic.swift",
        ]
        for file in try files(["Sources", "Plugins", "Tests"]) where file.path.hasSuffix(".swift") {
            for (number, line) in file.lines.enumerated() {
                let words = code(line).split(separator: " ").map(String.init)
                guard words.contains("import"), let module = words.last else { continue }
                #expect(
                    !module.hasPrefix("Foundation") && module != "Dispatch",
                    "\(file.path):\(number + 1)"
                )
                if module == "Glibc" {
                    #expect(
                        file.target == "Platform" || doors.contains(file.path),
                        "\(file.path)"
                    )
                }
            }
        }
    }

    /// The floor of each target, as `Sources/README.md` says.
    private let floors: [String: Int] = [
        "CLinux": 0, "CYAML": 0, "CModelABI": 0, "CModelTag": 0, "Bytes": 0, "Platform": 1,
        "HTTP": 1, "JSON": 1, "YAML": 1, "Digest": 1, "Endpoints": 2, "EventLoop": 2,
        "PluginHost": 2, "Logging": 2, "Supervisor": 2, "Surfaces": 3, "Deployments": 3,
        "Serving": 4, "Admin": 5,
        "switchyard": 6, "switchyard-bench": 6, "switchyard-limit": 6, "ModelPlugin": 7,
    ]

    @Test func `a target imports only from floors below it`() throws {
        for file in try files(["Sources"]) where file.path.hasSuffix(".swift") {
            let own = try #require(floors[file.target], "\(file.path) is in no known target")
            for line in file.lines {
                let words = code(line).split(separator: " ").map(String.init)
                guard words.contains("import"), words.count <= 3, let module = words.last,
                    let floor = floors[module]
                else { continue }
                #expect(floor < own, "\(file.path) imports \(module)")
            }
        }
        // Whoever keeps the connections cannot parse a request.
        for file in try files(["Sources"]) where file.target == "Supervisor" {
            let imports = file.lines.filter { $0.hasPrefix("import") || $0.contains(" import ") }
            #expect(imports.allSatisfy { $0.hasSuffix("import Platform") }, "\(file.path)")
        }
        // The host never imports the SDK: two copies of one module are how types get confused.
        for file in try files(["Sources"]) where file.target != "ModelPlugin" {
            #expect(!file.lines.contains("import ModelPlugin"), "\(file.path)")
        }
    }

    @Test func `every target has its line in the map of the house`() throws {
        let map = String(
            decoding: try File.read("\(Built.repository)/Sources/README.md", limit: 1 << 20),
            as: UTF8.self
        )
        for target in try Directory.names(in: "\(Built.repository)/Sources")
        where target != "README.md" {
            #expect(map.contains("`\(target)`"), "\(target)")
            #expect(floors[target] != nil, "\(target)")
        }
    }

    @Test func `no package is depended on`() throws {
        let manifest = try File.read("\(Built.repository)/Package.swift", limit: 1 << 20)
        #expect(!String(decoding: manifest, as: UTF8.self).contains(".package("))
    }

    @Test func `lines and files keep their length`() throws {
        for file in try files(["Sources", "Plugins", "Tests"]) {
            for (number, line) in file.lines.enumerated() where line.count > 100 {
                // A text that a test compares to the letter may be as long as it is.
                let isText = file.path.hasPrefix("Tests/") && line.contains("\"")
                let isHelp = file.path.hasPrefix("Tests/") && line.contains("(default:")
                #expect(isText || isHelp, "\(file.path):\(number + 1) has \(line.count) columns")
            }
            #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count) lines")
        }
    }

    @Test func `functions keep their length`() throws {
        for file in try files(["Sources", "Plugins"]) where file.path.hasSuffix(".swift") {
            var start: (line: Int, indent: Int)?
            for (number, line) in file.lines.enumerated() {
                let indent = line.prefix { $0 == " " }.count
                let code = code(line)
                if start == nil, hasWord("func", in: code) || hasWord("init", in: code),
                    code.hasSuffix("{") || code.hasSuffix("(")
                {
                    start = (number, indent)
                } else if let begun = start, indent == begun.indent, line.hasSuffix("}") {
                    #expect(
                        number - begun.line < 72,
                        "\(file.path):\(begun.line + 1) is too long"
                    )
                    start = nil
                }
            }
        }
    }

    @Test func `nothing is left for later and nothing prints by itself`() throws {
        let banned = ["FIX" + "ME", "TO" + "DO", "XX" + "X", "HA" + "CK"]
        for file in try files(["Sources", "Plugins", "Tests"]) {
            for (number, line) in file.lines.enumerated() {
                for word in banned {
                    #expect(!hasWord(word, in: line), "\(file.path):\(number + 1)")
                }
                if file.path.hasPrefix("Sources/"), file.path.hasSuffix(".swift") {
                    #expect(!code(line).contains("print("), "\(file.path):\(number + 1)")
                    #expect(!hasWord("try!", in: code(line)), "\(file.path):\(number + 1)")
                }
            }
        }
    }

    @Test func `the contract's header stays under 300 lines`() throws {
        let header = try files(["Sources/CModelABI"]).first { $0.path.hasSuffix("model_plugin.h") }
        #expect(try #require(header).lines.count < 300)
    }

    @Test func `the upcoming features are really switched on`() {
        #if hasFeature(ExistentialAny) && hasFeature(InternalImportsByDefault)
            #if hasFeature(MemberImportVisibility)
                let areOn = true
            #else
                let areOn = false
            #endif
        #else
            let areOn = false
        #endif
        #expect(areOn)
    }
}
