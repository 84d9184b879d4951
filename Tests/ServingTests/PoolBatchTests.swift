import JSON
import Platform
import Serving
import TestSupport
import Testing

/// Batches of rows, and requests that are asked together.
struct PoolBatchTests {
    private func host(_ endpoint: String? = nil) throws -> LiveHost {
        let host = try LiveHost(endpoints: endpoint.map { ["mixed": $0] } ?? [:])
        try host.deploy("area", "thirty_lines")
        try host.deploy("batches", "batch_model")
        try host.start()
        return host
    }

    @Test func `what waits is asked as one batch`() throws {
        let host = try host()
        let clients = try (0..<6).map { _ in try host.client() }
        for (index, client) in clients.enumerated() {
            try client.request("POST", "/v1/batches", body: "{\"data\": {\"n\": \(index)}}")
            if index == 0 { MonotonicClock.sleep(nanoseconds: 5_000_000) }
        }
        var sizes: [UInt64] = []
        for (index, client) in clients.enumerated() {
            let answer = try client.answer()
            let data = try #require(answer.json["data"]?.array)
            #expect(data[0].unsigned == UInt64(index), "each has its own result")
            sizes.append(data[1].unsigned ?? 0)
        }
        #expect((sizes.max() ?? 0) > 1, "some were asked together")
        #expect(host.stop())
        let records = try host.logLines().compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        #expect(records.compactMap { $0["batchSize"]?.unsigned }.sorted() == sizes.sorted())
    }

    @Test func `one row that fails does not touch the others of its batch`() throws {
        let host = try host()
        let clients = try (0..<4).map { _ in try host.client() }
        for (index, client) in clients.enumerated() {
            let number = index == 2 ? -1 : index
            try client.request("POST", "/v1/batches", body: "{\"data\": {\"n\": \(number)}}")
        }
        for (index, client) in clients.enumerated() {
            let answer = try client.answer()
            #expect(answer.status == (index == 2 ? 400 : 200))
            if index == 2 { #expect(answer.json["error"]?.string == "minus one") }
        }
        let batch = try host.client().call(
            "POST",
            "/v1/batches",
            body: #"{"data": [["a", {"n": 1}], ["b", {"n": -1}], ["c", {"n": 2}]]}"#
        )
        #expect(batch.status == 400)
        #expect(batch.json["error"]?.string == "row 1 of the batch, id \"b\": minus one")
    }

    @Test(arguments: [65, 1000])
    func `a large batch is answered by the pools row for row as on a loop`(count: Int) throws {
        let endpoint = """
            schemaVersion: 1
            backends:
              area: {deployment: {name: area, version: latest}, weight: 1}
              batches: {deployment: {name: batches, version: latest}, weight: 1}
              flat: {value: 7, weight: 1}
            experimentConfig: {subjectKey: user}
            """
        let host = try host(endpoint)
        let client = try host.client()
        func row(_ number: Int) -> String {
            "{\"user\": \(number), \"width\": \(number), \"height\": 2, \"n\": \(number)}"
        }
        let rows = (0..<count).map { "[\($0), \(row($0))]" }.joined(separator: ",")
        let batch = try client.call("POST", "/v1/mixed", body: "{\"data\": [\(rows)]}")
        #expect(batch.status == 200)
        let results = try #require(batch.json["data"]?.array)
        let splits = try #require(batch.json["splits"]?.array)
        let rowSplits = try #require(batch.json["rowSplits"]?.array)
        #expect(results.count == count && splits.count == 3)
        for number in 0..<count {
            let pair = try #require(results[number].array)
            let name = splits[Int(rowSplits[number].unsigned ?? 9)]["backendName"]?.string
            #expect(pair[0].unsigned == UInt64(number))
            switch name {
            case "area": #expect(pair[1].text == "\(number * 2).0")
            case "batches": #expect(pair[1].array?[0].unsigned == UInt64(number))
            default: #expect(pair[1].unsigned == 7)
            }
        }
        #expect(host.stop())
        let records = try host.logLines().compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        #expect(records.reduce(0) { $0 + ($1["results"]?.array?.count ?? 0) } == count)
    }

    @Test func `a timeout that is no number of seconds is refused`() throws {
        let host = try host()
        let client = try host.client()
        for (given, status) in [("0", 400), ("-1", 400), ("\"5\"", 400), ("null", 200), ("5", 200)]
        {
            let answer = try client.call(
                "POST",
                "/v1/area",
                body: "{\"data\": {\"width\": 1, \"height\": 2}, \"timeout_seconds\": \(given)}"
            )
            #expect(answer.status == status, "\(given)")
        }
        let patient = try client.call(
            "POST",
            "/v1/area",
            fields: ["X-Request-Timeout-Ms: 0000000000005000"],
            body: #"{"data": {"width": 1, "height": 2}}"#
        )
        #expect(patient.status == 200)
        for value in ["0", "x", "1.5", "", "1\r\nX-Request-Timeout-Ms: 1"] {
            let answer = try host.client().call(
                "POST",
                "/v1/area",
                fields: ["X-Request-Timeout-Ms: \(value)"],
                body: #"{"data": {"width": 1, "height": 2}}"#
            )
            #expect(answer.status == 400, "\(value)")
        }
    }
}
