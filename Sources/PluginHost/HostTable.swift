// What the host shows to plugins: one constant table, and the log behind it.

import CModelABI

/// How much a plugin's log line matters.
package enum PluginLogLevel: Int32, Sendable {
    case debug = 0
    case info, warning, error
}

/// Where the log lines of plugins go.
package typealias PluginLogSink =
    @Sendable (_ level: PluginLogLevel, _ source: String, _ text: String) -> Void

/// Who a log line is from. Its address is what a plugin passes back as `source`.
final class LogSource: Sendable {
    let name: String
    let sink: PluginLogSink

    init(name: String, sink: @escaping PluginLogSink) {
        self.name = name
        self.sink = sink
    }
}

/// The host's table.
///
/// SAFETY: the memory is written once, before the first plugin sees it, and never again; it is
/// never freed, since a plugin may keep the pointer for as long as the process lives.
@safe
struct HostTable: @unchecked Sendable {
    static let shared = HostTable()
    let pointer: UnsafePointer<model_host>

    /// Log lines longer than this are cut.
    static let logBytesMaximum = 8192

    private init() {
        let table = UnsafeMutablePointer<model_host>.allocate(capacity: 1)
        unsafe table.initialize(
            to: model_host(
                size: UInt32(MemoryLayout<model_host>.size),
                major: ContractVersion.major,
                minor: ContractVersion.minor,
                reserved: 0,
                name: Self.text("switchyard"),
                version: Self.text("1"),
                log: { source, level, text, length in
                    unsafe HostTable.log(source, level, text, length)
                },
                extension: { _ in nil }
            )
        )
        unsafe pointer = UnsafePointer(table)
    }

    /// A terminated text that lives as long as the process.
    private static func text(_ string: String) -> UnsafePointer<CChar> {
        let characters = Array(string.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: characters.count)
        for (index, character) in characters.enumerated() {
            unsafe (copy + index).initialize(to: character)
        }
        return unsafe UnsafePointer(copy)
    }

    private static func log(
        _ source: UnsafeRawPointer?,
        _ level: model_log_level,
        _ text: UnsafePointer<CChar>?,
        _ length: Int
    ) {
        // Without a source nobody knows whose line it is; instances always have one.
        guard let source = unsafe source, let text = unsafe text else { return }
        let owner = unsafe Unmanaged<LogSource>.fromOpaque(source).takeUnretainedValue()
        let bytes = unsafe UnsafeRawBufferPointer(
            start: text,
            count: min(max(length, 0), logBytesMaximum)
        )
        let line = unsafe String(decoding: bytes, as: UTF8.self)
        owner.sink(
            PluginLogLevel(rawValue: Int32(truncatingIfNeeded: level.rawValue)) ?? .error,
            owner.name,
            line
        )
    }
}
