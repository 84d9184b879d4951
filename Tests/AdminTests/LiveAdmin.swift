import Admin
import Deployments
import JSON
import Logging
import Platform
import PluginHost
import Serving
import TestSupport

/// A host in this process with its admin listeners, in a folder of its own.
final class LiveAdmin: CustomReflectable {
    let folder: TemporaryFolder
    var configuration = ServerConfiguration()
    var adminConfiguration: AdminConfiguration
    private var server: Server?
    private var admin: AdminServer?

    /// A test that fails looks into its values, and a mirror cannot copy what only has an owner.
    var customMirror: Mirror { Mirror(self, children: [:]) }

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
        adminConfiguration = AdminConfiguration(state: configuration.state)
        try Directory.create(configuration.endpoints)
        for (name, text) in endpoints { try endpoint(name, text) }
    }

    deinit {
        stop()
    }

    func stop() {
        admin?.stop()
        admin = nil
        _ = server?.shutDown()
        server = nil
    }

    /// Ends the host and leaves its admin listeners, as a host does while it drains.
    func beginShutDown() {
        _ = server?.shutDown()
    }

    /// Writes an endpoint's file.
    func endpoint(_ name: String, _ text: String) throws {
        try folder.write("endpoints/\(name).yaml", "schemaVersion: 1\n\(text)\n")
    }

    func removeEndpoint(_ name: String) throws {
        try File.remove("\(configuration.endpoints)/\(name).yaml")
    }

    func deploy(_ name: String, _ plugin: String) throws {
        guard let deployment = DeploymentName(branch: "main", name: name) else { return }
        _ = try DeploymentStore(root: configuration.deployments).publish(
            DeployRequest(
                deployment: deployment,
                plugin: Built.plugin(plugin),
                resources: nil,
                settings: "{}",
                examples: "[]"
            ),
            probe: PluginProbe(executable: Built.program)
        )
    }

    func start() throws {
        let server = try Server(configuration, log: EventLog { _ in })
        self.server = server
        admin = try AdminServer(adminConfiguration, server.control)
    }

    /// Lets the host take its files as a signal does.
    func hangUp() { server?.commits.reloadOnce(author: "SIGHUP") }

    // MARK: Clients

    var address: SocketAddress {
        get throws {
            guard let address = server?.addresses.first else {
                throw ClientError(description: "the host does not run")
            }
            return address
        }
    }

    /// The address of an admin listener over TCP.
    var remote: SocketAddress {
        get throws {
            guard let address = admin?.addresses.first else {
                throw ClientError(description: "nothing listens for admins over TCP")
            }
            return address
        }
    }

    /// The address of a listener for metrics alone.
    var metricsAddress: SocketAddress {
        get throws {
            guard let address = admin?.metricsAddresses.first else {
                throw ClientError(description: "nothing listens for metrics")
            }
            return address
        }
    }

    /// A connection to the Unix socket.
    func client() throws -> Client { try Client(.unix(adminConfiguration.socket)) }

    /// Asks over the Unix socket.
    func call(_ method: String, _ path: String, _ body: String = "") throws -> Answer {
        try client().call(method, path, body: body)
    }

    /// Asks a path of the first version of the API.
    func v1(_ method: String, _ path: String, _ body: String = "") throws -> Answer {
        try call(method, "/admin/v1/\(path)", body)
    }

    /// The revision that is live.
    func revision() throws -> UInt64? { try v1("GET", "status").json["configRevision"]?.unsigned }

    /// Sends a prediction.
    @discardableResult
    func predict(_ path: String, _ data: String, fields: [String] = []) throws -> Answer {
        try Client(address).call("POST", "/v1/\(path)", fields: fields, body: data)
    }

    /// The lines of the audit log.
    func audit() throws -> [JSONValue] {
        let path = "\(configuration.logs)/audit.jsonl"
        guard File.exists(path) else { return [] }
        return try File.read(path, limit: 1 << 28).split(separator: 0x0a).map {
            try JSONValue(parsing: Array($0))
        }
    }

    /// The lines of the file of refusals.
    func refused() throws -> [JSONValue] {
        let path = "\(configuration.logs)/admin-refused.jsonl"
        guard File.exists(path) else { return [] }
        return try File.read(path, limit: 1 << 28).split(separator: 0x0a).map {
            try JSONValue(parsing: Array($0))
        }
    }

    /// The samples of the metrics, by their names with labels.
    func samples() throws -> [String: String] {
        let text = try call("GET", "/metrics").text
        var samples: [String: String] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<space])] = String(line[space...].dropFirst())
        }
        return samples
    }

    /// A file of keys that a host takes.
    func keyFile(_ text: String, mode: UInt32 = 0o600) throws -> String {
        let path = try folder.write("keys", text)
        try File.setMode(path, mode)
        return path
    }
}

/// Endpoints that tests begin with.
enum Sample {
    static let coin = "backends: {a: {value: 1, weight: 1}, b: {value: 2, weight: 3}}"
    static let model = "backends: {m: {deployment: {name: area, version: latest}}}"
    static let rectangle = "{\"data\": {\"width\": 3, \"height\": 4}}"
}
