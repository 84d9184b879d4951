import JSON
import Platform
import Serving
import TestSupport
import Testing

/// Batches, several arguments, and deployments that are called by their own names.
struct CallTests {
    private static let sticky = """
        schemaVersion: 1
        backends:
          area: {deployment: {name: area, version: latest}, weight: 1}
          flat: {value: 1.50, weight: 1}
        experimentConfig: {subjectKey: user}
        """

    /// `area` is a model of width and height; versions 1 and 2 of it, and one on another branch.
    private func host(_ change: (LiveHost) throws -> Void = { _ in }) throws -> LiveHost {
        let host = try LiveHost(endpoints: ["sticky": Self.sticky])
        try host.deploy("area", "thirty_lines")
        try host.deploy("area", "thirty_lines", settings: "{\"n\":2}")
        try host.deploy("area", "thirty_lines", settings: "{\"n\":3}")
        try host.deploy("area", "thirty_lines", branch: "team/alice")
        try host.deploy("text", "reading_model")
        try host.folder.write(
            "deployments/main/area/deployment.yaml",
            "schemaVersion: 1\naliases: {stable: 1}\n"
        )
        try change(host)
        try host.start()
        return host
    }

    @Test func `every row of a batch has its own arm, the one that it has alone`() throws {
        let host = try host()
        let client = try host.client()
        let rows = (0..<40).map {
            #"["row \#($0)", {"user": \#($0), "width": \#($0), "height": 2}]"#
        }
        let batch = try client.call(
            "POST",
            "/v1/sticky",
            fields: ["X-Request-Id: b"],
            body: "{\"data\": [\(rows.joined(separator: ","))]}"
        )
        #expect(batch.status == 200)
        #expect(batch.field("x-request-id") == "b")
        #expect(batch.field("x-switchyard-backend") == nil, "only single answers have the header")
        let splits = try #require(batch.json["splits"]?.array)
        let rowSplits = try #require(batch.json["rowSplits"]?.array)
        #expect(batch.json["data"]?.array?.count == 40 && splits.count == 2)
        for row in 0..<40 {
            let alone = try client.call(
                "POST",
                "/v1/sticky",
                body: "{\"data\": {\"user\": \(row), \"width\": \(row), \"height\": 2}}"
            )
            let split = splits[Int(rowSplits[row].unsigned ?? 9)]
            #expect(split["backendName"] == alone.json["split"]?["backendName"])
            #expect(split["deployment"] == alone.json["split"]?["deployment"])
            #expect(
                batch.json["data"]?.array?[row]
                    == .array([.string("row \(row)"), alone.json["data"] ?? .null])
            )
            #expect(batch.json["subjectIds"]?.array?[row].string == "\(row)")
        }
    }

    @Test func `a batch is answered whole or not at all, and the failing row is named`() throws {
        let host = try host()
        let client = try host.client()
        let answer = try client.call(
            "POST",
            "/v1/area/latest",
            body: #"{"data": [[1, {"width": 1, "height": 1}], ["b", {"width": 1}]]}"#
        )
        #expect(answer.status == 400)
        #expect(answer.json["code"]?.string == "bad_input")
        #expect(
            answer.json["error"]?.string
                == #"row 1 of the batch, id "b": the input "height" is missing"#
        )
        #expect(answer.json["split"]?["deployment"]?["version"]?.unsigned == 3)
        #expect(try client.call("POST", "/v1/sticky", body: #"{"data": [[1]]}"#).status != 500)
    }

    @Test func `a batch leaves one record for every split, with its rows`() throws {
        let host = try host()
        let rows = (0..<20).map { #"[\#($0 * 7), {"user": \#($0), "width": 1, "height": 1}]"# }
        _ = try host.client().call(
            "POST",
            "/v1/sticky",
            body: "{\"data\": [\(rows.joined(separator: ","))]}"
        )
        #expect(host.stop())
        let records = try host.logLines().map { try JSONValue(parsing: Array($0.utf8)) }
        #expect(records.count == 2)
        #expect(Set(records.compactMap { $0["backendName"]?.string }) == ["area", "flat"])
        #expect(Set(records.compactMap { $0["requestId"]?.string }).count == 1)
        var ids: Set<UInt64> = []
        for record in records {
            let results = record["results"]?.array ?? []
            #expect(record["batchSize"]?.unsigned == UInt64(results.count))
            for result in results {
                let id = result["id"]?.unsigned ?? 99
                ids.insert(id)
                #expect(result["subjectId"]?.string == String(id / 7))
            }
        }
        #expect(ids == Set((0..<20).map { $0 * 7 }))
    }

    @Test func `a record of many rows is cut into parts that lose nothing`() throws {
        let host = try host { $0.configuration.logsPayloads = true }
        let text = String(repeating: "x", count: 100)
        var rows = (0..<2000).map { #"[\#($0), "\#(text)"]"# }
        rows[1000] = "[1000, \"\(String(repeating: "y", count: 70_000))\"]"
        let answer = try host.client().call(
            "POST",
            "/v1/flat_or_text",
            body: "{\"data\": [\(rows.joined(separator: ","))]}"
        )
        #expect(answer.status == 404)
        let found = try host.client().call(
            "POST",
            "/v1/sticky",
            fields: ["X-Switchyard-Force-Backend: flat"],
            body: "{\"data\": [\(rows.joined(separator: ","))]}"
        )
        #expect(found.status == 200)
        #expect(host.stop())
        let lines = try host.logLines()
        #expect(lines.allSatisfy { $0.utf8.count < 64 * 1024 })
        let records = try lines.map { try JSONValue(parsing: Array($0.utf8)) }
            .filter { $0["backendName"]?.string == "flat" }
        #expect(records.compactMap { $0["part"]?.unsigned } == Array(1...UInt64(records.count)))
        #expect(records.count > 3 && records.allSatisfy { $0["batchSize"]?.unsigned == 2000 })
        let results = records.flatMap { $0["results"]?.array ?? [] }
        #expect(results.compactMap { $0["id"]?.unsigned } == Array(0..<2000))
        for (row, result) in results.enumerated() where row != 1000 {
            #expect(result["inputs"] == .array([.string(text)]))
            #expect(result["output"] == .number("1.50"))
        }
        #expect(results[1000]["payloads"]?.string == "dropped")
        #expect(results[1000]["inputs"] == nil)
    }

    @Test(arguments: [
        ("/v1/area", 3, "latest"), ("/v1/area/latest", 3, "latest"),
        ("/v1/area/main/latest", 3, "latest"), ("/v1/area/3", 3, nil), ("/v1/area/main/3", 3, nil),
        ("/v1/area/stable", 1, "stable"), ("/v1/area/1", 1, nil),
        ("/v1/area/main/stable/", 1, "stable"),
        ("/v1/area/team~alice/latest", 1, "latest"), ("/v1/%61rea/team%7ealice/1", 1, nil),
    ])
    func `a deployment is called by name, version and branch`(
        path: String,
        version: Int,
        alias: String?
    ) throws {
        let host = try host()
        let answer = try host.client().call(
            "POST",
            path,
            body: #"{"data": {"width": 3, "height": 2}}"#
        )
        #expect(answer.status == 200 && answer.json["data"]?.unsigned == nil)
        let deployment = try #require(answer.json["split"]?["deployment"])
        #expect(deployment["version"]?.unsigned == UInt64(version))
        #expect(deployment["alias"]?.string == alias)
        #expect(answer.json["split"]?["endpointName"] == nil)
        #expect(answer.json["split"]?["assignment"] == nil)
        #expect(answer.field("x-switchyard-backend") == nil)
        let branch = path.contains("alice") ? "team/alice" : "main"
        #expect(answer.field("x-switchyard-deployment") == "\(branch)/area/\(version)")
        #expect(host.stop())
        let record = try JSONValue(parsing: Array(try #require(host.logLines().first).utf8))
        #expect(record["deployment"] == deployment)
        #expect(record["endpointName"] == nil && record["weights"] == nil)
    }

    @Test(arguments: [
        ("/v1/area/2", "version_not_loaded", "the version '2' of main/area is not loaded"),
        (
            "/v1/area/prod", "version_not_loaded",
            "a version is loaded once an endpoint or an alias names it"
        ),
        ("/v1/area/bob/latest", "deployment_not_found", "there is no deployment 'bob/area'"),
        ("/v1/sticky/3", "deployment_not_found", "'sticky' is an endpoint, which has no versions"),
        ("/v1/aera", "endpoint_not_found", "did you mean 'area'?"),
        ("/v1/%2e%2e/%2e%2e/etc", "deployment_not_found", "there is no deployment"),
        ("/v1/%252e%252e", "endpoint_not_found", "'%2e%2e'"),
        ("/v1/../x", "deployment_not_found", "there is no deployment 'main/..'"),
        ("/v1/a%00b", "bad_request", "a percent escape"),
        ("/v1/a%2fb", "bad_request", "a percent escape"),
    ])
    func `a name that names nothing is refused with what to do`(
        path: String,
        code: String,
        sentence: String
    ) throws {
        let host = try host()
        let answer = try host.client().call("POST", path, body: "{\"data\": 1}")
        #expect(answer.status == (code == "bad_request" ? 400 : 404))
        #expect(answer.json["code"]?.string == code)
        #expect(answer.json["error"]?.string?.contains(sentence) == true, "\(answer.text)")
        #expect(answer.json["requestId"]?.string?.isEmpty == false)
    }

    @Test func `a name of ten thousand bytes is refused by its length`() throws {
        let host = try host()
        let name = String(repeating: "n", count: 10_000)
        let answer = try host.client().call("POST", "/v1/\(name)", body: "{\"data\": 1}")
        #expect(answer.status == 414 && answer.json["code"]?.string == "too_large")
        let shorter = String(repeating: "n", count: 8_000)
        let other = try host.client().call("POST", "/v1/\(shorter)", body: "{\"data\": 1}")
        #expect(other.json["code"]?.string == "endpoint_not_found")
        #expect((other.json["error"]?.string ?? "").utf8.count < 200)
    }

    @Test func `an endpoint answers for its name, and its versions are the deployment's`() throws {
        let host = try host {
            try $0.folder.write(
                "endpoints/area.yaml",
                "schemaVersion: 1\nbackends: {e: {value: 5}}\n"
            )
        }
        let client = try host.client()
        let body = #"{"data": {"width": 3, "height": 2}}"#
        for path in ["/v1/area", "/v1/area/latest", "/v1/area/main/latest"] {
            #expect(try client.call("POST", path, body: body).json["data"] == .number("5"))
        }
        for path in ["/v1/area/3", "/v1/area/stable", "/v1/area/team~alice/latest"] {
            #expect(try client.call("POST", path, body: body).json["data"] == .number("6.0"))
        }
    }

    @Test func `a caller cannot force a split where there is none`() throws {
        let host = try host()
        let answer = try host.client().call(
            "POST",
            "/v1/area/latest",
            fields: ["X-Switchyard-Force-Backend: flat"],
            body: "{\"data\": 1}"
        )
        #expect(answer.json["code"]?.string == "backend_not_found")
    }

    @Test func `a subject may be an argument of its own`() throws {
        let host = try host {
            try $0.folder.write(
                "endpoints/positional.yaml",
                """
                schemaVersion: 1
                backends: {a: {value: 1}, b: {value: 2}}
                experimentConfig: {experimentId: x, subjectKey: 1}
                """
            )
        }
        let client = try host.client()
        let one = try client.call("POST", "/v1/positional", body: #"{"data": ["m", "u7"]}"#)
        #expect(one.json["split"]?["subjectId"]?.string == "u7")
        #expect(one.json["split"]?["assignment"]?.string == "subject")
        let rows = try client.call("POST", "/v1/positional", body: #"{"data": [[0, "m", "u7"]]}"#)
        #expect(rows.json["subjectIds"] == .array([.string("u7")]))
        #expect(
            rows.json["splits"]?.array?.first?["backendName"] == one.json["split"]?["backendName"]
        )
        let none = try client.call("POST", "/v1/positional", body: #"{"data": ["m"]}"#)
        #expect(none.json["split"]?["assignment"]?.string == "noSubject")
    }
}
