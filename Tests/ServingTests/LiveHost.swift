import Deployments
import JSON
import Logging
import Platform
import PluginHost
import Serving
import TestSupport

/// A host in this process, in a folder of its own.
final class LiveHost {
    let folder: TemporaryFolder
    private(set) var server: Server?
    var configuration = ServerConfiguration()
    let events = Guarded<[String]>([])

    init(endpoints: [String: String] = [:]) throws {
        folder = try TemporaryFolder()
        configuration.endpoints = "\(folder.path)/endpoints"
        configuration.deployments = "\(folder.path)/deployments"
        configuration.logs = "\(folder.path)/logs"
        configuration.state = "\(folder.path)/state"
        configuration.listen = [.ipv4(0x7f00_0001, port: 0)]
        configuration.loops = 2
        configuration.ringBytes = 1 << 20
        configuration.settleNanoseconds = 0
        configuration.limits.connections = 256
        configuration.probeExecutable = try Built.program
        try Directory.create(configuration.endpoints)
        for (name, text) in endpoints { try folder.write("endpoints/\(name).yaml", text) }
    }

    deinit {
        _ = server?.shutDown()
    }

    func deploy(
        _ name: String,
        _ plugin: String,
        settings: String = "{}",
        branch: String = "main",
        examples request: String? = nil
    ) throws {
        let example = try request.map { try JSONValue(parsing: Array($0.utf8))["data"]?.text }
        guard let deployment = DeploymentName(branch: branch, name: name) else { return }
        _ = try DeploymentStore(root: configuration.deployments).publish(
            DeployRequest(
                deployment: deployment,
                plugin: Built.plugin(plugin),
                resources: nil,
                settings: settings,
                examples: example.map { "[\($0 ?? "null")]" } ?? "[]"
            ),
            probe: PluginProbe(executable: Built.program)
        )
    }

    @discardableResult
    func start() throws -> SocketAddress {
        let events = self.events
        let server = try Server(
            configuration,
            log: EventLog { line in events.withLock { $0.append(line) } }
        )
        self.server = server
        return server.addresses[0]
    }

    /// The events of one name, in order.
    func eventLines(_ name: String) -> [JSONValue] {
        events.withLock { $0 }.compactMap { try? JSONValue(parsing: Array($0.utf8)) }
            .filter { $0["event"]?.string == name }
    }

    func stop() -> Bool {
        defer { server = nil }
        return server?.shutDown() ?? false
    }

    func client() throws -> Client {
        guard let address = server?.addresses.first else {
            throw ClientError(description: "the host does not run")
        }
        return try Client(address)
    }

    /// The lines of the request log.
    func logLines() throws -> [String] {
        var lines: [String] = []
        for name in try Directory.names(in: configuration.logs) where name.hasPrefix("requests-") {
            let text = try File.read("\(configuration.logs)/\(name)", limit: 1 << 28)
            lines += text.split(separator: 0x0a).map { String(decoding: $0, as: UTF8.self) }
        }
        return lines
    }
}
