import Deployments
import Endpoints
import Platform
import PluginHost
import Serving

extension Command {
    static let check = Command(
        name: "check",
        summary: "check a plugin build, or endpoint files, without changing anything",
        usage: "check PLUGIN.so | check ENDPOINTS-DIR | check ENDPOINT.yaml",
        text: """
            A plugin: reads the file, then opens it, creates a model, asks it its own examples and
            destroys it in a process of its own, as 'deploy' does; prints what it says of itself.
            Endpoint files: reads them and holds them against the store, as 'serve' does, without
            a host and without opening a plugin; prints every error of every file.
            """,
        options: folders + pluginOptions,
        run: { arguments in
            guard arguments.words.count == 1 else {
                throw UsageError(
                    "wanted one plugin's file, folder of endpoints, or endpoint's file"
                )
            }
            let path = arguments.words[0]
            let kind = try? File.facts(path).kind
            let isFolder = kind == .directory && !path.hasSuffix(".so")
            if isFolder || path.hasSuffix(".yaml") || path.hasSuffix(".yml") {
                return try checkEndpoints(path, isFolder: isFolder, arguments)
            }
            return try checkPlugin(path, arguments)
        }
    )

    /// How a model is made that is not in the store.
    static let pluginOptions = [
        Option("name", value: "NAME", "name that the model is made with (default: plugin)"),
        Option("resources", value: "DIR", "folder of files that the model reads"),
        Option("settings", value: "FILE", "JSON file that the model is made with"),
    ]

    private static func checkPlugin(
        _ path: String,
        _ arguments: Arguments
    ) throws -> ExitStatus {
        let bytes = try PluginProbe.readFile(path, shownAs: path)
        let tag = try PluginTag(of: ELFFile(path: path, bytes: bytes))
        let outcome = try probe(path, arguments, data: nil)
        _ = try ModelDescription(json: outcome.description)
        StandardStream.output(
            "\(path): fine, contract \(tag.major).\(tag.minor), built by \(tag.build)\n"
                + String(decoding: outcome.description, as: UTF8.self) + "\n"
        )
        return .success
    }

    /// Tries a plugin in a process of its own, and asks it if there is something to ask.
    static func probe(
        _ path: String,
        _ arguments: Arguments,
        data: String?
    ) throws -> PluginProbe.Outcome {
        try PluginProbe().run(
            ProbeRequest(
                file: Path.absolute(path),
                shownAs: path,
                name: arguments.value("name") ?? "plugin",
                version: 1,
                settings: settings(arguments.value("settings")),
                resources: arguments.value("resources").map { Path.absolute($0) } ?? "",
                data: data
            )
        )
    }

    private static func checkEndpoints(
        _ path: String,
        isFolder: Bool,
        _ arguments: Arguments
    ) throws -> ExitStatus {
        let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
        let folder = EndpointFolder(path: isFolder ? path : Path.folder(of: path))
        var contents = EndpointFolder.Contents()
        if isFolder {
            contents = folder.read()
            if contents.errors.isEmpty, contents.texts.isEmpty {
                contents.errors.append(
                    "\(path): found no endpoint's file; wanted files that end in .yaml; name the "
                        + "folder of endpoint files"
                )
            }
        } else if path.hasSuffix(".yaml") {
            folder.read(String(Path.name(of: path).dropLast(5)), into: &contents)
        } else {
            contents.errors.append(
                "\(path): found a name that ends in .yml; wanted .yaml; rename the file"
            )
        }
        var lines: [String] = []
        for endpoint in contents.endpoints {
            for split in endpoint.splits {
                do {
                    lines.append(try line(split, of: endpoint, store))
                } catch {
                    contents.errors.append(
                        folder.place(of: split, endpoint, contents.texts, error)
                    )
                }
            }
        }
        if isFolder { checkAliases(store, &contents.errors) }
        guard contents.errors.isEmpty else { throw CommitFailure(errors: contents.errors) }
        let count = contents.endpoints.count
        lines.append("\(path): fine, \(count) endpoint\(count == 1 ? "" : "s")")
        StandardStream.output(lines.joined(separator: "\n") + "\n")
        return .success
    }

    /// Adds what is wrong with the aliases that a host would load.
    private static func checkAliases(_ store: DeploymentStore, _ errors: inout [String]) {
        let callable = store.callable()
        errors += callable.errors
        for reference in callable.references where reference.version != .latest {
            do {
                let (deployment, numbers) = try store.candidates(reference)
                try store.verify(deployment, numbers[0])
            } catch {
                let name = reference.deployment
                errors.append("alias '\(reference.version)' of \(name): \(error)")
            }
        }
    }

    /// What a split stands for at the moment.
    private static func line(
        _ split: Split,
        of endpoint: Endpoint,
        _ store: DeploymentStore
    ) throws -> String {
        let start = "endpoint \(endpoint.name), split \(split.name), weight \(split.weightText): "
        guard case .deployment(let reference) = split.backend else { return start + "static value" }
        let (deployment, numbers) = try store.candidates(reference)
        try store.verify(deployment, numbers[0])
        return start + "\(deployment) version \(numbers[0])"
            + (reference.version.alias.map { " (\($0))" } ?? "")
    }
}
