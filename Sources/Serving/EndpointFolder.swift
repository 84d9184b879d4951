// The folder of endpoint files: every file read and understood, and every error of every file.

import Deployments
package import Endpoints
import Platform
import YAML

/// A folder of endpoint files, or one of them.
package struct EndpointFolder: Sendable {
    /// The folder, as the errors name it.
    package let path: String
    /// Errors of one file that are shown.
    private static let errorsShown = 20

    package init(path: String) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    }

    /// What the folder holds.
    package struct Contents: Sendable {
        /// Sorted by name; the texts that could be read.
        package internal(set) var texts: [Revision.EndpointText] = []
        /// Those that could be understood.
        package internal(set) var endpoints: [Endpoint] = []
        /// All that is wrong: a sentence, or a compiler-like block, for each error.
        package var errors: [String] = []

        package init() {}
    }

    /// Reads every endpoint file of the folder, and understands them.
    package func read() -> Contents {
        var contents = readTexts()
        understand(&contents)
        return contents
    }

    /// Understands the texts that were read.
    func understand(_ contents: inout Contents) {
        for text in contents.texts {
            if let endpoint = parse(text, &contents.errors) { contents.endpoints.append(endpoint) }
        }
    }

    /// Reads the text of every endpoint file of the folder.
    func readTexts() -> Contents {
        var contents = Contents()
        let names: [String]
        do {
            names = try Directory.names(in: path)
        } catch {
            contents.errors.append("\(error); name the folder of endpoint files")
            return contents
        }
        for name in names where !name.hasPrefix(".") {
            if name.hasSuffix(".yml") {
                contents.errors.append(
                    "\(path)/\(name): found a name that ends in .yml; wanted .yaml; rename the file"
                )
            }
            if name.hasSuffix(".yaml"),
                let text = readText(String(name.dropLast(5)), &contents.errors)
            {
                contents.texts.append(text)
            }
        }
        return contents
    }

    /// Reads one endpoint's file.
    package func read(_ name: String, into contents: inout Contents) {
        guard let text = readText(name, &contents.errors) else { return }
        contents.texts.append(text)
        if let endpoint = parse(text, &contents.errors) { contents.endpoints.append(endpoint) }
    }

    private func readText(_ name: String, _ errors: inout [String]) -> Revision.EndpointText? {
        let file = "\(path)/\(name).yaml"
        do {
            let facts = try File.facts(file)
            guard facts.kind == .regular, facts.size <= YAMLParser.bytesMaximum else {
                let found = facts.kind == .regular ? "\(facts.size) bytes" : facts.kind.rawValue
                errors.append(
                    "\(file): found \(found); wanted a regular file of at most "
                        + "\(YAMLParser.bytesMaximum) bytes; remove or replace it"
                )
                return nil
            }
            let bytes = try File.read(file, limit: YAMLParser.bytesMaximum)
            let text = String(decoding: bytes, as: UTF8.self)
            guard Array(text.utf8) == bytes else {
                errors.append("\(file):1:1: error: the file is not UTF-8 text")
                return nil
            }
            return Revision.EndpointText(name: name, text: text)
        } catch {
            errors.append("\(file): found no readable file: \(error); remove or replace it")
            return nil
        }
    }

    /// Understands an endpoint's text; nil after adding what is wrong with it.
    func parse(_ text: Revision.EndpointText, _ errors: inout [String]) -> Endpoint? {
        let bytes = Array(text.text.utf8)
        switch EndpointFile.read(name: text.name, text: bytes) {
        case .endpoint(let endpoint):
            return endpoint
        case .errors(let found):
            let file = "\(path)/\(text.name).yaml"
            errors += found.prefix(Self.errorsShown).map { $0.rendered(file: file, text: bytes) }
            let rest = found.count - Self.errorsShown
            if rest > 0 { errors.append("\(file): … and \(rest) more") }
            return nil
        }
    }

    /// An error about a split's deployment, shown where the file names it.
    package func place(
        of split: Split,
        _ endpoint: Endpoint,
        _ texts: [Revision.EndpointText],
        _ error: any Error
    ) -> String {
        let text = Array((texts.first { $0.name == endpoint.name }?.text ?? "").utf8)
        let mark = EndpointFile.mark(
            ofDeployment: split.name,
            key: (error as? DeploymentError)?.key?.rawValue,
            text: text
        )
        // Of another file's error its first line, which names the place there.
        let problem = "\(error)".split(separator: "\n").first ?? ""
        return YAMLError(mark, "split '\(split.name)': \(problem)")
            .rendered(file: "\(path)/\(endpoint.name).yaml", text: text)
    }
}
