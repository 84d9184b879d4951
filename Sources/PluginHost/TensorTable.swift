// The plugin's side of `model.tensors/1`, checked.

import CModelABI
import Platform

/// The functions with which a plugin takes tensors as they are.
///
/// SAFETY: `table` is a copy, made once while the plugin is opened; its functions belong to a
/// library that is never closed.
@safe
struct TensorTable: @unchecked Sendable {
    /// The JSON text that its `describe` returned.
    let description: [UInt8]
    let table: model_tensors

    /// Asks a plugin for its table; nil: it has none.
    static func ask(
        _ plugin: model_plugin,
        _ file: ELFFile
    ) throws(PluginError) -> TensorTable? {
        guard let given = unsafe plugin.extension?(MODEL_TENSORS) else { return nil }
        let pointer = unsafe given.assumingMemoryBound(to: model_tensors.self)
        let isWhole = unsafe Int(pointer.pointee.size) >= MemoryLayout<model_tensors>.size
        guard isWhole, let describe = unsafe pointer.pointee.describe,
            unsafe pointer.pointee.predict != nil
        else {
            throw file.refuse(
                "an incomplete table for model.tensors/1",
                wanted: "its size, describe and predict",
                "fill in the table that extension(\"model.tensors/1\") returns"
            )
        }
        return unsafe TensorTable(
            description: try Plugin.text(describe(), of: "model.tensors/1", file),
            table: pointer.pointee
        )
    }
}

extension ModelInstance {
    /// Whether the model takes tensors as they are.
    package var takesTensors: Bool { plugin.tensors != nil }

    /// Asks the model with tensors; its outputs are in the frame afterwards.
    ///
    /// - Parameters:
    ///   - inputs: the tensors, in the order of the declaration.
    ///   - body: what their places are in; stays in place during the call.
    ///   - requestID: the request's id.
    ///   - deadline: monotonic nanoseconds; 0: none.
    ///   - cancellation: what tells the model that nobody waits any more; nil: only the deadline.
    ///   - frame: the caller's own.
    package func predict(
        _ inputs: TensorInputs,
        in body: Span<UInt8>,
        requestID: Span<UInt8>,
        deadline: UInt64,
        cancellation: Cancellation? = nil,
        frame: TensorFrame
    ) -> PredictionEnd {
        guard let tensors = plugin.tensors else {
            return .failed(.unsupported, "the model takes no tensors")
        }
        var writer = unsafe frame.makeWriter()
        let code = unsafe body.withUnsafeBytes { bytes in
            unsafe requestID.withUnsafeBytes { id in
                unsafe frame.withTensors(inputs, in: bytes) { tensor, count in
                    withExtendedLifetime((cancellation, frame)) {
                        var call = unsafe HostCall(nil, 0, id, deadline, cancellation)
                        return unsafe withUnsafePointer(to: &call) { call in
                            unsafe tensors.table.predict?(
                                instance,
                                HostCall.contract(call),
                                tensor,
                                count,
                                &writer
                            ) ?? MODEL_INTERNAL
                        }
                    }
                }
            }
        }
        let status = ModelStatus(rawValue: Int32(bitPattern: code.rawValue)) ?? .internalError
        guard status != .ok else { return .answered }
        let message = frame.message.isEmpty ? "the model gave no reason" : frame.message
        return .failed(status, message)
    }
}
