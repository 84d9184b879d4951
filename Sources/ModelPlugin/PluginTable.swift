// The contract's side of a Swift model: the table of C functions, and what stands behind them.

import CModelABI

/// The address of the host's table, as a number, so that a model's own file needs no unsafe code.
public typealias HostAddress = UInt
/// The address of the plugin's table, as a number.
public typealias PluginAddress = UInt

extension Model {
    /// The plugin's table for this model. The one exported line of a plugin returns it:
    ///
    ///     @c(model_plugin_entry)
    ///     public func entry(_ host: HostAddress) -> PluginAddress { MyModel.plugin(for: host) }
    public static func plugin(for host: HostAddress) -> PluginAddress {
        unsafe PluginTable.make(host, ModelFactory(Self.self))
    }
}

/// Makes boxes of one type of model; erases the type, which C functions cannot carry.
struct ModelFactory: Sendable {
    let description: String
    /// What `model.tensors/1` says of itself; nil: the model takes no tensors.
    let tensors: String?
    let make: @Sendable (ModelContext) throws -> ModelBox

    init<M: Model>(_ type: M.Type) {
        description = type.description.json
        tensors = nil
        make = { context in TypedModelBox(try M(context)) }
    }

    init<M: TensorModel>(tensors type: M.Type) {
        description = type.description.json
        tensors = type.tensorsText
        make = { context in TensorModelBox(try M(context)) }
    }
}

/// A model behind a C pointer.
class ModelBox {
    func predict(_ call: borrowing ModelCall, _ result: inout ModelResult) throws {}
    func predict(_ call: borrowing TensorCall, _ result: inout TensorOutputs) throws {}
    /// The tensors that it gives.
    var outputs: [TensorDeclaration] { [] }
}

private final class TypedModelBox<M: Model>: ModelBox {
    private let model: M

    init(_ model: M) { self.model = model }

    override func predict(_ call: borrowing ModelCall, _ result: inout ModelResult) throws {
        try model.predict(call, into: &result)
    }
}

private final class TensorModelBox<M: TensorModel>: ModelBox {
    private let model: M
    private let declared = M.tensors.outputs

    init(_ model: M) { self.model = model }

    override var outputs: [TensorDeclaration] { declared }

    override func predict(_ call: borrowing ModelCall, _ result: inout ModelResult) throws {
        try model.predict(call, into: &result)
    }

    override func predict(_ call: borrowing TensorCall, _ result: inout TensorOutputs) throws {
        try model.predict(call, into: &result)
    }
}

/// The plugin's tables and the values behind them.
///
/// SAFETY: `make` runs once per process, on the host's load thread, before any other function of
/// the table, and is the only writer of `host` and `factory`. The tables and descriptions are
/// written there and never freed, as the contract wants. An instance pointer is a retained
/// `ModelBox`: retained in `create`, released in `destroy`, lent without counting in `predict`.
@unsafe
enum PluginTable {
    nonisolated(unsafe) static var host: UnsafePointer<model_host>?
    nonisolated(unsafe) static var factory: ModelFactory?
    nonisolated(unsafe) static var description: UnsafeMutablePointer<CChar>?
    nonisolated(unsafe) static var tensorsDescription: UnsafeMutablePointer<CChar>?
    nonisolated(unsafe) static var tensors: UnsafeMutablePointer<model_tensors>?

    static func make(_ address: HostAddress, _ factory: ModelFactory) -> PluginAddress {
        unsafe host = UnsafePointer(bitPattern: address)
        unsafe self.factory = factory
        unsafe description = copy(factory.description)
        if let text = factory.tensors { unsafe makeTensors(text) }
        let table = UnsafeMutablePointer<model_plugin>.allocate(capacity: 1)
        unsafe table.initialize(
            to: model_plugin(
                size: UInt32(MemoryLayout<model_plugin>.size),
                major: MODEL_ABI_MAJOR,
                minor: MODEL_ABI_MINOR,
                reserved: 0,
                describe: { unsafe UnsafePointer(PluginTable.description) },
                create: { arguments, failure in unsafe PluginTable.create(arguments, failure) },
                predict: { instance, call, writer in
                    unsafe PluginTable.predict(instance, call, writer)
                },
                predict_batch: nil,
                health: nil,
                destroy: { instance in unsafe PluginTable.destroy(instance) },
                extension: { id in
                    guard let id = unsafe id, unsafe String(cString: id) == MODEL_TENSORS else {
                        return nil
                    }
                    return unsafe UnsafeRawPointer(PluginTable.tensors)
                }
            )
        )
        return PluginAddress(bitPattern: table)
    }

    /// A terminated copy that is there for good.
    private static func copy(_ text: String) -> UnsafeMutablePointer<CChar> {
        let characters = Array(text.utf8CString)
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: characters.count)
        for (index, character) in characters.enumerated() {
            unsafe (copy + index).initialize(to: character)
        }
        return unsafe copy
    }

    private static func makeTensors(_ text: String) {
        unsafe tensorsDescription = copy(text)
        let table = UnsafeMutablePointer<model_tensors>.allocate(capacity: 1)
        unsafe table.initialize(
            to: model_tensors(
                size: UInt32(MemoryLayout<model_tensors>.size),
                reserved: 0,
                describe: { unsafe UnsafePointer(PluginTable.tensorsDescription) },
                predict: { instance, call, inputs, count, writer in
                    unsafe PluginTable.predict(instance, call, inputs, count, writer)
                }
            )
        )
        unsafe tensors = table
    }

    private static func create(
        _ arguments: UnsafePointer<model_create>?,
        _ failure: UnsafeMutablePointer<model_writer>?
    ) -> OpaquePointer? {
        guard let arguments = unsafe arguments?.pointee, let factory = unsafe factory else {
            return nil
        }
        let settings = unsafe UnsafeRawBufferPointer(
            start: arguments.settings,
            count: arguments.settings_length
        )
        let context = unsafe ModelContext(
            name: String(cString: arguments.name),
            version: Int(arguments.version),
            settings: String(decoding: settings, as: UTF8.self),
            resources: String(cString: arguments.resources),
            log: ModelLog(source: UInt(bitPattern: arguments.source))
        )
        do {
            let box = try factory.make(context)
            return unsafe OpaquePointer(Unmanaged.passRetained(box).toOpaque())
        } catch {
            if let failure = unsafe failure {
                var result = unsafe ModelResult(failure)
                result.fail("\(error)")
            }
            return nil
        }
    }

    private static func predict(
        _ instance: OpaquePointer?,
        _ call: UnsafePointer<model_call>?,
        _ writer: UnsafeMutablePointer<model_writer>?
    ) -> model_status {
        guard let instance = unsafe instance, let call = unsafe call, let writer = unsafe writer
        else { return MODEL_INTERNAL }
        let reference = unsafe Unmanaged<ModelBox>.fromOpaque(UnsafeRawPointer(instance))
        return unsafe reference._withUnsafeGuaranteedRef { box in
            let row = unsafe ModelCall(call)
            var result = unsafe ModelResult(writer)
            do {
                try box.predict(row, &result)
                return MODEL_OK
            } catch let error as ModelError {
                result.fail(error.description)
                return model_status(rawValue: UInt32(error.status))
            } catch {
                result.fail("\(error)")
                return MODEL_INTERNAL
            }
        }
    }

    private static func predict(
        _ instance: OpaquePointer?,
        _ call: UnsafePointer<model_call>?,
        _ inputs: UnsafePointer<model_tensor>?,
        _ count: Int,
        _ writer: UnsafeMutablePointer<model_tensor_writer>?
    ) -> model_status {
        guard let instance = unsafe instance, let call = unsafe call, let writer = unsafe writer
        else { return MODEL_INTERNAL }
        let reference = unsafe Unmanaged<ModelBox>.fromOpaque(UnsafeRawPointer(instance))
        return unsafe reference._withUnsafeGuaranteedRef { box in
            let tensors = unsafe TensorCall(call, UnsafeBufferPointer(start: inputs, count: count))
            var outputs = unsafe TensorOutputs(writer, box.outputs)
            do {
                try box.predict(tensors, &outputs)
                return MODEL_OK
            } catch let error as ModelError {
                outputs.fail(error.description)
                return model_status(rawValue: UInt32(error.status))
            } catch {
                outputs.fail("\(error)")
                return MODEL_INTERNAL
            }
        }
    }

    private static func destroy(_ instance: OpaquePointer?) {
        guard let instance = unsafe instance else { return }
        unsafe Unmanaged<ModelBox>.fromOpaque(UnsafeRawPointer(instance)).release()
    }
}

/// Writes lines into the host's event log, marked with the deployment and version they are from.
public struct ModelLog: Sendable {
    let source: UInt

    /// For the author, while looking for a fault.
    public func debug(_ text: String) { write(MODEL_LOG_DEBUG, text) }
    /// Worth knowing.
    public func info(_ text: String) { write(MODEL_LOG_INFO, text) }
    /// Something is odd, but answers go on.
    public func warning(_ text: String) { write(MODEL_LOG_WARNING, text) }
    /// Something is broken.
    public func error(_ text: String) { write(MODEL_LOG_ERROR, text) }

    private func write(_ level: model_log_level, _ text: String) {
        var text = text
        text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                guard let host = unsafe PluginTable.host else { return }
                unsafe host.pointee.log(
                    UnsafeRawPointer(bitPattern: source),
                    level,
                    characters.baseAddress,
                    characters.count
                )
            }
        }
    }
}
