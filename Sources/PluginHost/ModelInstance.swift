// A live model, made by a plugin.

import CModelABI
package import JSON
import Platform

/// A model that answers.
///
/// SAFETY: `instance` is the plugin's own pointer, constant from `create` to `destroy`. The
/// contract allows `predict` from several threads for a concurrent model; a serial one is asked by
/// the one thread of its pool, after its warm-up has ended. `destroy` is called once: by
/// `destroy()`, after its owner has seen the last call return, warm-up and health included, or by
/// `deinit`, when nobody can call any more.
@safe
package final class ModelInstance: @unchecked Sendable {
    /// What made it.
    package let plugin: Plugin
    let instance: OpaquePointer
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
    ///   - turnNanoseconds: how long it waits for another `create`, `health` or `destroy` of the
    ///     plugin.
    package init(
        plugin: Plugin,
        name: String,
        version: Int,
        settings: String,
        resources: String,
        log: @escaping PluginLogSink,
        turnNanoseconds: UInt64 = 30_000_000_000
    ) throws(PluginError) {
        self.plugin = plugin
        let source = LogSource(name: "\(name)/\(version)", sink: log)
        self.source = source
        let frame = CallFrame()
        var writer = unsafe frame.makeWriter()
        let made = unsafe withExtendedLifetime((frame, source)) {
            unsafe plugin.inTurn(nanoseconds: turnNanoseconds) {
                unsafe Self.create(plugin, name, version, settings, resources, source, &writer)
            }
        }
        guard let made = unsafe made ?? nil else {
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
    ///
    /// False: another function of the plugin, which may not run at the same time, has not come back
    /// for a second; then nothing was done.
    @discardableResult
    package func destroy() -> Bool {
        let isFirst = destroyed.withLock { done in
            defer { done = true }
            return !done
        }
        guard isFirst else { return true }
        let end: Void? = plugin.inTurn(nanoseconds: 1_000_000_000) {
            unsafe plugin.table.destroy?(instance)
        }
        if end == nil { destroyed.withLock { $0 = false } }
        return end != nil
    }

    /// Whether the plugin can say how an instance is.
    package var knowsItsHealth: Bool { unsafe plugin.table.health != nil }

    /// Asks the instance whether it can answer.
    package func askHealth() -> HealthAnswer {
        plugin.inTurn(nanoseconds: 0) {
            let frame = CallFrame()
            var writer = unsafe frame.makeWriter()
            let code = unsafe plugin.table.health?(instance, &writer) ?? MODEL_OK
            guard code != MODEL_OK else { return .fine }
            return .ill(frame.message.isEmpty ? "the model gives no reason" : frame.message)
        } ?? .busy
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
    ///   - cancellation: what tells the model that nobody waits any more; nil: only the deadline.
    ///   - frame: the caller's own.
    package func predict(
        _ values: Span<JSONReference>,
        in text: Span<UInt8>,
        requestID: Span<UInt8>,
        deadline: UInt64,
        cancellation: Cancellation? = nil,
        frame: CallFrame
    ) -> PredictionEnd {
        var writer = unsafe frame.makeWriter()
        var beyond: Int?
        let code = unsafe text.withUnsafeBytes { bytes in
            unsafe requestID.withUnsafeBytes { id in
                beyond = unsafe frame.fill(values, bytes)
                guard beyond == nil else { return MODEL_INVALID_INPUT }
                return withExtendedLifetime(cancellation) {
                    var call = unsafe HostCall(
                        frame.values,
                        values.count,
                        id,
                        deadline,
                        cancellation
                    )
                    return unsafe withUnsafePointer(to: &call) { call in
                        unsafe plugin.table.predict?(instance, HostCall.contract(call), &writer)
                            ?? MODEL_INTERNAL
                    }
                }
            }
        }
        if let beyond {
            return .unreadable(beyond)
        }
        return Self.end(code, frame)
    }

    /// Whether the model takes several rows at once.
    package var takesBatches: Bool { unsafe plugin.table.predict_batch != nil }

    /// Scores several rows at once; the result of row `i` is in frame `i` afterwards.
    ///
    /// - Parameters:
    ///   - rows: what is asked; at most as many as there are frames.
    ///   - values: the inputs of all rows, as places in `text`.
    ///   - text: what the rows' places are in; stays in place during the call.
    ///   - frames: the caller's own, one a row.
    package func predict(
        _ rows: [BatchRow],
        of values: Span<JSONReference>,
        in text: Span<UInt8>,
        frames: [CallFrame]
    ) -> [PredictionEnd] {
        precondition(rows.count <= frames.count, "a frame for every row")
        var ends = [PredictionEnd](repeating: .failed(.internalError, ""), count: rows.count)
        var asked: [Int] = []
        unsafe text.withUnsafeBytes { bytes in
            var writers: [model_writer] = unsafe []
            var calls: [HostCall] = unsafe []
            for index in rows.indices {
                let (row, frame) = (rows[index], frames[index])
                let writer = unsafe frame.makeWriter()
                if let beyond = unsafe frame.fill(values.extracting(row.values), bytes) {
                    ends[index] = .unreadable(beyond)
                    continue
                }
                let id = unsafe UnsafeRawBufferPointer(rebasing: bytes[row.requestID])
                asked.append(index)
                unsafe writers.append(writer)
                unsafe calls.append(
                    HostCall(frame.values, row.values.count, id, row.deadline, row.cancellation)
                )
            }
            let codes = unsafe askTogether(&calls, &writers)
            for (place, index) in asked.enumerated() {
                ends[index] = Self.end(codes[place], frames[index])
            }
        }
        return ends
    }

    private func askTogether(
        _ calls: inout [HostCall],
        _ writers: inout [model_writer]
    ) -> [model_status] {
        let count = unsafe calls.count
        var statuses = [model_status](repeating: MODEL_INTERNAL, count: count)
        guard count > 0 else { return statuses }
        unsafe calls.withUnsafeBufferPointer { calls in
            unsafe writers.withUnsafeMutableBufferPointer { writers in
                guard let firstCall = calls.baseAddress, let firstWriter = writers.baseAddress
                else { return }
                let callPlaces = unsafe (0..<count).map { unsafe HostCall.contract(firstCall + $0) }
                let writerPlaces = unsafe (0..<count).map {
                    unsafe Optional(firstWriter + $0)
                }
                unsafe plugin.table.predict_batch?(
                    instance,
                    callPlaces,
                    writerPlaces,
                    &statuses,
                    count
                )
            }
        }
        return statuses
    }

    /// How a row ended whose model has returned this.
    private static func end(_ code: model_status, _ frame: CallFrame) -> PredictionEnd {
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

/// What an instance says of its health.
package enum HealthAnswer: Equatable, Sendable {
    case fine
    /// It cannot answer; why, as a sentence.
    case ill(String)
    /// It was not asked: another function of its plugin runs, which has its turn alone.
    case busy
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
