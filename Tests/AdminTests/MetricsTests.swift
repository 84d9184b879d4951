import JSON
import Platform
import Serving
import TestSupport
import Testing

/// The numbers at `/metrics`.
struct MetricsTests {
    private static let requests = "switchyard_requests_total"
    private static let errors = "switchyard_request_errors_total"

    private func labels(
        _ endpoint: String,
        _ split: String = "",
        version: String? = nil
    ) -> String {
        let (branch, name) = version == nil ? ("", "") : ("main", "area")
        return "endpoint=\"\(endpoint)\",split=\"\(split)\",branch=\"\(branch)\","
            + "deployment=\"\(name)\",version=\"\(version ?? "")\""
    }

    /// A host that has answered: 5 of a, 3 of b, 4 and one failure of the model, 2 of the model by
    /// its own name, 2 bodies that are no JSON, 1 of an endpoint that there is not.
    private func busyHost() throws -> LiveAdmin {
        let host = try LiveAdmin(endpoints: ["coin": Sample.coin, "model": Sample.model])
        host.configuration.graceNanoseconds = 0
        try host.deploy("area", "thirty_lines")
        try host.start()
        for (split, count) in [("a", 5), ("b", 3)] {
            for _ in 0..<count {
                let fields = ["X-Switchyard-Force-Backend: \(split)"]
                try host.predict("coin", #"{"data": 1}"#, fields: fields)
            }
        }
        for _ in 0..<4 { try host.predict("model", Sample.rectangle) }
        try host.predict("model", #"{"data": {"width": "wide", "height": 4}}"#)
        for _ in 0..<2 { try host.predict("area/1", Sample.rectangle) }
        for _ in 0..<2 { try host.predict("coin", "{") }
        try host.predict("nowhere", #"{"data": 1}"#)
        return host
    }

    @Test func `promtool takes the text`() throws {
        let host = try busyHost()
        _ = try host.v1("PUT", "endpoints/coin/weights", #"{"weights": {"a": 9}}"#)
        let text = try host.call("GET", "/metrics").text
        let file = try host.folder.write("metrics", text)
        let path = CurrentProcess.environment("PATH") ?? "/usr/bin"
        let places =
            ["\(Built.repository)/.build/tools/promtool"]
            + path.split(separator: ":").map { "\($0)/promtool" }
        let promtool = try #require(
            places.first(where: File.exists),
            "there is no promtool, Prometheus' own check of metrics: run 'make setup-test'"
        )
        let child = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", "exec \"$0\" check metrics < \"$1\"", promtool, file],
            environment: ["PATH=/usr/bin:/bin"]
        )
        let end = child.wait(seconds: 60)
        #expect(end == .exited(0) && child.standardError == "", "\(child.standardError)")
        // That it can refuse, too.
        try host.folder.write("metrics", text + "switchyard_ready{\n")
        let other = try ChildProcess(
            executable: "/bin/sh",
            arguments: ["-c", "exec \"$0\" check metrics < \"$1\"", promtool, file],
            environment: ["PATH=/usr/bin:/bin"]
        )
        let refusal = other.wait(seconds: 60)
        #expect(refusal != .exited(0))
    }

    @Test func `every answer is counted once, where it belongs`() throws {
        let host = try busyHost()
        let samples = try host.samples()
        let counts: [(labels: String, count: String)] = [
            (labels("coin", "a"), "5"), (labels("coin", "b"), "3"), (labels("coin"), "2"),
            (labels("model", "m", version: "1"), "5"), (labels("model"), "0"),
            (labels("", version: "1"), "2"), (labels(""), "1"),
        ]
        for (labels, count) in counts {
            #expect(samples["\(Self.requests){\(labels)}"] == count, "\(labels)")
        }
        let all = samples.filter { $0.key.hasPrefix(Self.requests) }
        #expect(all.count == counts.count)
        let failures: [String: String] = [
            "\(Self.errors){\(labels("coin")),code=\"bad_json\"}": "2",
            "\(Self.errors){\(labels("model", "m", version: "1")),code=\"bad_input\"}": "1",
            "\(Self.errors){\(labels("")),code=\"endpoint_not_found\"}": "1",
        ]
        let errors = samples.filter { $0.key.hasPrefix(Self.errors) }
        #expect(errors.filter { $0.value != "0" } == failures)
        #expect(errors.count > 50, "every code is there from the start")
        // Status says the same.
        let splits = try host.v1("GET", "endpoints/coin").json["splits"]?.array
        #expect(splits?.compactMap { $0["requests"]?.unsigned } == [5, 3])
        let model = try host.v1("GET", "endpoints/model").json["splits"]?.array?.first
        #expect(model?["requests"]?.unsigned == 5 && model?["errors"]?.unsigned == 1)
    }

    @Test func `a histogram's buckets add up to its count`() throws {
        let samples = try busyHost().samples()
        let name = "switchyard_request_duration_seconds"
        var series = 0
        for (key, count) in samples where key.hasPrefix("\(name)_count{") {
            let labels = String(key.dropFirst("\(name)_count{".count).dropLast())
            series += 1
            #expect(samples["\(Self.requests){\(labels)}"] == count, "\(labels)")
            var buckets: [(bound: Double, count: Int)] = []
            for (key, value) in samples where key.hasPrefix("\(name)_bucket{\(labels),le=\"") {
                let bound = key.dropFirst("\(name)_bucket{\(labels),le=\"".count).dropLast(2)
                buckets.append(
                    (bound == "+Inf" ? .infinity : Double(bound) ?? -1, Int(value) ?? -1)
                )
            }
            buckets.sort { $0.bound < $1.bound }
            #expect(buckets.count == 20 && buckets.last?.bound == .infinity)
            #expect(buckets.first?.bound ?? 0 > 0)
            #expect(zip(buckets, buckets.dropFirst()).allSatisfy { $0.count <= $1.count })
            #expect("\(buckets.last?.count ?? -1)" == count)
            let sum = Double(samples["\(name)_sum{\(labels)}"] ?? "") ?? -1
            #expect(count == "0" ? sum == 0 : sum > 0 && sum < 60, "\(labels)")
        }
        #expect(series == 4)
    }

    @Test func `counters go on over a commit that leaves their version`() throws {
        let host = try busyHost()
        _ = try host.v1("PUT", "endpoints/coin/weights", #"{"weights": {"a": 9}}"#)
        try host.endpoint("further", Sample.coin)
        let answer = try host.v1("POST", "reload")
        #expect(answer.json["outcome"]?.string == "committed")
        try host.predict("coin", #"{"data": 1}"#, fields: ["X-Switchyard-Force-Backend: a"])
        try host.predict("coin", "{")
        let samples = try host.samples()
        #expect(samples["\(Self.requests){\(labels("coin", "a"))}"] == "6")
        #expect(samples["\(Self.requests){\(labels("coin"))}"] == "3")
        #expect(samples["\(Self.requests){\(labels("model", "m", version: "1"))}"] == "5")
        #expect(samples["\(Self.requests){\(labels("further", "a"))}"] == "0")
        #expect(samples["switchyard_config_revision"] == "3")
        #expect(samples[#"switchyard_commits_total{request="reload",outcome="committed"}"#] == "1")
        #expect(samples[#"switchyard_commits_total{request="weights",outcome="committed"}"#] == "1")
        let some: [CommitRequest] = [
            .reload(resetsWeights: false), .weights(endpoint: "e", []), .rollback(to: nil),
            .mapping(service: "s", []), .enable([], true), .enable([], false), .load("a/b"),
            .unload("a/b"), .release("e"), .freeze("x"), .unfreeze, .loadAgain,
            .readmit(deployment: nil, version: nil),
        ]
        #expect(some.map(\.name).sorted() == CommitRequest.names.sorted())
        // What has not happened yet is there with 0, so that its first time is an increase.
        for request in CommitRequest.names {
            let name = #"switchyard_commits_total{request="\#(request)",outcome="failed"}"#
            #expect(samples[name] == "0", "\(name)")
        }
    }

    @Test func `the series of a version go with it`() throws {
        let host = try busyHost()
        try host.deploy("area", "codable_model")
        let answer = try host.v1("POST", "reload")
        #expect(answer.json["outcome"]?.string == "committed")
        let areGone = try eventually {
            let samples = try host.samples()
            return !samples.keys.contains { $0.contains("version=\"1\"") }
                && samples[#"switchyard_models{state="draining"}"#] == "0"
        }
        #expect(areGone)
        let samples = try host.samples()
        #expect(samples["\(Self.requests){\(labels("model", "m", version: "2"))}"] == "0")
        #expect(samples["\(Self.requests){\(labels("coin", "a"))}"] == "5")
        #expect(samples["switchyard_models_destroyed_total"] == "1")
        #expect(samples[#"switchyard_models{state="served"}"#] == "1")
        #expect(samples[#"switchyard_models{state="kept"}"#] == "0")
        #expect(samples["switchyard_plugin_images"] == "2")
    }

    @Test func `the process and the log are as the kernel has them`() throws {
        let samples = try busyHost().samples()
        func number(_ name: String) -> Double { Double(samples[name] ?? "") ?? -1 }
        #expect(number("process_resident_memory_bytes") > 1_000_000)
        #expect(number("process_open_fds") > 10)
        #expect(number("process_open_fds") <= number("process_max_fds"))
        #expect(number("process_threads") > 3)
        #expect(number("process_cpu_seconds_total") > 0)
        let now = Double(WallTime.now().microseconds) / 1e6
        #expect(abs(now - number("process_start_time_seconds")) < 60)
        #expect(samples[#"switchyard_log_ring_bytes{loop="1"}"#] == "1048576")
        #expect(number("switchyard_log_records_lost_total") == 0)
        #expect(samples["switchyard_build_info{version=\"\(HostVersion.text)\"}"] == "1")
    }
}
