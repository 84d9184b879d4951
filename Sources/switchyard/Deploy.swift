import Deployments
import JSON
import Platform
import PluginHost

extension Command {
    static let deploy = Command(
        name: "deploy",
        summary: "store a plugin build as the next version of a deployment",
        usage: "deploy NAME PLUGIN.so [OPTIONS]",
        text: """
            Checks the file, tries it in a process of its own, and stores it with its resources
            and settings as the next version of the deployment. A build that equals the newest
            version is not stored again. A running host takes it with the next reload, or at once
            with --reload, which keeps live weights.
            """,
        options: folders + [
            Option("branch", value: "NAME", "branch of the deployment (default: main)"),
            Option("resources", value: "DIR", "folder of files that the model reads"),
            Option("settings", value: "FILE", "JSON file that the model is made with"),
            Option(
                "examples",
                value: "FILE",
                "JSON list of 'data' that it must answer before it is ready"
            ),
            reloadOption, reasonOption, json,
        ] + HostClient.adminOptions,
        run: { arguments in
            try requireThawed(arguments)
            guard arguments.words.count == 2 else {
                throw UsageError("wanted the deployment's name and the plugin's file")
            }
            let deployment = try deploymentName(arguments.words[0], arguments)
            let request = DeployRequest(
                deployment: deployment,
                plugin: arguments.words[1],
                resources: arguments.value("resources"),
                settings: try settings(arguments.value("settings")),
                examples: try examples(arguments.value("examples"))
            )
            let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
            let probe = PluginProbe()
            let published = try store.publish(request, probe: probe)
            if published.isNew {
                audit("deploy", "\(deployment) \(published.version)", outcome: "done", arguments)
            }
            if arguments.has("json") {
                let value = JSONValue.object([
                    .init("branch", .string(deployment.branch)),
                    .init("name", .string(deployment.name)),
                    .init("version", .number(String(published.version))),
                    .init("new", .boolean(published.isNew)),
                    .init("sha256", .string(published.pluginHash)),
                ])
                StandardStream.output(value.text + "\n")
            } else {
                let hash = "(sha256 \(published.pluginHash.prefix(12)))"
                StandardStream.output(
                    published.isNew
                        ? "deployed \(deployment) version \(published.version) \(hash)\n"
                        : "\(deployment) version \(published.version) \(hash) is this build\n"
                )
            }
            return try reloadAfterwards(arguments)
        }
    )

    static let reloadOption = Option("reload", "let the running host take it at once")

    /// Lets the running host take what was stored, if that is wanted.
    static func reloadAfterwards(_ arguments: Arguments) throws -> ExitStatus {
        guard arguments.has("reload") else { return .success }
        return try askReload(arguments)
    }

    /// The JSON text of a file of examples.
    private static func examples(_ path: String?) throws -> String {
        guard let path else { return "[]" }
        let text = try jsonFile(path, option: "examples")
        guard (try? JSONValue(parsing: Array(text.utf8)))?.array != nil else {
            throw DeploymentError(
                "\(path): found no list; wanted a JSON list with the 'data' of a request each"
            )
        }
        return text
    }

    /// The JSON text of a settings file.
    static func settings(_ path: String?) throws -> String {
        guard let path else { return "{}" }
        return try jsonFile(path, option: "settings")
    }

    private static func jsonFile(_ path: String, option: String) throws -> String {
        let bytes: [UInt8]
        do {
            bytes = try File.read(path, limit: 1 << 20)
        } catch {
            throw DeploymentError(
                "\(path): found no readable file: \(error); wanted a JSON file; name it with "
                    + "--\(option)"
            )
        }
        guard bytes.count <= DeployRequest.settingsBytesMaximum else {
            throw DeploymentError(
                "\(path): found \(bytes.count) bytes; wanted \(option) of at most "
                    + "\(DeployRequest.settingsBytesMaximum); put data into --resources"
            )
        }
        do {
            return try JSONValue(parsing: bytes).text
        } catch {
            throw DeploymentError("\(path): \(error); wanted a JSON value; correct the file")
        }
    }
}
