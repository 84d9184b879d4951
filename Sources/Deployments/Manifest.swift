// What a stored version consists of: every file with its size and hash, and how it was built.

import Bytes
import Endpoints
import JSON
package import YAML

/// The manifest of one version, `manifest.yaml`.
package struct Manifest: Equatable, Sendable {
    /// One file of the version.
    package struct File: Equatable, Sendable {
        /// Relative to the version's folder: `plugin.so` or `resources/…`.
        package let path: String
        package let bytes: Int
        /// 64 lower-case hexadecimal digits.
        package let sha256: String

        package init(path: String, bytes: Int, sha256: String) {
            self.path = path
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    package let branch: String
    package let name: String
    package let version: Int
    /// When it was deployed, `2026-11-21T03:00:00.123456Z`.
    package let created: String
    /// The contract that the plugin was built for, such as `1.0`.
    package let abi: String
    /// The compiler, in its own words.
    package let build: String
    /// JSON text; `{}` when there are none.
    package let settings: String
    /// JSON text: a list of the `data` of requests that the model is warmed up with, beside its own
    /// examples.
    package let examples: String
    /// Sorted by path.
    package let files: [File]

    package init(
        branch: String,
        name: String,
        version: Int,
        created: String,
        abi: String,
        build: String,
        settings: String,
        examples: String = "[]",
        files: [File]
    ) {
        self.branch = branch
        self.name = name
        self.version = version
        self.created = created
        self.abi = abi
        self.build = build
        self.settings = settings
        self.examples = examples
        self.files = files
    }

    /// The hash of the plugin itself.
    package var pluginHash: String {
        files.first { $0.path == "plugin.so" }?.sha256 ?? ""
    }

    /// The text of `manifest.yaml`.
    package var text: String {
        func quoted(_ text: String) -> String { JSONValue.string(text).text }
        var lines = [
            "# Written by 'switchyard deploy'. A version never changes; deploy a new one instead.",
            "schemaVersion: 1",
            "branch: \(quoted(branch))",
            "name: \(quoted(name))",
            "version: \(version)",
            "created: \(quoted(created))",
            "abi: \(quoted(abi))",
            "build: \(quoted(build))",
            "settings: \(quoted(settings))",
            "examples: \(quoted(examples))",
            "files:",
        ]
        for file in files {
            lines.append("  - path: \(quoted(file.path))")
            lines.append("    bytes: \(file.bytes)")
            lines.append("    sha256: \(file.sha256)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads a manifest; the error says where it is wrong.
    package init(parsing text: [UInt8]) throws(YAMLError) {
        let root = try YAMLParser.parse(text)
        func scalar(_ key: String, in node: YAMLNode) throws(YAMLError) -> String {
            guard let value = node[key]?.scalar else {
                throw YAMLError(node.mark, "the manifest has no '\(key)'")
            }
            return value
        }
        func number(_ key: String, in node: YAMLNode) throws(YAMLError) -> Int {
            let text = try scalar(key, in: node)
            guard let number = Int(text), number >= 0 else {
                throw YAMLError(node[key]?.mark ?? node.mark, "'\(key)' is '\(text)', no number")
            }
            return number
        }
        guard try number("schemaVersion", in: root) == 1 else {
            throw YAMLError(root.mark, "this host reads manifests of schema version 1")
        }
        branch = try scalar("branch", in: root)
        name = try scalar("name", in: root)
        version = try number("version", in: root)
        created = try scalar("created", in: root)
        abi = try scalar("abi", in: root)
        build = try scalar("build", in: root)
        settings = try scalar("settings", in: root)
        examples = root["examples"]?.scalar ?? "[]"
        guard case .sequence(let nodes) = root["files"]?.content else {
            throw YAMLError(root.mark, "the manifest has no list 'files'")
        }
        var files: [File] = []
        for node in nodes {
            let path = try scalar("path", in: node)
            guard Manifest.isSafe(path) else {
                throw YAMLError(node.mark, "the path '\(path)' leads out of the version's folder")
            }
            let hash = try scalar("sha256", in: node)
            guard hash.utf8.count == 64, hash.utf8.allSatisfy({ Hex.value($0) != nil }) else {
                throw YAMLError(node.mark, "the SHA-256 of '\(path)' is not 64 hexadecimal digits")
            }
            files.append(File(path: path, bytes: try number("bytes", in: node), sha256: hash))
        }
        guard files.contains(where: { $0.path == "plugin.so" }) else {
            throw YAMLError(root.mark, "the manifest lists no plugin.so")
        }
        self.files = files
    }

    /// Whether a relative path stays below its folder.
    ///
    /// Bytes are looked at, as the kernel does: `/` with an accent behind it is one character.
    static func isSafe(_ path: String) -> Bool {
        path.utf8.split(separator: 0x2f, omittingEmptySubsequences: false).allSatisfy {
            !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
                && !$0.contains(0)
        }
    }
}
