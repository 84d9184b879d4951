import Deployments
import JSON
import Platform
import PluginHost
import Serving

extension Command {
    static let list = Command(
        name: "list",
        summary: "list the stored deployments and their versions",
        usage: "list [OPTIONS]",
        text: "Prints one line for every version in the store, the newest of a deployment last.",
        options: folders + [json],
        run: { arguments in
            try requireWords(0, arguments)
            let store = DeploymentStore(root: arguments.value("deployments") ?? "deployments")
            var manifests: [Manifest] = []
            var failures: [String] = []
            for deployment in try store.deployments() {
                for version in try store.versions(deployment) {
                    do {
                        manifests.append(try store.manifest(deployment, version))
                    } catch {
                        failures.append("\(error)")
                    }
                }
            }
            StandardStream.output(arguments.has("json") ? machineText(manifests) : table(manifests))
            for failure in failures { StandardStream.errors("switchyard list: \(failure)\n") }
            return failures.isEmpty ? .success : .failure
        }
    )

    private static func table(_ manifests: [Manifest]) -> String {
        guard !manifests.isEmpty else { return "nothing is deployed\n" }
        var rows = [["DEPLOYMENT", "VERSION", "CREATED", "SHA256", "BUILD"]]
        rows += manifests.map {
            [
                "\($0.branch)/\($0.name)", String($0.version), "\($0.created.prefix(19))Z",
                String($0.pluginHash.prefix(12)), $0.build,
            ]
        }
        return TextTable.text(rows)
    }

    private static func machineText(_ manifests: [Manifest]) -> String {
        let values = manifests.map { manifest in
            JSONValue.object([
                .init("branch", .string(manifest.branch)), .init("name", .string(manifest.name)),
                .init("version", .number(String(manifest.version))),
                .init("created", .string(manifest.created)),
                .init("sha256", .string(manifest.pluginHash)),
                .init("abi", .string(manifest.abi)), .init("build", .string(manifest.build)),
            ])
        }
        return JSONValue.array(values).text + "\n"
    }

    static let version = Command(
        name: "version",
        summary: "print the version of the host and of the plugin contract",
        usage: "version",
        text: "Prints one line.",
        options: [],
        run: { arguments in
            try requireWords(0, arguments)
            let contract = "\(ContractVersion.major).\(ContractVersion.minor)"
            StandardStream.output("switchyard \(HostVersion.text), plugin contract \(contract)\n")
            return .success
        }
    )
}
