import Deployments
import Endpoints
import EventLoop
import Logging
import Platform
import PluginHost
import Serving
import Surfaces
import TestSupport

/// A loop on this thread with one connection, for counting what a request costs.
final class SteadyLoop {
    private let host: LiveHost
    private let loop: ServingLoop
    private let ring: LogRing
    private let client: FileDescriptor

    /// Serves a sticky split over a Swift model with declared inputs.
    init() throws {
        host = try LiveHost()
        try host.deploy("reading", "reading_model")
        let loader = DeploymentLoader(
            store: DeploymentStore(root: host.configuration.deployments),
            copies: "\(host.folder.path)/copies",
            probe: PluginProbe(executable: try Built.program),
            log: EventLog { _ in }
        )
        guard let name = DeploymentName(branch: "main", name: "reading") else {
            throw ClientError(description: "no name")
        }
        let version = try loader.load(name, 1, ExecutionSettings())
        let model = ServedModel(version)
        let reference = DeploymentReference(branch: "main", name: "reading", version: .latest)
        let splits = ["a", "b"].map {
            Split(name: $0, weight: 1, weightText: "1", backend: .deployment(reference))
        }
        let endpoint = Endpoint(
            name: "e",
            splits: splits,
            experiment: Experiment(id: "x", subjectKey: .member("user")),
            service: "e"
        )
        let prepared = PreparedEndpoint(
            endpoint: endpoint,
            splits: splits.map {
                PreparedSplit(
                    name: $0.name,
                    backend: .model(model),
                    text: SplitText(endpoint: endpoint, split: $0, version: 1, revision: 1),
                    metrics: SplitMetrics(SeriesKey(), loops: 1)
                )
            }
        )
        let state = HostState(
            configuration: host.configuration,
            region: try SlotRegion(count: 1)
        )
        ring = try LogRing(creating: "\(host.folder.path)/ring", capacity: 1 << 22)
        loop = try ServingLoop(
            index: 0,
            state: state,
            snapshot: ServingSnapshot(revision: 1, endpoints: [prepared]),
            ring: ring,
            mailbox: try Mailbox()
        )
        let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
        let listener = try Socket.listen(on: any)
        client = try Socket.connect(to: Socket.localAddress(of: listener, asked: any))
        guard case .connection(let server) = try Socket.accept(from: listener) else {
            throw ClientError(description: "nobody to accept")
        }
        state.region.slot(0).begin(connection: 1, loop: 0, at: MonotonicClock.now())
        loop.adopt(server, slot: 0)
    }

    /// How many heap allocations that many requests cost the loop's thread, after warming up.
    func allocations(requests: Int) throws -> Int? {
        let body =
            #"{"data": {"user": "somebody-17", "number": 0.7443754331247424, "text": "t", "flag": true}}"#
        let request = Array(
            ("POST /v1/e HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n" + body)
                .utf8
        )
        var answer: [UInt8] = []
        answer.reserveCapacity(65536)
        return try AllocationCount.during(calls: requests) {
            _ = Socket.send(request, to: client)
            try loop.eventLoop.turn(millisecondsMaximum: 1000)
            answer.removeAll(keepingCapacity: true)
            _ = Socket.receive(from: client, into: &answer, maximum: 4096, waits: false)
            guard answer.count > 100, answer[9] == UInt8(ascii: "2") else {
                throw ClientError(description: String(decoding: answer, as: UTF8.self))
            }
            // The writer's part: give the records' room back.
            ring.finishBatch(end: ring.read(upTo: nil, bytes: 1 << 20) { _ in }.position)
        }
    }
}
