import JSON
import Platform
import Serving
import TestSupport
import Testing

/// What the document at `/openapi.json` says is what the host does.
struct DescriptionTests {
    private static let weights = "/admin/v1/endpoints/{endpoint}/weights"
    private static let alias = "/admin/v1/deployments/{branch}/{name}/aliases/{alias}"
    private static let version = "/admin/v1/deployments/{branch}/{name}/versions/{version}"

    private func host() throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: [
            "coin": Sample.coin, "model": Sample.model,
            "sticky":
                "backends: {x: {value: null}}\nexperimentConfig: {experimentId: f, subjectKey: id}",
        ])
        try host.deploy("area", "thirty_lines")
        return host
    }

    @Test func `every path answers as it is described, and no other method`() throws {
        let host = try host()
        try host.start()
        let caller = try DescribedCaller(host)
        _ = try host.v1("PUT", "endpoints/coin/weights", #"{"weights": {"a": 2}}"#)
        let parts = ["endpoint": ["coin"], "revision": ["2"], "service": ["coin"]]
        let paths = caller.description.paths
        #expect(paths.count == 32)
        for path in paths {
            let isLookedAt = path.value["get"] != nil
            let names = path.value["parameters"]?.array ?? []
            let wanted = names.flatMap {
                parts[caller.description.resolved($0)["name"]?.string ?? ""] ?? ["x"]
            }
            if isLookedAt {
                let answer = try caller.call("GET", path.name, wanted)
                #expect(answer.status == 200, "\(path.name)")
                #expect(answer.field("cache-control") == "no-store")
            }
            var filled = path.name
            for (part, name) in zip(wanted, names) {
                let name = caller.description.resolved(name)["name"]?.string ?? ""
                filled = filled.replacing("{\(name)}", with: part)
            }
            if isLookedAt {
                let head = try host.call("HEAD", filled)
                #expect(head.status == 200 && head.body.isEmpty, "\(path.name)")
                #expect(head.field("content-length") != "0")
                let slashed = try host.call("GET", filled + "/")
                #expect(slashed.status == 200, "\(path.name)")
            }
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
            where path.value[method.lowercased()] == nil && !(method == "HEAD" && isLookedAt) {
                let answer = try host.call(method, filled)
                #expect(answer.status == 405, "\(method) \(path.name)")
                let allowed = Set((answer.field("allow") ?? "").split(separator: ", "))
                let described =
                    (path.value.object ?? []).map { $0.name.uppercased()[...] }
                    .filter { $0 != "PARAMETERS" } + (isLookedAt ? ["HEAD"] : [])
                #expect(allowed == Set(described), "\(path.name)")
            }
        }
        #expect(caller.problems == [])
    }

    @Test func `the examples are as the schemas say, and no schema is left over`() throws {
        let host = try host()
        try host.start()
        let answer = try host.call("GET", "/openapi.json")
        let description = APIDescription(try JSONValue(parsing: answer.body))
        #expect(description.document["openapi"]?.string == "3.1.0")
        #expect(description.document["security"]?.array?.count == 3)
        var problems: [String] = []
        func check(_ body: JSONValue?, _ place: String) {
            for content in body.map(description.resolved)?["content"]?.object ?? [] {
                guard let schema = content.value["schema"], let example = content.value["example"]
                else {
                    problems.append("\(place): no example")
                    continue
                }
                problems += description.problems(example, schema, at: place)
            }
        }
        var identifiers: Set<String> = []
        var operations = 0
        for path in description.paths where path.name != "/openapi.json" {
            for operation in path.value.object ?? [] where operation.name != "parameters" {
                operations += 1
                identifiers.insert(operation.value["operationId"]?.string ?? "")
                check(operation.value["requestBody"], "\(operation.name) \(path.name)")
                for response in operation.value["responses"]?.object ?? [] {
                    check(response.value, "\(operation.name) \(path.name) \(response.name)")
                }
            }
        }
        #expect(problems == [])
        #expect(identifiers.count == operations)
        for part in ["schemas", "responses", "parameters"] {
            for member in description.document["components"]?[part]?.object ?? [] {
                #expect(answer.text.contains("\"#/components/\(part)/\(member.name)\""))
            }
        }
    }

    @Test func `every kind of change comes as it is described`() throws {
        let host = try host()
        try host.start()
        let caller = try DescribedCaller(host)
        #expect(try caller.reload() == "unchanged")
        try host.deploy("spare", "thirty_lines")
        #expect(try caller.reload() == "committed")
        // An endpoint comes, says the same in other words, changes in every way, and goes.
        try host.endpoint("new", "backends: {x: {value: 1}, y: {value: 2}}")
        #expect(try caller.reload() == "committed")
        try host.endpoint("new", "# a word\nbackends: {x: {value: 1}, y: {value: 2}}")
        #expect(try caller.reload() == "committed")
        let experiment = "experimentConfig: {experimentId: f, subjectKey: id}"
        try host.endpoint(
            "new",
            "backends: {x: {value: 3, weight: 2}, z: {value: 2}}\nservice: s\n\(experiment)"
        )
        #expect(try caller.reload() == "committed")
        try host.endpoint(
            "new",
            "backends: {x: {value: 3, weight: 9}, z: {value: 2}}\nservice: s\n\(experiment)"
        )
        #expect(try caller.reload() == "committed")
        try host.removeEndpoint("new")
        #expect(try caller.call("POST", "/admin/v1/plan").json["errors"]?.array == [])
        #expect(try caller.reload() == "committed")
        // Live weights end with a reload that says so.
        try caller.call("PUT", Self.weights, ["coin"], #"{"weights": {"a": 7}}"#)
        #expect(try caller.reload(#"{"keepWeights": true}"#) == "unchanged")
        #expect(try caller.reload() == "unchanged")
        #expect(try caller.reload(#"{"resetWeights": true}"#) == "committed")
        // Versions come, are named, run in another way, and go.
        try host.deploy("area", "codable_model")
        try caller.call("PUT", Self.alias, ["main", "area", "prod"], #"{"version": 2}"#)
        #expect(try caller.reload() == "committed")
        try host.folder.write(
            "deployments/main/area/deployment.yaml",
            "schemaVersion: 1\naliases: {prod: 2}\nexecution: {mode: pool}\n"
        )
        #expect(try caller.reload() == "committed")
        // An endpoint gets a fallback, is switched off and on; a deployment is unloaded and loaded.
        try host.endpoint("coin", Sample.coin + "\nfallback: a")
        #expect(try caller.reload() == "committed")
        for verb in ["unload", "load"] {
            try caller.call("POST", "/v2/repository/models/{model}/\(verb)", ["coin"])
            try caller.call("POST", "/v2/repository/models/{model}/\(verb)", ["spare"])
        }
        try caller.call("POST", "/admin/v1/rollback", [], #"{"configRevision": 1}"#)
        try caller.call("GET", "/admin/v1/status")
        try caller.call("GET", "/admin/v1/deployments")
        try caller.call("GET", "/admin/v1/revisions")
        // What was rolled back stays away, is released, or says something new.
        #expect(try caller.reload() == "unchanged")
        try host.endpoint("coin", Sample.coin + "\nfallback: b")
        #expect(try caller.reload() == "committed")
        try caller.call("POST", "/admin/v1/freeze", [], #"{"text": "a test"}"#)
        try caller.call("DELETE", "/admin/v1/freeze")
        let pins = try host.v1("GET", "status").json["pins"]?.array ?? []
        #expect(!pins.isEmpty)
        for pin in pins {
            let subject = pin["endpoint"]?.string ?? pin["name"]?.string ?? ""
            try caller.call("POST", "/admin/v1/rollback", [], #"{"release": "\#(subject)"}"#)
        }
        #expect(try caller.reload() == "committed")
        #expect(caller.problems == [])
        let mapping = caller.description.schema("Change")["discriminator"]?["mapping"]?.object
        // Of a build that is gone `ReloadTests` tells.
        let kinds = Set((mapping ?? []).map(\.name)).subtracting(["versionMissing"])
        #expect(caller.changes == kinds)
    }

    @Test func `every way to change something answers as it is described`() throws {
        let host = try host()
        try host.start()
        try host.deploy("area", "codable_model")
        let caller = try DescribedCaller(host)
        func expect(
            _ status: Int,
            _ code: String?,
            _ method: String,
            _ path: String,
            _ parts: [String],
            _ body: String = ""
        ) throws {
            let answer = try caller.call(method, path, parts, body)
            #expect(answer.status == status, "\(method) \(path) \(parts) \(body)")
            #expect(answer.json["code"]?.string == code, "\(answer.text)")
        }
        try expect(200, nil, "PUT", Self.weights, ["coin"], #"{"weights": {"a": 9, "b": 1}}"#)
        try expect(200, nil, "DELETE", Self.weights, ["coin"])
        try expect(200, nil, "DELETE", Self.weights, ["coin"])
        try expect(404, "endpoint_not_found", "DELETE", Self.weights, ["con"])
        try expect(
            404,
            "endpoint_not_found",
            "PUT",
            Self.weights,
            ["no"],
            #"{"weights": {"a": 1}}"#
        )
        try expect(409, "commit_failed", "PUT", Self.weights, ["coin"], #"{"weights": {"c": 9}}"#)
        try expect(
            409,
            "commit_failed",
            "PUT",
            Self.weights,
            ["coin"],
            #"{"weights": {"a": 0, "b": 0}}"#
        )
        try expect(400, "bad_request", "PUT", Self.weights, ["coin"], #"{"weights": {"a": -1}}"#)
        try expect(400, "bad_json", "PUT", Self.weights, ["coin"], #"{"weights": {"a": 01}}"#)
        try expect(200, nil, "POST", "/admin/v1/rollback", [])
        try expect(
            409,
            "commit_failed",
            "POST",
            "/admin/v1/rollback",
            [],
            #"{"configRevision": 999}"#
        )
        try expect(404, "revision_not_found", "GET", "/admin/v1/revisions/{revision}", ["999"])
        try expect(404, "revision_not_found", "GET", "/admin/v1/revisions/{revision}", ["+1"])
        try expect(404, "endpoint_not_found", "GET", "/admin/v1/endpoints/{endpoint}", ["con"])
        let prod = ["main", "area", "prod"]
        try expect(200, nil, "PUT", Self.alias, prod, #"{"version": 1}"#)
        try expect(200, nil, "PUT", Self.alias, prod, #"{"version": 2, "reload": true}"#)
        try expect(409, "store_unchanged", "PUT", Self.alias, prod, #"{"version": 3}"#)
        try expect(400, "bad_request", "PUT", Self.alias, prod, #"{"version": 0}"#)
        try expect(
            404,
            "deployment_not_found",
            "PUT",
            Self.alias,
            ["main", "are", "prod"],
            #"{"version": 1}"#
        )
        try expect(
            404,
            "alias_not_found",
            "PUT",
            Self.alias,
            ["main", "area", "latest"],
            #"{"version": 1}"#
        )
        try expect(409, "store_unchanged", "DELETE", Self.version, ["main", "area", "2"])
        try expect(200, nil, "DELETE", Self.alias, prod, #"{"reload": true}"#)
        try expect(404, "alias_not_found", "DELETE", Self.alias, prod)
        try expect(404, "version_not_found", "DELETE", Self.version, ["main", "area", "3"])
        try expect(404, "deployment_not_found", "DELETE", Self.version, ["a~b", "area", "1"])
        try expect(404, "version_not_found", "DELETE", Self.version, ["main", "area", "one"])
        try expect(200, nil, "DELETE", Self.version, ["main", "area", "1"])
        try host.endpoint("broken", "backends: {}")
        try expect(409, "commit_failed", "POST", "/admin/v1/reload", [])
        try expect(200, nil, "POST", "/admin/v1/plan", [])
        #expect(caller.problems == [])
    }

    @Test func `a version that cannot be loaded, and one that is only kept, are described`() throws
    {
        let host = try LiveAdmin(endpoints: ["model": Sample.model])
        try host.deploy("area", "thirty_lines")
        try host.start()
        try host.deploy("area", "codable_model")
        let caller = try DescribedCaller(host)
        #expect(try caller.reload() == "committed")
        try host.deploy("area", "echo")
        let plugin = "\(host.configuration.deployments)/main/area/3/plugin.so"
        try File.setMode(plugin, 0o644)
        try File.remove(plugin)
        try caller.reload()
        let states = try caller.call("GET", "/admin/v1/deployments").json.array ?? []
        #expect(states.compactMap { $0["state"]?.string } == ["ready", "kept", "failed"])
        try caller.call("GET", "/admin/v1/status")
        try caller.call("GET", "/health/ready")
        #expect(caller.problems == [])
    }
}
