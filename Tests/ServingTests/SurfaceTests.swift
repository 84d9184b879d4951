import Bytes
import JSON
import Platform
import Serving
import TestSupport
import Testing

/// The protocols beside the native one, over real connections.
struct SurfaceTests {
    private static let inputs =
        #"{"inputs":[{"name":"n","datatype":"FP64","shape":[3],"data":[1,2,3]}]}"#

    private func host(_ endpoints: [String: String] = [:]) throws -> LiveHost {
        let host = try LiveHost(endpoints: endpoints)
        host.configuration.loops = 1
        host.configuration.logsPayloads = true
        try host.deploy("area", "thirty_lines")
        try host.deploy("batches", "batch_model")
        try host.deploy("matrix", "matrix_vector")
        try host.start()
        return host
    }

    /// Floats as a client of Open Inference sends them.
    private func bytes(_ numbers: [Float]) -> String {
        // Numbers whose bytes are all below 128, so that a text holds them.
        String(
            decoding: numbers.flatMap { number in
                (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> UInt32(8 * $0)) }
            },
            as: UTF8.self
        )
    }

    @Test func `rows of a call go to a model that takes batches as one`() throws {
        let host = try host()
        let client = try host.client()
        let answer = try client.call("POST", "/v2/models/batches/infer", body: Self.inputs)
        #expect(answer.status == 200)
        let output = answer.json["outputs"]?.array?[0]
        // The model answers each row with its number, and how many rows it was asked with.
        #expect(output?["data"]?.text == "[1,3,2,3,3,3]" && output?["shape"]?.text == "[3,2]")
    }

    @Test func `tensors reach a model as they are, on a loop and in a pool`() throws {
        for mode in ["inline", "pool"] {
            let host = try LiveHost()
            host.configuration.logsPayloads = true
            try host.deploy("matrix", "matrix_vector")
            try host.folder.write(
                "deployments/main/matrix/deployment.yaml",
                "schemaVersion: 1\nexecution: {mode: \(mode)}\n"
            )
            try host.start()
            let client = try host.client()
            let header =
                #"{"inputs":[{"name":"matrix","datatype":"FP32","shape":[2,2],"#
                + #""parameters":{"binary_data_size":16}},{"name":"vector","datatype":"FP32","#
                + #""shape":[2],"data":[1,0.5]}]}"#
            let answer = try client.call(
                "POST",
                "/v2/models/matrix/infer",
                fields: ["Inference-Header-Content-Length: \(header.utf8.count)"],
                body: header + bytes([2, 8, 32, 2])
            )
            #expect(answer.status == 200, "\(answer.text)")
            let output = answer.json["outputs"]?.array?[0]
            #expect(output?["data"]?.text == "[6.0,33.0]", "\(mode): \(answer.text)")
            #expect(host.stop())
            let record = try JSONValue(parsing: Array((try host.logLines())[0].utf8))
            let result = record["results"]?.array?[0]
            #expect(record["surface"]?.string == "v2")
            #expect(result?["inputs"]?.array?[0]["data"]?.text == "[2.0,8.0,32.0,2.0]")
            #expect(result?["output"]?.array?[0]["name"]?.string == "product")
        }
    }

    @Test func `a large tensor that comes in pieces is aligned for the model`() throws {
        let host = try host()
        let client = try host.client()
        let side = 256
        let matrix = [Float](repeating: 2, count: side * side)
        for padding in 0..<17 {
            // The header's length decides where the tensor begins in the request.
            let id = String(repeating: "i", count: padding)
            let size = 4 * side * side
            let header =
                #"{"id":"\#(id)","inputs":[{"name":"matrix","datatype":"FP32","#
                + #""shape":[\#(side),\#(side)],"parameters":{"binary_data_size":\#(size)}},"#
                + #"{"name":"vector","datatype":"FP32","shape":[\#(side)],"#
                + #""parameters":{"binary_data_size":\#(4 * side)}}]}"#
            let body = header + bytes(matrix) + bytes([Float](repeating: 2, count: side))
            // Another request comes right behind it.
            try client.request(
                "POST",
                "/v2/models/matrix/infer",
                fields: ["Inference-Header-Content-Length: \(header.utf8.count)"],
                body: body
            )
            try client.request("GET", "/v2/health/live")
            let answer = try client.answer()
            let data = answer.json["outputs"]?.array?[0]["data"]?.array ?? []
            #expect(data.count == side && data.allSatisfy { $0.text == "1024.0" }, "\(padding)")
            #expect(try client.answer().json["live"]?.boolean == true)
        }
    }

    @Test func `a fallback answers the whole call`() throws {
        let host = try host([
            "e": """
            schemaVersion: 1
            backends: {model: {deployment: {name: batches, version: latest}, weight: 1}, \
            flat: {value: 7, weight: 0}}
            fallback: flat
            """
        ])
        let client = try host.client()
        let body = #"{"inputs":[{"name":"n","datatype":"FP64","shape":[2],"data":[5,-1]}]}"#
        // A row that the model refuses is the caller's fault, and nothing falls back.
        let refused = try client.call("POST", "/v2/models/e/infer", body: body)
        #expect(refused.status == 400 && refused.text.contains("row 1 of 2: minus one"))
        let forced = try client.call(
            "POST",
            "/v2/models/e/versions/flat/infer",
            body: body
        )
        #expect(forced.json["model_version"]?.string == "flat")
        #expect(forced.json["outputs"]?.array?[0]["data"]?.text == "[7,7]")
        #expect(forced.field("x-switchyard-backend") == "flat")
    }

    @Test func `a subject that the caller names has one arm without an experiment too`() throws {
        let host = try host([
            "coin": "schemaVersion: 1\nservice: s\nbackends: {a: {value: 1}, b: {value: 2}}"
        ])
        let client = try host.client()
        func ask(_ key: String) throws -> String? {
            let body = #"{"features":{},"dispatch":{"dispatchKey":\#(key)}}"#
            let answer = try client.call("POST", "/public/api/v1/s/coin/predict", body: body)
            return answer.json["apiContext"]?["serviceGeneration"]?.string
        }
        var arms: Set<String> = []
        for user in 0..<40 {
            let arm = try ask("\(user)")
            #expect(try ask("\"\(user)\"") == arm)
            if let arm { arms.insert(arm) }
            let tensor = #"{"inputs":[{"name":"x","datatype":"BOOL","shape":[1],"data":[true]}],"#
            let body = tensor + #""parameters":{"subject_id":\#(user)}}"#
            let answer = try client.call("POST", "/v2/models/coin/infer", body: body)
            #expect(answer.json["model_version"]?.string == arm)
        }
        #expect(arms == ["a", "b"])
        #expect(host.stop())
        let record = try JSONValue(parsing: Array((try host.logLines())[0].utf8))
        #expect(record["experimentId"]?.string == "coin" && record["subjectId"] == nil)
        #expect(record["algorithm"]?.string == "rendezvous-sha256-v1")
    }

    @Test(arguments: [
        ("/public/api/v1/a/b/predict", "errorType"), ("/public/api/v1", "errorType"),
        ("/v2/models/nope/infer", "error"), ("/v2/nope", "error"), ("/v1/nope", "error"),
    ])
    func `a failure has the form of its protocol`(path: String, member: String) throws {
        let host = try host()
        let missing = try host.client().call("POST", path, body: "{}")
        #expect(missing.status == 404 && missing.json[member]?.string != nil, "\(missing.text)")
        // So has one that the framing is at fault for.
        let client = try host.client()
        try client.send("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        let large = try client.answer()
        #expect(large.status == 413 && large.json[member]?.string != nil, "\(large.text)")
        let coded = try host.client().call(
            "POST",
            "/v2/models/area/infer",
            fields: ["Content-Encoding: gzip"],
            body: "x"
        )
        #expect(coded.status == 415)
    }

    @Test func `what the host says of itself names every endpoint and works`() throws {
        let host = try host(["e": "schemaVersion: 1\nbackends: {a: {value: 1}}"])
        let client = try host.client()
        let document = try client.call("GET", "/openapi.json").json
        #expect(document["openapi"]?.string == "3.1.0")
        for path in ["/v1/e", "/public/api/v1/e/e/predict", "/v2/models/e/infer", "/v1/area"] {
            #expect(document["paths"]?[path]?["post"] != nil, "\(path)")
        }
        let content = document["paths"]?["/v1/area"]?["post"]?["requestBody"]?["content"]
        let example = content?["application/json"]?["examples"]?["example1"]?["value"]
        if let example {
            let answer = try client.call("POST", "/v1/area", body: example.text)
            #expect(answer.status == 200)
        }
    }
}
