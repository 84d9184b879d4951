// The host's counters in Prometheus' text format, version 0.0.4.
//
// Series are made from what is live at the moment of the question, so those of a version that is
// not live any more are not there.

import Bytes
import Deployments
import Platform
import Serving
import Surfaces

/// Writes the answer to `GET /metrics`.
struct MetricsText {
    private(set) var bytes: [UInt8] = []

    init(_ control: HostControl) {
        let live = control.board.live
        hostMetrics(control, live)
        answerMetrics(control, live.committed.snapshot)
        modelMetrics(control, live)
        logMetrics(control)
        processMetrics(control)
    }

    // MARK: Writing

    /// Begins a metric; its samples follow.
    private mutating func begin(_ name: String, _ kind: String, _ help: String) {
        bytes.append("# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n")
    }

    private mutating func sample(
        _ name: String,
        _ labels: [(String, String)] = [],
        _ value: String
    ) {
        bytes.append(name)
        for (index, label) in labels.enumerated() {
            bytes.append(index == 0 ? "{" : ",")
            bytes.append("\(label.0)=\"\(Self.escaped(label.1))\"")
        }
        bytes.append(labels.isEmpty ? " \(value)\n" : "} \(value)\n")
    }

    private static func escaped(_ value: String) -> String {
        var text = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            default: text.unicodeScalars.append(character)
            }
        }
        return text
    }

    private mutating func single(_ name: String, _ kind: String, _ help: String, _ value: String) {
        begin(name, kind, help)
        sample(name, [], value)
    }

    /// Seconds of so many nanoseconds.
    private static func seconds(_ nanoseconds: UInt64) -> String {
        "\(Double(nanoseconds) / 1e9)"
    }

    /// What has become of workers.
    private mutating func appendWorkers(_ control: HostControl) {
        single(
            "switchyard_connections_lost_total",
            "counter",
            "Connections that this worker could not go on with after the one before it had died.",
            "\(control.state.connectionsLost)"
        )
        single(
            "switchyard_worker_deaths_total",
            "counter",
            "Workers of this host that have died.",
            "\(control.deaths)"
        )
        single(
            "switchyard_quarantined_versions",
            "gauge",
            "Versions that are not run, since they have ended workers.",
            "\(control.quarantine.entries.count)"
        )
    }

    // MARK: The host

    /// What is not as the files say, on purpose or not.
    private mutating func addPins(_ control: HostControl, _ live: LiveState) {
        single(
            "switchyard_config_reload_failed",
            "gauge",
            "Whether the last reload has changed nothing, since something was wrong.",
            control.state.failedReload == nil ? "0" : "1"
        )
        single(
            "switchyard_config_pins",
            "gauge",
            "What rollbacks have put aside and reloads leave out.",
            "\(live.committed.revision.pins.count)"
        )
        single(
            "switchyard_config_frozen",
            "gauge",
            "Whether every change is refused.",
            live.committed.revision.frozen == nil ? "0" : "1"
        )
    }

    private mutating func hostMetrics(_ control: HostControl, _ live: LiveState) {
        begin("switchyard_build_info", "gauge", "The version of the host, always 1.")
        sample("switchyard_build_info", [("version", HostVersion.text)], "1")
        let readiness = Readiness.host(control.state, live.committed.snapshot)
        single(
            "switchyard_ready",
            "gauge",
            "Whether the host wants traffic.",
            readiness.isReady ? "1" : "0"
        )
        single(
            "switchyard_config_revision",
            "gauge",
            "The number of the revision that is live.",
            "\(live.committed.revision.number)"
        )
        single(
            "switchyard_config_degraded",
            "gauge",
            "Whether the files were broken at the start and an older revision is served.",
            live.committed.degraded == nil ? "0" : "1"
        )
        single(
            "switchyard_config_rolled_back",
            "gauge",
            "Whether an older revision is served on purpose.",
            live.committed.revision.rollbackOf == nil ? "0" : "1"
        )
        addPins(control, live)
        single(
            "switchyard_live_weight_endpoints",
            "gauge",
            "Endpoints whose weights differ from their files.",
            "\(live.committed.configuration.liveWeights.count)"
        )
        begin(
            "switchyard_commits_total",
            "counter",
            "Attempts to change what is live, by what was asked for and what it came to."
        )
        let counts = control.board.commitCounts
        for request in CommitRequest.names {
            for outcome in ["committed", "unchanged", "failed"] {
                let count = counts[CommitCount(request: request, outcome: outcome)] ?? 0
                sample(
                    "switchyard_commits_total",
                    [("request", request), ("outcome", outcome)],
                    "\(count)"
                )
            }
        }
        let connections = control.state.connections
        single(
            "switchyard_connections",
            "gauge",
            "Connections of clients.",
            "\(connections.open)"
        )
        single(
            "switchyard_connections_accepted_total",
            "counter",
            "Connections of clients that were ever accepted.",
            "\(connections.accepted)"
        )
        appendWorkers(control)
        single(
            "switchyard_buffered_bytes",
            "gauge",
            "Bytes of requests and answers that lie on the heap.",
            "\(control.state.memory.bytes)"
        )
    }

    // MARK: Answers

    /// The metrics of every split and of every version that is called by its own name.
    private static func series(_ snapshot: ServingSnapshot) -> [SplitMetrics] {
        var seen: Set<ObjectIdentifier> = []
        let all =
            snapshot.endpoints.flatMap { $0.splits.map(\.metrics) }
            + snapshot.deployments.map(\.metrics)
        return all.filter { seen.insert(ObjectIdentifier($0)).inserted }
    }

    private static func labels(_ key: SeriesKey) -> [(String, String)] {
        [
            ("endpoint", key.endpoint), ("split", key.split), ("branch", key.branch),
            ("deployment", key.deployment), ("version", key.version),
        ]
    }

    private mutating func answerMetrics(_ control: HostControl, _ snapshot: ServingSnapshot) {
        let series = Self.series(snapshot)
        let counts = series.map(\.counts)
        requestMetrics(control, snapshot, series, counts)
        let duration = "switchyard_request_duration_seconds"
        begin(duration, "histogram", "Time from a complete request to its answer.")
        for (series, counts) in zip(series, counts) {
            let labels = Self.labels(series.key)
            var sum: UInt64 = 0
            for place in counts.buckets.indices {
                sum += counts.buckets[place]
                let bound =
                    place < SplitMetrics.bounds.count
                    ? Self.seconds(SplitMetrics.bounds[place]) : "+Inf"
                sample("\(duration)_bucket", labels + [("le", bound)], "\(sum)")
            }
            sample("\(duration)_sum", labels, Self.seconds(counts.nanoseconds))
            sample("\(duration)_count", labels, "\(sum)")
        }
        begin(
            "switchyard_requests_in_flight",
            "gauge",
            "Requests that wait for a model's threads, or are computed there."
        )
        for (series, counts) in zip(series, counts) {
            let labels = Self.labels(series.key)
            sample("switchyard_requests_in_flight", labels, "\(counts.waiting)")
        }
    }

    private mutating func requestMetrics(
        _ control: HostControl,
        _ snapshot: ServingSnapshot,
        _ series: [SplitMetrics],
        _ counts: [SplitCounts]
    ) {
        begin(
            "switchyard_requests_total",
            "counter",
            "Answered requests, once for each split that they have a log record of; the labels of "
                + "what a request did not get to are empty."
        )
        for (series, counts) in zip(series, counts) {
            sample("switchyard_requests_total", Self.labels(series.key), "\(counts.requests)")
        }
        // Without a split there is no answer but a failure.
        let failures =
            snapshot.endpoints.map { ($0.name, $0.unassigned) } + [("", control.state.unassigned)]
        for (endpoint, errors) in failures {
            let labels = Self.labels(SeriesKey(endpoint: endpoint))
            sample("switchyard_requests_total", labels, "\(errors.total)")
        }
        begin(
            "switchyard_request_errors_total",
            "counter",
            "Answered requests that failed, by the code of the failure."
        )
        for series in series {
            errorSamples(series.errors, Self.labels(series.key))
        }
        for (endpoint, errors) in failures {
            errorSamples(errors, Self.labels(SeriesKey(endpoint: endpoint)))
        }
    }

    private mutating func errorSamples(_ errors: ErrorCounters, _ labels: [(String, String)]) {
        for code in FailureCode.allCases {
            sample(
                "switchyard_request_errors_total",
                labels + [("code", code.rawValue)],
                "\(errors[code])"
            )
        }
    }

    // MARK: Models

    private mutating func modelMetrics(_ control: HostControl, _ live: LiveState) {
        let models = live.committed.models
        gauges(models, "switchyard_model_healthy", "Whether the model says that it can answer.") {
            $0.ailment == nil ? 1 : 0
        }
        gauges(models, "switchyard_model_on_pool", "Whether calls run on the model's threads.") {
            $0.currentPlace == .pool ? 1 : 0
        }
        gauges(models, "switchyard_pool_threads", "Threads of the model that were started.") {
            $0.pool.load.threads
        }
        gauges(models, "switchyard_pool_working_threads", "Threads that ask the model.") {
            $0.pool.load.working
        }
        gauges(models, "switchyard_pool_queue_length", "Requests that wait for a thread.") {
            $0.pool.load.waiting
        }
        gauges(models, "switchyard_pool_queue_limit", "Requests that may wait for a thread.") {
            $0.version.execution.queue
        }
        gauges(
            models,
            "switchyard_pool_refused_total",
            "Requests that found no place in the queue.",
            kind: "counter"
        ) { Int(clamping: $0.pool.load.refused) }
        begin(
            "switchyard_models",
            "gauge",
            "Models in memory: served, kept for a rollback, waiting for their last request."
        )
        let states = [
            ("served", models.count), ("kept", live.shelf.kept.count),
            ("draining", control.retiring.count),
        ]
        for (state, count) in states {
            sample("switchyard_models", [("state", state)], "\(count)")
        }
        single(
            "switchyard_models_destroyed_total",
            "counter",
            "Models that were served and are destroyed.",
            "\(control.retired)"
        )
        single(
            "switchyard_versions_failed",
            "gauge",
            "Stored versions that could not be loaded when that was last tried.",
            "\(live.shelf.failures.count)"
        )
        single(
            "switchyard_plugin_images",
            "gauge",
            "Shared libraries of plugins in the process; they stay until it ends.",
            "\(live.shelf.images)"
        )
    }

    private mutating func gauges(
        _ models: [ServedModel],
        _ name: String,
        _ help: String,
        kind: String = "gauge",
        _ value: (ServedModel) -> Int
    ) {
        begin(name, kind, help)
        for model in models {
            let version = model.version
            sample(
                name,
                [
                    ("branch", version.deployment.branch),
                    ("deployment", version.deployment.name), ("version", "\(version.number)"),
                ],
                "\(value(model))"
            )
        }
    }

    // MARK: The log and the process

    private mutating func logMetrics(_ control: HostControl) {
        begin("switchyard_log_ring_bytes", "gauge", "Size of a loop's log ring.")
        for (index, ring) in control.rings.enumerated() {
            sample("switchyard_log_ring_bytes", [("loop", "\(index)")], "\(ring.capacity)")
        }
        begin("switchyard_log_ring_used_bytes", "gauge", "Bytes of records that wait there.")
        for (index, ring) in control.rings.enumerated() {
            let waiting = min(ring.waitingBytes, ring.capacity)
            sample("switchyard_log_ring_used_bytes", [("loop", "\(index)")], "\(waiting)")
        }
        single(
            "switchyard_log_records_lost_total",
            "counter",
            "Records of the request log that found no room.",
            "\(control.state.recordsLost)"
        )
        single(
            "switchyard_log_failing",
            "gauge",
            "Whether the request log cannot be written.",
            control.state.isLogFailing ? "1" : "0"
        )
    }

    private mutating func processMetrics(_ control: HostControl) {
        let usage = CurrentProcess.usage()
        single(
            "process_cpu_seconds_total",
            "counter",
            "Processor time of the process.",
            Self.seconds(usage.cpuNanoseconds)
        )
        single(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory of the process.",
            "\(usage.residentBytes)"
        )
        single("process_open_fds", "gauge", "Open descriptors.", "\(usage.descriptors)")
        single(
            "process_max_fds",
            "gauge",
            "Descriptors that may be open.",
            "\(usage.descriptorsMaximum)"
        )
        single("process_threads", "gauge", "Threads of the process.", "\(usage.threads)")
        single(
            "process_start_time_seconds",
            "gauge",
            "When the host was started, since 1970.",
            "\(Double(control.startedAt.microseconds) / 1e6)"
        )
    }
}
