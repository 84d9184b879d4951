import JSON
import Platform
import Serving
import TestSupport
import Testing

/// What a start makes of files, revisions and what an earlier host has left.
struct StartTests {
    private static let one = "schemaVersion: 1\nbackends: {a: {value: 1}}\n"
    private static let two = "schemaVersion: 1\nbackends: {a: {value: 2}}\n"

    private func revision(_ host: LiveHost) throws -> UInt64? {
        let answer = try host.client().call("POST", "/v1/e", body: "{\"data\":1}")
        return answer.json["split"]?["configRevision"]?.unsigned
    }

    @Test func `the first start writes revision 1, and the same files are served from it`() throws {
        let host = try LiveHost(endpoints: ["e": Self.one])
        try host.start()
        #expect(try revision(host) == 1)
        #expect(host.stop())
        let path = "\(host.configuration.state)/revisions"
        let written = try File.read("\(path)/1.json", limit: 1 << 20)
        let json = try JSONValue(parsing: written)
        #expect(json["endpoints"]?.array?.first?["text"]?.string == Self.one)
        #expect(try File.read("\(path)/current", limit: 10) == Array("1\n".utf8))
        try host.start()
        #expect(try revision(host) == 1)
        #expect(host.stop())
        #expect(try File.read("\(path)/1.json", limit: 1 << 20) == written)
        #expect(try Directory.names(in: path) == ["1.json", "current"])
    }

    @Test func `files that differ are committed as the next revision`() throws {
        let host = try LiveHost(endpoints: ["e": Self.one])
        try host.start()
        #expect(host.stop())
        try host.folder.write("endpoints/e.yaml", Self.two)
        try host.start()
        #expect(try revision(host) == 2)
        let answer = try host.client().call("POST", "/v1/e", body: "{\"data\":1}")
        #expect(answer.json["data"]?.unsigned == 2)
    }

    @Test func `a new version of a deployment is what latest means at the next start`() throws {
        let text = "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: latest}}}\n"
        let host = try LiveHost(endpoints: ["e": text])
        try host.deploy("m", "thirty_lines")
        try host.start()
        #expect(host.stop())
        try host.deploy("m", "misfit_results")
        try host.start()
        let answer = try host.client().call("POST", "/v1/e", body: "{\"data\":3}")
        #expect(answer.json["split"]?["deployment"]?["version"]?.unsigned == 2)
        #expect(answer.json["split"]?["configRevision"]?.unsigned == 2)
    }

    @Test func `broken files leave the last revision serving, loudly`() throws {
        let host = try LiveHost(endpoints: ["e": Self.one])
        try host.start()
        #expect(host.stop())
        try host.folder.write("endpoints/e.yaml", "backends: {}\n")
        try host.start()
        #expect(try revision(host) == 1)
        let ready = try host.client().call("GET", "/health/ready")
        #expect(ready.status == 200)
        #expect(ready.text.contains("degraded: the files are broken, so revision 1 is served"))
        #expect(host.events.withLock { $0 }.contains { $0.contains("start.degraded") })
        #expect(host.stop())
        host.configuration.isStrict = true
        #expect(throws: StartFailure.self) { try host.start() }
    }

    @Test func `when neither the files nor the revision can be served, both are told`() throws {
        let host = try LiveHost(
            endpoints: [
                "e": "schemaVersion: 1\nbackends: {a: {deployment: {name: area, version: 1}}}\n"
            ]
        )
        try host.deploy("area", "thirty_lines")
        try host.start()
        #expect(host.stop())
        try Directory.removeAll("\(host.configuration.deployments)/main/area/1")
        try host.folder.write("endpoints/bad.yaml", "schemaVersion: 1\nbakends: {}\n")
        let failure = try #require(throws: StartFailure.self) { try host.start() }
        for sentence in [
            "bad.yaml:2:1: error: unknown key 'bakends'", "e.yaml:2:",
            "revision 1 cannot be served either:",
        ] {
            #expect(failure.description.contains(sentence), "\(failure)")
        }
    }

    @Test(arguments: ["999\n", "", "x", "99999999999999999999\n"])
    func `a current revision that cannot be read is told, and the files make the next`(
        current: String
    ) throws {
        let host = try LiveHost(endpoints: ["e": Self.one])
        try host.start()
        #expect(host.stop())
        try host.folder.write("state/revisions/current", current)
        try host.start()
        // A number that was given is not given again, though its file is gone.
        #expect(try revision(host) == (current == "999\n" ? 1000 : 2))
        #expect(host.events.withLock { $0 }.contains { $0.contains("revision.unreadable") })
    }

    @Test func `a stored file that was changed is refused at load and named`() throws {
        let text = "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: 1}}}\n"
        let host = try LiveHost(endpoints: ["e": text])
        try host.deploy("m", "thirty_lines")
        let path = "\(host.configuration.deployments)/main/m/1/plugin.so"
        var bytes = try File.read(path, limit: 1 << 28)
        bytes[bytes.count - 1] ^= 1
        try File.writeAtomically(path, bytes)
        let failure = #expect(throws: StartFailure.self) { try host.start() }
        #expect(failure?.description.contains("\(path): found SHA-256 ") == true)
        #expect(
            failure?.description.contains("it was changed after it was deployed") == true,
            "\(String(describing: failure))"
        )
    }

    @Test func `a revision is not served with another build than it was committed with`() throws {
        let text = "schemaVersion: 1\nbackends: {a: {deployment: {name: m, version: 1}}}\n"
        let host = try LiveHost(endpoints: ["e": text])
        try host.deploy("m", "thirty_lines")
        try host.start()
        #expect(host.stop())
        try Directory.removeAll("\(host.configuration.deployments)/main/m/1")
        try host.deploy("m", "codable_model")
        try host.folder.write("endpoints/e.yaml", "broken: [")
        let failure = #expect(throws: StartFailure.self) { try host.start() }
        #expect(failure?.description.contains("main/m version 1: found the build ") == true)
    }

    @Test func `one image serves several deployments of the same build`() throws {
        let text = """
            schemaVersion: 1
            backends:
              a: {deployment: {name: m, version: 1}}
              b: {deployment: {name: n, version: 1}}
            """
        let host = try LiveHost(endpoints: ["e": text])
        try host.deploy("m", "thirty_lines")
        try host.deploy("n", "thirty_lines")
        try host.start()
        let copies = try Directory.names(in: "\(host.configuration.state)/plugins")
        #expect(copies.filter { $0.hasSuffix(".so") }.count == 1)
        let body = #"{"data":{"width":2,"height":3}}"#
        #expect(try host.client().call("POST", "/v1/e", body: body).json["data"] == .number("6.0"))
    }

    @Test func `two hosts do not share a state folder or a port`() throws {
        let host = try LiveHost(endpoints: ["e": Self.one])
        let address = try host.start()
        let other = try LiveHost(endpoints: ["e": Self.one])
        other.configuration.state = host.configuration.state
        let locked = #expect(throws: StartFailure.self) { try other.start() }
        #expect(
            locked?.description.contains("found a lock of process \(CurrentProcess.id)") == true
        )
        other.configuration.state = "\(other.folder.path)/state"
        other.configuration.listen = [address]
        let used = #expect(throws: StartFailure.self) { try other.start() }
        #expect(used?.description.contains("end the program that listens there") == true)
    }

    @Test func `the record of a request says what the design's literal record says`() throws {
        let text = """
            schemaVersion: 1
            backends: {a: {value: {x: 1}, weight: 1}, b: {value: 2, weight: 0}}
            experimentConfig: {subjectKey: u}
            """
        let host = try LiveHost(endpoints: ["e": text])
        host.configuration.logsPayloads = true
        try host.start()
        let client = try host.client()
        _ = try client.call(
            "POST",
            "/v1/e",
            fields: ["X-Request-Id: one"],
            body: #"{"data":{"u":"a\"b"}}"#
        )
        _ = try client.call("POST", "/v1/e", fields: ["X-Request-Id: two"], body: "{}")
        let forged = "{\"data\":[1,\n{\"time\":\"FORGED\",\"sequence\":777}\r\n,2]}"
        _ = try client.call("POST", "/v1/e", fields: ["X-Request-Id: three"], body: forged)
        #expect(host.stop())
        let lines = try host.logLines()
        #expect(lines.count == 3 && lines[2].contains("\"requestId\":\"three\""))
        let start = lines[0].prefix { $0 != "," }
        #expect(start.hasPrefix("{\"time\":\"20") && start.hasSuffix("Z\"") && start.count == 37)
        let micros = try JSONValue(parsing: Array(lines[0].utf8))["durationMicroseconds"]?.unsigned
        let rest = [
            #","sequence":1,"requestId":"one","surface":"native","endpointName":"e","#,
            #""backendName":"a","experimentId":"e","algorithm":"rendezvous-sha256-v1","#,
            #""assignment":"only","configRevision":1,"weights":{"a":1,"b":0},"status":200,"#,
            #""durationMicroseconds":\#(micros ?? 0),"queueMicroseconds":0,"batchSize":1,"#,
            #""results":[{"id":0,"subjectId":"a\"b","inputs":[{"u":"a\"b"}],"output":{"x":1}}]}"#,
        ]
        #expect(lines[0].dropFirst(start.count) == rest.joined())
        let failed = try JSONValue(parsing: Array(lines[1].utf8))
        #expect(failed["status"]?.unsigned == 400 && failed["code"]?.string == "bad_request")
        #expect(failed["endpointName"]?.string == "e" && failed["backendName"] == nil)
    }
}
