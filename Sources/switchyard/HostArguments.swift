import Admin
import Bytes
import Platform
import Serving

/// What the options of `serve` say, for a host alone, a supervisor and its workers.
struct HostArguments: Sendable {
    let configuration: ServerConfiguration
    let admin: AdminConfiguration
    /// Whether it reloads by itself.
    let watches: Bool
    /// Whether a second worker is kept loaded.
    let keepsStandby: Bool
    /// Bytes that a worker may have; 0: no limit.
    let workerMemoryBytes: UInt64
    /// Whether a process that dies may write a core.
    let allowsCoreDumps: Bool

    init(_ arguments: Arguments) throws(UsageError) {
        configuration = try Self.configuration(arguments)
        admin = try Self.admin(arguments, state: configuration.state)
        watches = arguments.has("watch")
        keepsStandby = arguments.has("standby")
        allowsCoreDumps = arguments.has("core-dumps")
        let memory = try arguments.number("worker-memory", 64...1 << 24) ?? 0
        workerMemoryBytes = UInt64(memory) << 20
        if arguments.has("no-supervisor") {
            for name in ["standby", "worker-memory"] where arguments.has(name) {
                throw UsageError("'--\(name)' is of no use with '--no-supervisor'; leave one out")
            }
        }
    }

    /// Reads those of the host itself.
    private static func configuration(
        _ arguments: Arguments
    ) throws(UsageError) -> ServerConfiguration {
        var configuration = ServerConfiguration()
        configuration.endpoints = arguments.value("endpoints") ?? configuration.endpoints
        configuration.deployments = arguments.value("deployments") ?? configuration.deployments
        configuration.logs = arguments.value("logs") ?? configuration.logs
        configuration.state = arguments.value("state") ?? configuration.state
        configuration.listen = try arguments.addresses("listen")
        if !arguments.has("listen") { configuration.listen = [.ipv4(0x7f00_0001, port: 8080)] }
        configuration.loops = try arguments.number("loops", 1...256) ?? configuration.loops
        switch arguments.value("log-data") {
        case nil, "none": break
        case "full": configuration.logsPayloads = true
        case let other?: throw UsageError("'--log-data \(other)': wanted full or none")
        }
        try takeLog(arguments, &configuration)
        for text in arguments.all("limit") {
            do {
                try NamedLimit.set(text, in: &configuration.limits)
            } catch {
                throw UsageError("'--limit' \(error)")
            }
        }
        configuration.allowsForcing = !arguments.has("no-force")
        configuration.isStrict = arguments.has("strict")
        if let rule = arguments.value("quarantine") {
            let words = rule.split(separator: "/", omittingEmptySubsequences: false)
            let numbers = words.compactMap { Bytes.decimal($0.utf8).flatMap { Int(exactly: $0) } }
            guard words.count == 2, numbers.count == 2, (1...1000).contains(numbers[0]),
                (1...86_400).contains(numbers[1])
            else {
                throw UsageError("'--quarantine \(rule)': wanted DEATHS/SECONDS, such as 3/60")
            }
            (configuration.quarantine.deaths, configuration.quarantine.seconds) =
                (numbers[0], numbers[1])
        }
        if let images = try arguments.number("recycle-images", 1...1_000_000) {
            configuration.recycleImages = images
        }
        if let memory = try arguments.number("recycle-memory", 64...1 << 24) {
            configuration.recycleBytes = memory << 20
        }
        if let settle = try arguments.number("settle", 0...600_000) {
            configuration.settleNanoseconds = UInt64(settle) * 1_000_000
        }
        if let drain = try arguments.number("drain", 0...86_400) {
            configuration.drainNanoseconds = UInt64(drain) * 1_000_000_000
        }
        try requireSettled(arguments, &configuration)
        if let grace = try arguments.number("grace", 0...86_400) {
            configuration.graceNanoseconds = UInt64(grace) * 1_000_000_000
        }
        if let ring = try arguments.number("ring", 1...4096) {
            configuration.ringBytes = ring << 20
        }
        return configuration
    }

    /// Reads what becomes of log files.
    private static func takeLog(
        _ arguments: Arguments,
        _ configuration: inout ServerConfiguration
    ) throws(UsageError) {
        if let size = try arguments.number("log-file-size", 1...1 << 20) {
            configuration.logFileBytes = size << 20
        }
        if let hours = try arguments.number("log-file-age", 1...100_000) {
            configuration.logFileNanoseconds = UInt64(hours) * 3_600_000_000_000
        }
        if let text = arguments.value("log-keep") {
            guard let keep = LogKeep(text) else {
                throw UsageError(
                    "'--log-keep \(text)': wanted a number of files such as 200, a size such as "
                        + "50GB or days such as 30d"
                )
            }
            configuration.logKeep = keep
        }
    }

    /// Settling is a part of draining: what comes behind it needs time too. A default gives way.
    private static func requireSettled(
        _ arguments: Arguments,
        _ configuration: inout ServerConfiguration
    ) throws(UsageError) {
        let (settle, drain) = (configuration.settleNanoseconds, configuration.drainNanoseconds)
        guard settle >= drain, settle > 0 else { return }
        guard !arguments.has("settle") else {
            throw UsageError(
                "'--settle' is \(settle / 1_000_000) ms and '--drain' \(drain / 1_000_000_000) s; "
                    + "wanted a shorter '--settle': draining counts from its beginning"
            )
        }
        configuration.settleNanoseconds = drain / 2
    }

    /// Reads the options about admins.
    private static func admin(
        _ arguments: Arguments,
        state: String
    ) throws(UsageError) -> AdminConfiguration {
        var admin = AdminConfiguration(state: state)
        admin.listen = try arguments.addresses("admin-listen")
        admin.metricsListen = try arguments.addresses("metrics-listen")
        admin.keyFile = arguments.value("admin-key-file")
        return admin
    }
}
