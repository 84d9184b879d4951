import Deployments
import Endpoints
import JSON
import Platform
import Serving

/// An endpoint as a running host has it, with its live weights, or as its file says.
struct EndpointSource {
    let endpoint: Endpoint
    /// The revision of the host; nil: it is the file's.
    let revision: Int?
    /// `as revision 3 of the running host has it`
    let text: String

    /// Asks the host with this --state, where one runs and `--file` is not given.
    init(_ name: String, _ arguments: Arguments) throws {
        let host = try HostClient(admin: arguments)
        guard !arguments.has("file"), arguments.has("admin") || host.isReachable else {
            endpoint = try Command.endpoint(name, arguments)
            revision = nil
            text =
                arguments.has("file")
                ? "as its file says" : "as its file says, since no host runs with this --state"
            return
        }
        let status = try host.call("GET", "/admin/v1/status")
        try Command.requireSuccess(status)
        let number = status.json["configRevision"]?.unsigned ?? 0
        let answer = try host.call("GET", "/admin/v1/revisions/\(number)")
        try Command.requireSuccess(answer)
        let live = try Revision(parsing: answer.body)
        let files = ConfigurationFiles(
            endpointsFolder: arguments.value("endpoints") ?? "endpoints",
            store: DeploymentStore(root: arguments.value("deployments") ?? "deployments")
        )
        let configuration = files.configuration(of: live)
        guard let found = configuration.effectiveEndpoints.first(where: { $0.name == name }) else {
            throw AdminFailure(errors: [configuration.missing(endpoint: name)])
        }
        (endpoint, revision) = (found, live.number)
        let isLive = live.liveWeights.contains { $0.endpoint == name }
        text =
            "as revision \(live.number) of the running host has it"
            + (isLive ? ", with live weights" : "")
    }
}

extension Command {
    static let fileOption = Option("file", "as the endpoint's file says, whatever a host serves")
}
