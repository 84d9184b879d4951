import Endpoints
import JSON
import Platform
import Serving
import TestSupport
import Testing

/// Models that have threads of their own.
struct PoolTests {
    /// A host with the slow model in a pool, and a quick one, on one loop.
    private func host(
        _ execution: String = "{mode: pool, threads: 1}",
        payloads: Bool = false
    ) throws -> LiveHost {
        let host = try LiveHost()
        host.configuration.loops = 1
        host.configuration.logsPayloads = payloads
        try host.deploy("slow", "slow_model")
        try host.deploy("quick", "thirty_lines")
        try host.deploy("batches", "batch_model")
        try host.deploy("serial", "misfit_serial")
        try host.folder.write(
            "deployments/main/slow/deployment.yaml",
            "schemaVersion: 1\nexecution: \(execution)\n"
        )
        try host.start()
        return host
    }

    private func slow(_ milliseconds: Int, sleep: Bool = true) -> String {
        #"{"data": {"ms": \#(milliseconds), "sleep": \#(sleep)}}"#
    }

    private let quick = #"{"data": {"width": 3, "height": 4}}"#

    private func milliseconds(_ body: () throws -> Void) rethrows -> UInt64 {
        let start = MonotonicClock.now()
        try body()
        return (MonotonicClock.now() - start) / 1_000_000
    }

    @Test func `a slow model in its pool does not hold up a quick one on the same loop`() throws {
        let host = try host()
        let (one, other) = (try host.client(), try host.client())
        try one.request("POST", "/v1/slow", body: slow(400, sleep: false))
        let took = try milliseconds {
            for _ in 0..<20 {
                let status = try other.call("POST", "/v1/quick", body: quick).status
                #expect(status == 200)
            }
        }
        #expect(took < 400, "twenty quick answers came before the slow one")
        let answer = try one.answer()
        let computed = Double(answer.json["data"]?.text ?? "0") ?? 0
        #expect(answer.status == 200 && computed >= 400)
        #expect(answer.json["split"]?["deployment"]?["name"]?.string == "slow")
    }

    @Test func `a serial model is asked on a thread of its own`() throws {
        let host = try host()
        let answer = try host.client().call("POST", "/v1/serial", body: #"{"data": 1}"#)
        #expect(answer.status == 200 && answer.json["data"]?.text == "1.0")
    }

    @Test func `a full queue answers 503 at once and the rest is answered`() throws {
        let host = try host("{mode: pool, threads: 1, queue: 1}")
        let clients = try (0..<3).map { _ in try host.client() }
        try clients[0].request("POST", "/v1/slow", body: slow(500))
        MonotonicClock.sleep(nanoseconds: 100_000_000)  // the thread has it by now
        try clients[1].request("POST", "/v1/slow", body: slow(1))
        MonotonicClock.sleep(nanoseconds: 50_000_000)
        let refused = try clients[2].call("POST", "/v1/slow", body: slow(1))
        #expect(refused.status == 503)
        #expect(refused.json["code"]?.string == "queue_full")
        #expect(refused.field("retry-after") == "1")
        #expect(refused.json["split"]?["deployment"]?["name"]?.string == "slow")
        #expect(try clients[0].answer().status == 200)
        #expect(try clients[1].answer().status == 200)
        #expect(try clients[2].call("POST", "/v1/slow", body: slow(1)).status == 200)
        #expect(host.stop())
        let records = try host.logLines().compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        #expect(records.compactMap { $0["status"]?.unsigned }.sorted() == [200, 200, 200, 503])
        let waited = records.compactMap { $0["queueMicroseconds"]?.unsigned }.max() ?? 0
        #expect(waited > 100_000, "the second waited for the first")
    }

    @Test(arguments: [
        ("X-Request-Timeout-Ms: 100", #"{"data": {"ms": 2000, "sleep": true}}"#),
        (
            "X-Any: 1",
            #"{"timeout_seconds": 0.1, "data": {"ms": 2000, "sleep": true}}"#
        ),
    ])
    func `a request shortens its deadline and has its 408 on time`(
        field: String,
        body: String
    ) throws {
        let host = try host()
        let client = try host.client()
        try milliseconds {
            let late = try client.call("POST", "/v1/slow", fields: [field], body: body)
            #expect(late.status == 408 && late.json["code"]?.string == "deadline_exceeded")
        }.isLess(than: 1500)
        // The connection goes on, and the model has given its thread back.
        #expect(try client.call("POST", "/v1/slow", body: slow(1)).status == 200)
    }

    @Test func `a deadline comes on time in the queue of a pool that is stuck`() throws {
        let host = try host("{mode: pool, threads: 1, deadline: 3s}")
        let (one, other) = (try host.client(), try host.client())
        try one.request("POST", "/v1/slow", body: slow(2500, sleep: false))
        MonotonicClock.sleep(nanoseconds: 50_000_000)
        try milliseconds {
            let late = try other.call(
                "POST",
                "/v1/slow",
                fields: ["X-Request-Timeout-Ms: 200"],
                body: slow(1)
            )
            #expect(late.status == 408)
        }.isLess(than: 2000)
        #expect(try one.answer().status == 200)
        try one.request("POST", "/v1/slow", body: slow(60_000))
        #expect(try one.answer().status == 408, "the deployment's own deadline")
        #expect(one.isQuiet)
    }

    @Test func `a client that goes away frees its place in the queue`() throws {
        let host = try host("{mode: pool, threads: 1, queue: 1}")
        let first = try host.client()
        try first.request("POST", "/v1/slow", body: slow(1500))
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        var second: Client? = try host.client()
        try second?.request("POST", "/v1/slow", body: slow(1))
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        second = nil
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        #expect(try host.client().call("POST", "/v1/slow", body: slow(1)).status == 200)
        #expect(try first.answer().status == 200)
    }

    @Test func `a model is told that its client has gone away`() throws {
        let host = try host()
        var client: Client? = try host.client()
        try client?.request("POST", "/v1/slow", body: slow(10_000))
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        client = nil
        let took = try milliseconds {
            let status = try host.client().call("POST", "/v1/slow", body: slow(1)).status
            #expect(status == 200)
        }
        #expect(took < 9000)
        #expect(host.events.withLock { $0.contains { $0.contains("gave up") } })
    }

    @Test func `a client that has only finished sending has its answer`() throws {
        let host = try host()
        let client = try host.client()
        try client.request("POST", "/v1/slow", body: slow(400))
        client.finishSending()
        #expect(try client.answer().status == 200)
        #expect(try client.isAtEnd())
    }

    @Test func `a loop that was held up does not take a half-closed client for one that left`()
        throws
    {
        let host = try host("{}")
        let clients = try (0..<3).map { _ in try host.client() }
        try clients[0].request("POST", "/v1/slow", body: slow(400, sleep: false))
        MonotonicClock.sleep(nanoseconds: 100_000_000)  // now the loop computes
        try clients[1].request("POST", "/v1/batches", body: #"{"data": {"n": 1}}"#)
        clients[1].finishSending()
        try clients[2].request("POST", "/v1/slow", body: slow(300, sleep: false))
        for client in clients { #expect(try client.answer().status == 200) }
    }

    @Test func `who asks again for every answer finds a place in a queue of none`() throws {
        let host = try host("{mode: pool, threads: 1, queue: 0}")
        let client = try host.client()
        for _ in 0..<200 {
            #expect(try client.call("POST", "/v1/slow", body: slow(0)).status == 200)
        }
    }

    @Test func `many who leave a long queue hold nobody up`() throws {
        let host = try host("{mode: pool, threads: 1, queue: 1000}")
        let busy = try host.client()
        try busy.request("POST", "/v1/slow", body: slow(1500))
        MonotonicClock.sleep(nanoseconds: 50_000_000)
        var waiting = try (0..<100).map { _ in try host.client() }
        for client in waiting { try client.request("POST", "/v1/slow", body: slow(1)) }
        MonotonicClock.sleep(nanoseconds: 300_000_000)
        waiting = Array(waiting.prefix(10))
        #expect(try host.client().call("POST", "/v1/slow", body: slow(1)).status == 200)
        for client in waiting { #expect(try client.answer().status == 200) }
        #expect(try busy.answer().status == 200)
    }

    @Test func `pipelined requests behind a slow one are answered in order`() throws {
        let host = try host()
        let client = try host.client()
        try client.request("POST", "/v1/quick", fields: ["X-Request-Id: 1"], body: quick)
        try client.request("POST", "/v1/slow", fields: ["X-Request-Id: 2"], body: slow(50))
        try client.request("POST", "/v1/quick", fields: ["X-Request-Id: 3"], body: quick)
        for id in ["1", "2", "3"] {
            #expect(try client.answer().field("x-request-id") == id)
        }
    }

    @Test func `a host that ends answers what its pools are working on`() throws {
        let host = try host()
        let client = try host.client()
        try client.request("POST", "/v1/slow", body: slow(300))
        MonotonicClock.sleep(nanoseconds: 100_000_000)
        #expect(host.stop(), "everything was answered")
        #expect(try client.answer().status == 200)
        #expect(try host.logLines().count == 1)
    }

    @Test func `an inline model that is slow moves to its pool and says so`() throws {
        let host = try host("{threads: 2}")
        let client = try host.client()
        for _ in 0..<3 {
            #expect(try client.call("POST", "/v1/slow", body: slow(5, sleep: false)).status == 200)
        }
        let events = host.events.withLock { $0.filter { $0.contains("model.moved_to_pool") } }
        #expect(events.count == 1)
        #expect(events.first?.contains("on 2 thread(s) of its own") == true)
        let other = try host.client()
        try client.request("POST", "/v1/slow", body: slow(300))
        try milliseconds {
            let status = try other.call("POST", "/v1/quick", body: quick).status
            #expect(status == 200)
        }.isLess(than: 300)
        #expect(try client.answer().status == 200)
        let snapshot = try #require(host.server?.board.live.committed.snapshot)
        let model = try #require(snapshot.deployments.first { $0.reference.name == "slow" }?.model)
        #expect(model.currentPlace == .pool)
        let outcome = try host.commit(.reload(resetsWeights: false))
        #expect(model.currentPlace == .loop, "a reload is another chance: \(outcome)")
    }

    @Test func `an example that is slow puts a model on threads of its own from the start`() throws
    {
        let host = try LiveHost()
        try host.deploy("slow", "slow_model", examples: slow(5))
        try host.start()
        #expect(host.server?.report.contains { $0.hasSuffix("thread(s) of its own") } == true)
        #expect(try host.client().call("POST", "/v1/slow", body: slow(1)).status == 200)
    }

    @Test func `a version that fails an example of its deployment is not stored`() throws {
        let host = try LiveHost()
        let error = #expect(throws: (any Error).self) {
            try host.deploy("slow", "slow_model", examples: #"{"data": {"ms": "x"}}"#)
        }
        #expect(error.map { "\($0)".contains("the example {\"ms\":\"x\"}") } == true)
    }

    @Test func `a model that sleeps on a loop moves too and a quick one never does`() throws {
        let host = try host("{threads: 2}")
        let client = try host.client()
        for _ in 0..<3 {
            #expect(try client.call("POST", "/v1/slow", body: slow(5)).status == 200)
        }
        for _ in 0..<500 {
            #expect(try client.call("POST", "/v1/quick", body: quick).status == 200)
        }
        let events = host.events.withLock { $0.filter { $0.contains("model.moved_to_pool") } }
        #expect(events.count == 1 && events[0].contains("main/slow"))
    }
}

extension UInt64 {
    fileprivate func isLess(than limit: UInt64) {
        #expect(self < limit, "milliseconds")
    }
}

extension Client {
    /// Whether a request is still answered.
    fileprivate var isQuiet: Bool { (try? call("GET", "/health/live").status) == 200 }
}
