// For models that take tensors as they are: no JSON is written or read between the client's bytes
// and the model's loop. Everything else that asks the model does so with `predict` as ever.

import CModelABI
import JSON

/// The type of a tensor's elements.
public enum TensorType: UInt32, Sendable {
    case bool = 1
    case uint8, uint16, uint32, uint64
    case int8, int16, int32, int64
    case fp16, bf16, fp32, fp64
    /// Bytes of any number, each with their count in four bytes before them.
    case bytes

    /// The name that clients use.
    var name: String { "\(self)".uppercased() }
}

/// What a model says of one tensor.
public struct TensorDeclaration: Sendable {
    let name: String
    let type: TensorType
    let shape: [Int]

    /// A tensor.
    ///
    /// - Parameters:
    ///   - name: what clients call it.
    ///   - type: the type of its elements.
    ///   - shape: its sizes; -1 stands for any.
    public init(_ name: String, _ type: TensorType, shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
    }

    var json: JSONValue {
        .object([
            .init("name", .string(name)), .init("datatype", .string(type.name)),
            .init("shape", .array(shape.map { .number("\($0)") })),
        ])
    }
}

/// A model that takes tensors as they are, where a request has some.
public protocol TensorModel: Model {
    /// The tensors that it takes, and those that it gives.
    static var tensors: (inputs: [TensorDeclaration], outputs: [TensorDeclaration]) { get }

    /// Answers one call: reads the inputs from `call` and writes every output once.
    ///
    /// The host has checked names, types and shapes against the declaration.
    func predict(_ call: borrowing TensorCall, into result: inout TensorOutputs) throws
}

extension TensorModel {
    /// The plugin's table for this model; see `Model.plugin(for:)`.
    public static func plugin(for host: HostAddress) -> PluginAddress {
        unsafe PluginTable.make(host, ModelFactory(tensors: Self.self))
    }

    /// The JSON text that `describe` of `model.tensors/1` returns.
    static var tensorsText: String {
        JSONValue.object([
            .init("inputs", .array(tensors.inputs.map(\.json))),
            .init("outputs", .array(tensors.outputs.map(\.json))),
        ]).text
    }
}

/// The tensors of one call, in the order of the declaration.
///
/// SAFETY: the pointers are the host's, valid until `predict` returns; a `TensorCall` exists only
/// as a borrowed argument of it and cannot be copied. The host aligns data to 16 bytes and says how
/// many there are; every span is made from that number.
@safe
public struct TensorCall: ~Copyable {
    private let tensors: UnsafeBufferPointer<model_tensor>
    private let call: UnsafePointer<model_call>

    init(_ call: UnsafePointer<model_call>, _ tensors: UnsafeBufferPointer<model_tensor>) {
        unsafe self.call = unsafe call
        unsafe self.tensors = unsafe tensors
    }

    /// How many tensors there are.
    public var count: Int { unsafe tensors.count }

    private func tensor(_ position: Int) -> model_tensor {
        precondition(position >= 0 && position < count, "there is no input \(position)")
        return unsafe tensors[position]
    }

    /// The sizes of an input.
    public func shape(of position: Int) -> [Int] {
        let tensor = unsafe tensor(position)
        return (0..<Int(unsafe tensor.rank)).map { Int(unsafe tensor.shape[$0]) }
    }

    /// Lends the elements of an input, row by row; `Element` has the size of the declared type.
    public func withElements<Element: BitwiseCopyable, R>(
        of position: Int,
        as type: Element.Type,
        _ body: (Span<Element>) throws -> R
    ) rethrows -> R {
        let tensor = unsafe tensor(position)
        let bytes = unsafe UnsafeRawBufferPointer(start: tensor.data, count: tensor.bytes)
        precondition(bytes.count % MemoryLayout<Element>.stride == 0, "the elements have this size")
        return unsafe try body(Span(_unsafeBytes: bytes))
    }

    /// When an answer is of no use any more, in nanoseconds of the monotonic clock; nil: never.
    public var deadlineNanoseconds: UInt64? {
        let deadline = unsafe call.pointee.deadline_ns
        return deadline == 0 ? nil : deadline
    }
}

/// The place for the outputs of one call.
///
/// SAFETY: the pointer is the host's `model_tensor_writer`, valid until `predict` returns. What it
/// hands out has the bytes that were asked for, aligned to 16, and is lent to one closure.
@safe
public struct TensorOutputs: ~Copyable {
    private let writer: UnsafeMutablePointer<model_tensor_writer>
    private let declared: [TensorDeclaration]

    init(_ writer: UnsafeMutablePointer<model_tensor_writer>, _ declared: [TensorDeclaration]) {
        unsafe self.writer = unsafe writer
        self.declared = declared
    }

    /// Writes an output in place.
    ///
    /// - Parameters:
    ///   - position: its place in the declaration.
    ///   - shape: its sizes.
    ///   - type: has the size of the declared type.
    ///   - body: sets every element; they are zeros before.
    public mutating func write<Element: BitwiseCopyable>(
        _ position: Int,
        shape: [Int],
        as type: Element.Type,
        _ body: (inout MutableSpan<Element>) throws -> Void
    ) throws {
        guard declared.indices.contains(position) else {
            throw ModelError.failed("the model declares no output \(position)")
        }
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, product >= 0, product <= 1 << 31 else {
                throw ModelError.failed("an output of shape \(shape) is beyond all bounds")
            }
            count = product
        }
        let declaration = declared[position]
        let sizes = shape.map { Int64($0) }
        var name = declaration.name
        let bytes = count * MemoryLayout<Element>.stride
        let space = name.withUTF8 { text in
            unsafe text.withMemoryRebound(to: CChar.self) { characters in
                unsafe sizes.withUnsafeBufferPointer { sizes in
                    unsafe writer.pointee.output(
                        writer,
                        characters.baseAddress,
                        characters.count,
                        declaration.type.rawValue,
                        sizes.baseAddress,
                        UInt32(sizes.count),
                        bytes
                    )
                }
            }
        }
        guard let space = unsafe space else {
            throw ModelError.failed("the host has no room for an output of \(bytes) bytes")
        }
        var elements = unsafe MutableSpan<Element>(
            _unsafeStart: space.assumingMemoryBound(to: Element.self),
            count: count
        )
        try body(&elements)
    }

    mutating func fail(_ sentence: String) {
        var text = sentence
        text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe writer.pointee.message(writer, characters.baseAddress, characters.count)
            }
        }
    }
}
