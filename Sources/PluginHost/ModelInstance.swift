// A live model, made by a plugin.

import CModelABI
package import JSON
import Platform

/// A model that answers.
///
/// SAFETY: `instance` is the plugin's own pointer, constant from `create` to `destroy`. The
/// contract allows `predict` from several threads for a concurrent model, and only those are loaded
/// for loops; `destroy` is called once, by `destroy()`, after its owner has seen the last call
/// return, or by `deinit`, when nobody can call any more.
@safe
package final class ModelInstance: @unchecked Sendable {
    /// What made it.
    package let plugin: Plugin
    private let instance: OpaquePointer
    private let source: LogSource
    private let destroyed = Guarded<Bool>(false)

    /// Makes an instance; runs the plugin's `create`.
    ///
    /// - Parameters:
    ///   - plugin: what makes it.
    ///   - name: the deployment's name.
    ///   - version: the version's number.
    ///   - settings: JSON text; `{}` when there are none.
    ///   - resources: the folder of the version's resources; empty when there are none.
    ///   - log: where the instance's log lines go.
    package init(
        plugin: Plugin,
        name: String,
        version: Int,
        settings: String,
        resources: String,
        log: @escaping PluginLogSink
    ) throws(PluginError) {
        self.plugin = plugin
        let source = LogSource(name: "\(name)/\(version)", sink: log)
        self.source = source
        let frame = CallFrame()
        var writer = unsafe frame.makeWriter()
        let made = unsafe withExtendedLifetime((frame, source)) {
            unsafe Self.create(plugin, name, version, settings, resources, source, &writer)
        }
        guard let made = unsafe made else {
            let reason = frame.message.isEmpty ? "no reason" : "the reason '\(frame.message)'"
            throw PluginError(
                file: plugin.path,
                found: "a create() that returned NULL with \(reason)",
                wanted: "an instance of \(name) version \(version)",
                advice: "check its settings and resources"
            )
        }
        unsafe instance = unsafe made
    }

    deinit {
        destroy()
    }

    private static func create(
        _ plugin: Plugin,
        _ name: String,
        _ version: Int,
        _ settings: String,
        _ resources: String,
        _ source: LogSource,
        _ writer: inout model_writer
    ) -> OpaquePointer? {
        unsafe name.withCString { nameText in
            unsafe settings.withCString { settingsText in
                unsafe resources.withCString { resourcesText in
                    var arguments = unsafe model_create(
                        size: UInt32(MemoryLayout<model_create>.size),
                        version: UInt32(clamping: version),
                        name: nameText,
                        settings: settingsText,
                        settings_length: settings.utf8.count,
                        resources: resourcesText,
                        source: Unmanaged.passUnretained(source).toOpaque()
                    )
                    return unsafe plugin.table.create?(&arguments, &writer)
                }
            }
        }
    }

    /// Ends the instance: runs the plugin's `destroy`, once. No call may be running or follow.
    package func destroy() {
        let isFirst = destroyed.withLock { done in
            defer { done = true }
            return !done
        }
        if isFirst { unsafe plugin.table.destroy?(instance) }
    }

    /// Scores one row.
    ///
    /// The result is in the frame afterwards. A model that returns OK without exactly one result
    /// has failed; the frame's message says so.
    ///
    /// - Parameters:
    ///   - values: the inputs, as places in `text`.
    ///   - text: the request's body; stays in place during the call.
    ///   - requestID: the request's id.
    ///   - deadline: monotonic nanoseconds; 0: none.
    ///   - frame: the caller's own.
    package func predict(
        _ values: [JSONReference],
        in text: Span<UInt8>,
        requestID: Span<UInt8>,
        deadline: UInt64,
        frame: CallFrame
    ) -> PredictionEnd {
        var writer = unsafe frame.makeWriter()
        var beyond: Int?
        let code = unsafe text.withUnsafeBytes { bytes in
            unsafe requestID.withUnsafeBytes { id in
                beyond = unsafe frame.fill(values, bytes)
                guard beyond == nil else { return MODEL_INVALID_INPUT }
                var call = unsafe model_call(
                    size: UInt32(MemoryLayout<model_call>.size),
                    value_count: UInt32(values.count),
                    values: frame.values,
                    request_id: id.baseAddress?.assumingMemoryBound(to: CChar.self),
                    request_id_length: id.count,
                    deadline_ns: deadline,
                    cancelled: { _ in false }
                )
                return unsafe plugin.table.predict?(instance, &call, &writer) ?? MODEL_INTERNAL
            }
        }
        if let beyond {
            return .unreadable(beyond)
        }
        let status = ModelStatus(rawValue: Int32(bitPattern: code.rawValue)) ?? .internalError
        guard status == .ok else {
            let message = frame.message.isEmpty ? "the model gave no reason" : frame.message
            return .failed(status, message)
        }
        switch frame.written {
        case .number, .json: return .answered
        case .nothing:
            return .failed(
                .internalError,
                frame.message.isEmpty
                    ? "the model returned OK but wrote no result" : frame.message
            )
        case .tooOften:
            return .failed(.internalError, "the model wrote more than one result for one row")
        }
    }
}

/// How one call ended.
package enum PredictionEnd: Equatable {
    /// The result is in the frame.
    case answered
    /// The model was not asked: the number at this position is beyond what a double holds.
    case unreadable(Int)
    /// There is no result; why, as a sentence.
    case failed(ModelStatus, String)
}
