import JSON
import TestSupport
import Testing

/// Endpoints and deployments that admins switch off and on, and shares of whole services.
struct SwitchingTests {
    private func host() throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: [
            "one": Sample.coin + "\nservice: s", "two": Sample.coin + "\nservice: s",
            "three": "backends: {a: {value: 1}}",
        ])
        try host.deploy("area", "thirty_lines")
        try host.start()
        return host
    }

    private func act(_ host: LiveAdmin, _ verb: String, _ body: String = "") throws -> Answer {
        try host.call("POST", "/admin/api/services/s/actions/\(verb)", body)
    }

    private func weights(_ host: LiveAdmin, _ endpoint: String) throws -> [String] {
        let splits = try host.v1("GET", "endpoints/\(endpoint)").json["splits"]?.array ?? []
        return splits.map { $0["weight"]?.text ?? "" }
    }

    @Test func `a mapping is one commit for all endpoints of a service`() throws {
        let host = try host()
        let before = try host.revision()
        let list = #"[{"generation":"a","proba":0.25},{"generation":"b","proba":0.75}]"#
        for body in [list, #"{"entries":\#(list)}"#] {
            let answer = try act(host, "setMapping", body)
            #expect(answer.status == 200 && answer.json["ok"]?.boolean == true, "\(answer.text)")
        }
        // The second one says the same: one revision was written.
        #expect(try host.revision() == before.map { $0 + 1 })
        for endpoint in ["one", "two"] {
            #expect(try weights(host, endpoint) == ["0.25", "0.75"])
        }
        #expect(try act(host, "switchTo/b").status == 200)
        #expect(try weights(host, "two") == ["0", "1"])
        #expect(try host.v1("POST", "rollback").status == 200)
        #expect(try weights(host, "two") == ["0.25", "0.75"])
        // A reset returns to the files, as after `switchyard weights`.
        #expect(try host.v1("POST", "reload", "{\"resetWeights\": true}").status == 200)
        #expect(try weights(host, "one") == ["1", "3"])
    }

    @Test(arguments: [
        (#"[{"generation":"a","proba":0.5}]"#, 409, "add up to 0.5"),
        (#"[{"generation":"a","proba":0.5},{"generation":"a","proba":0.5}]"#, 409, "there twice"),
        (#"[{"generation":"x","proba":1}]"#, 409, "no split 'x'"),
        (#"[{"generation":"a","proba":2}]"#, 400, "entry 0"), (#"{"a":1}"#, 400, "wanted"),
        ("", 400, "not JSON"), (#"[{"generation":"a","proba":1e-300}]"#, 409, "is not 0 or"),
    ])
    func `a mapping that cannot be changes nothing`(
        body: String,
        status: Int,
        words: String
    ) throws {
        let host = try host()
        let before = try host.revision()
        let answer = try act(host, "setMapping", body)
        let message = answer.json["message"]?.string ?? ""
        #expect(answer.status == status && message.contains(words), "\(answer.text)")
        #expect(answer.json["errorType"]?.string != nil)
        #expect(try host.revision() == before)
    }

    @Test func `what is switched off stays so over a reload, and a plan sees no difference`() throws
    {
        let host = try host()
        #expect(try act(host, "disable").status == 200)
        #expect(try host.call("POST", "/v2/repository/models/area/unload").status == 200)
        func requireOff() throws {
            let answer = try host.predict("one", #"{"data":1}"#)
            #expect(answer.status == 503 && answer.text.contains("endpoint_disabled"))
            #expect(try host.predict("three", #"{"data":1}"#).status == 200)
            #expect(try host.predict("area", Sample.rectangle).status == 404)
            let status = try host.v1("GET", "status").json
            #expect(status["unloaded"]?.text == #"["main/area"]"#)
            #expect(status["ready"]?.boolean == true)
        }
        try requireOff()
        #expect(try host.v1("POST", "plan").json["changes"]?.array == [])
        #expect(try host.v1("POST", "reload").json["outcome"]?.string == "unchanged")
        try requireOff()
        host.stop()
        try host.start()
        try requireOff()
        // Other weights leave it off; a mapping switches the service on.
        #expect(
            try host.v1("PUT", "endpoints/three/weights", #"{"weights":{"a":2}}"#).status == 200
        )
        try requireOff()
        #expect(try act(host, "setMapping", #"[{"generation":"a","proba":1}]"#).status == 200)
        #expect(try host.predict("one", #"{"data":1}"#).status == 200)
        #expect(try host.call("POST", "/v2/repository/models/area/load").status == 200)
        #expect(try host.predict("area", Sample.rectangle).status == 200)
        #expect(try host.v1("GET", "status").json["unloaded"] == nil)
    }

    @Test func `an endpoint that goes is forgotten as one that is switched off`() throws {
        let host = try host()
        #expect(try act(host, "disable").status == 200)
        try host.removeEndpoint("one")
        #expect(try host.v1("POST", "reload").status == 200)
        try host.endpoint("one", Sample.coin + "\nservice: s")
        #expect(try host.v1("POST", "reload").status == 200)
        #expect(try host.predict("one", #"{"data":1}"#).status == 200)
        #expect(try host.predict("two", #"{"data":1}"#).status == 503)
    }

    @Test(arguments: [
        ("POST", "/admin/api/services/s/generations/actions/importFromArchive?filePath=/x", 501),
        ("GET", "/admin/api/keys", 501), ("GET", "/admin/api/metrics", 501),
        ("POST", "/admin/api/services/", 405), ("DELETE", "/admin/api/services/s", 501),
        ("GET", "//admin//api/services/x/generations", 404), ("GET", "/admin/api/x", 404),
        ("POST", "/admin/api/services/s/generations/x/preload", 404),
        ("GET", "/admin/api/services/%zz/generations", 404),
    ])
    func `a verb that there is none of has that client's form`(
        method: String,
        path: String,
        status: Int
    ) throws {
        let answer = try host().call(method, path)
        #expect(answer.status == status, "\(answer.text)")
        #expect(answer.json["errorType"]?.string != nil && answer.json["message"]?.string != nil)
    }
}
