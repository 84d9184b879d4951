// What was counted, in the words of Triton's statistics extension. A request counts once for each
// split that answered rows of it; its time is all of it, from the loop's first look to the answer.

import Deployments
import Endpoints
import JSON

/// The statistics of models.
enum ModelStatistics {
    /// Those of one model, or of every one.
    static func json(_ snapshot: ServingSnapshot, _ wanted: (String, ModelTarget)?) -> JSONValue {
        var list: [JSONValue] = []
        if let (name, model) = wanted {
            switch model.target {
            case .deployment(let split): list.append(entry(name, split))
            case .endpoint(let endpoint):
                for (index, split) in endpoint.splits.enumerated()
                where model.arm == nil || model.arm == index { list.append(entry(name, split)) }
            }
        } else {
            for endpoint in snapshot.endpoints {
                list += endpoint.splits.map { entry(endpoint.name, $0) }
            }
            var known: Set<ObjectIdentifier> = []
            for deployment in snapshot.deployments
            where known.insert(ObjectIdentifier(deployment.metrics)).inserted {
                let version = deployment.version
                let name = version.deployment.openName
                list.append(entry(name, "\(version.number)", deployment.metrics))
            }
        }
        return .object([.init("model_stats", .array(list))])
    }

    private static func entry(_ name: String, _ split: PreparedSplit) -> JSONValue {
        let arm = String(decoding: split.name, as: UTF8.self)
        if arm.isEmpty, case .model(let model) = split.backend {
            return entry(name, "\(model.version.number)", split.metrics)
        }
        return entry(name, arm, split.metrics)
    }

    private static func entry(
        _ name: String,
        _ version: String,
        _ metrics: SplitMetrics
    ) -> JSONValue {
        let counts = metrics.counts
        let requests = counts.requests
        let failed = min(metrics.errors.total, requests)
        let all = statistic(requests - failed, counts.nanoseconds)
        let none = statistic(0, 0)
        return .object([
            .init("name", .string(name)), .init("version", .string(version)),
            .init("last_inference", .number("\(counts.lastMilliseconds)")),
            .init("inference_count", .number("\(requests - failed)")),
            .init("execution_count", .number("\(requests - failed)")),
            .init(
                "inference_stats",
                .object([
                    .init("success", all), .init("fail", statistic(failed, 0)),
                    .init("queue", none), .init("compute_input", none),
                    .init("compute_infer", all), .init("compute_output", none),
                    .init("cache_hit", none), .init("cache_miss", none),
                ])
            ), .init("response_stats", .object([])), .init("batch_stats", .array([])),
            .init("memory_usage", .array([])),
        ])
    }

    private static func statistic(_ count: UInt64, _ nanoseconds: UInt64) -> JSONValue {
        .object([.init("count", .number("\(count)")), .init("ns", .number("\(nanoseconds)"))])
    }
}
