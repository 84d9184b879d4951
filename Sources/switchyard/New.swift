// A model author's first folder: a template with its placeholder replaced, and the contract or the
// SDK beside it, so that the folder builds anywhere.

import Platform

extension Command {
    static let new = Command(
        name: "new",
        summary: "begin a plugin: a folder with a manifest, source, a test and its build line",
        usage: "new NAME --language swift|c|cpp [OPTIONS]",
        text: """
            Makes the folder NAME with a small model that works: it can be built, checked, asked
            and deployed as it is, on any machine with the language's compiler. The folder's
            README.md has the lines to type.
            """,
        options: [
            Option("language", value: "swift|c|cpp", "the language of the model"),
            Option(
                "sdk",
                value: "DIR",
                variable: "SWITCHYARD_SDK",
                "Switchyard's sources (default: those that this program was built from)"
            ),
        ],
        run: { arguments in
            guard arguments.words.count == 1 else { throw UsageError("wanted a name") }
            let name = arguments.words[0]
            guard isModuleName(name) else {
                throw UsageError(
                    "'\(name)' is no name for a new plugin: wanted 1 to 40 of a-z, 0-9 and _, "
                        + "beginning with a letter, since it names a module and a library"
                )
            }
            guard let language = arguments.value("language") else {
                throw UsageError("wanted --language swift, c or cpp")
            }
            guard let template = Template(rawValue: language) else {
                throw UsageError("'--language \(language)': wanted swift, c or cpp")
            }
            guard !File.exists(name) else {
                throw NewError("\(name): found something of that name; remove it, or take another")
            }
            let sources = try sources(arguments.value("sdk"))
            do {
                try template.write(name: name, to: name, from: sources)
            } catch {
                try? Directory.removeAll(name)
                throw error
            }
            StandardStream.output("made \(name)/; \(name)/README.md says how to go on\n")
            return .success
        }
    )

    private static func isModuleName(_ name: String) -> Bool {
        guard let first = name.utf8.first, (0x61...0x7a).contains(first), name.utf8.count <= 40
        else { return false }
        return name.utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f
        }
    }

    /// The folder of Switchyard's sources: the one that was named, or one above this program.
    private static func sources(_ named: String?) throws -> String {
        if let named {
            guard File.exists("\(named)/\(Template.folder)") else {
                throw NewError(
                    "'--sdk \(named)': found no \(Template.folder) there; name the "
                        + "folder of Switchyard's sources"
                )
            }
            return named
        }
        var folder = Path.folder(of: try CurrentProcess.executable())
        while !File.exists("\(folder)/\(Template.folder)") {
            guard folder != "/" else {
                throw NewError(
                    "found no Switchyard sources above this program; name their folder with --sdk"
                )
            }
            folder = Path.folder(of: folder)
        }
        return folder
    }
}

/// Why a folder cannot be made.
struct NewError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What a new folder is made from.
enum Template: String {
    case swift, c, cpp

    /// Where the templates lie in Switchyard's sources.
    static let folder = "Plugins/templates"
    /// What stands for the name in a template.
    private static let placeholder = "my_model"

    /// Further files: where they lie in Switchyard's sources, and where they go.
    private var parts: [(from: String, to: String)] {
        switch self {
        case .swift:
            ["Bytes", "CModelABI", "CModelTag", "JSON", "ModelPlugin"].map {
                ("Sources/\($0)", "SDK/\($0)")
            } + [("Plugins/plugin.map", "plugin.map")]
        case .c: [("Sources/CModelABI/include/model_plugin.h", "model_plugin.h")]
        case .cpp: Template.c.parts + [("\(Self.folder)/c/test.sh", "test.sh")]
        }
    }

    /// Writes the folder.
    func write(name: String, to folder: String, from sources: String) throws {
        try copy("\(sources)/\(Self.folder)/\(rawValue)", to: folder, name: name)
        for part in parts {
            try copy("\(sources)/\(part.from)", to: "\(folder)/\(part.to)", name: nil)
        }
    }

    /// Copies a file or a folder; with a name, the placeholder is replaced in texts and paths.
    private func copy(_ source: String, to target: String, name: String?) throws {
        let facts = try File.facts(source)
        guard facts.kind == .directory else {
            var bytes = try File.read(source, limit: 1 << 20)
            if let name {
                let text = String(decoding: bytes, as: UTF8.self)
                bytes = Array(text.replacing(Self.placeholder, with: name).utf8)
            }
            try File.writeNew(target, bytes, mode: facts.mode & 0o755)
            return
        }
        try Directory.createAll(target)
        for entry in try Directory.names(in: source) {
            let renamed = name.map { entry.replacing(Self.placeholder, with: $0) } ?? entry
            try copy("\(source)/\(entry)", to: "\(target)/\(renamed)", name: name)
        }
    }
}
