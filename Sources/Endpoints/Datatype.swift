// The types of tensors' elements, and what a model says of the tensors that it takes itself.

import JSON

/// The type of a tensor's elements: a name of the Open Inference protocol, a number of the contract
/// with plugins.
package enum Datatype: UInt32, Sendable, CaseIterable {
    case bool = 1
    case uint8, uint16, uint32, uint64
    case int8, int16, int32, int64
    case fp16, bf16, fp32, fp64
    /// Bytes of any number, each with their count before them.
    case bytes

    /// The protocol's name.
    package var name: StaticString {
        switch self {
        case .bool: "BOOL"
        case .uint8: "UINT8"
        case .uint16: "UINT16"
        case .uint32: "UINT32"
        case .uint64: "UINT64"
        case .int8: "INT8"
        case .int16: "INT16"
        case .int32: "INT32"
        case .int64: "INT64"
        case .fp16: "FP16"
        case .bf16: "BF16"
        case .fp32: "FP32"
        case .fp64: "FP64"
        case .bytes: "BYTES"
        }
    }

    /// Bytes of one element; nil: each has its own count.
    package var size: Int? {
        switch self {
        case .bool, .uint8, .int8: 1
        case .uint16, .int16, .fp16, .bf16: 2
        case .uint32, .int32, .fp32: 4
        case .uint64, .int64, .fp64: 8
        case .bytes: nil
        }
    }

    /// Whether its elements are numbers with fractions.
    package var isFloat: Bool {
        switch self {
        case .fp16, .bf16, .fp32, .fp64: true
        default: false
        }
    }

    /// The greatest finite number among its elements, if they have fractions.
    package var greatest: Double {
        switch self {
        case .fp16: 65504
        case .bf16: Double(Float(bitPattern: 0x7f7f_0000))
        case .fp32: Double(Float.greatestFiniteMagnitude)
        default: Double.greatestFiniteMagnitude
        }
    }

    /// The range of whole numbers that its elements are of; nil: they are no whole numbers.
    package var integers: ClosedRange<Decimal>? {
        switch self {
        case .uint8: .init(UInt8.self)
        case .uint16: .init(UInt16.self)
        case .uint32: .init(UInt32.self)
        case .uint64: .init(UInt64.self)
        case .int8: .init(Int8.self)
        case .int16: .init(Int16.self)
        case .int32: .init(Int32.self)
        case .int64: .init(Int64.self)
        default: nil
        }
    }

    /// A whole number of any of the types.
    package typealias Decimal = Int128

    package init?(name: String) {
        let bytes = Array(name.utf8)
        self.init(name: bytes.span)
    }

    /// Reads the protocol's name.
    package init?(name: Span<UInt8>) {
        guard name.count <= 8 else { return nil }
        var key: UInt64 = 0
        for index in name.indices { key = key << 8 | UInt64(name[index]) }
        guard let index = Self.keys.firstIndex(of: key) else { return nil }
        self = Self.allCases[index]
    }

    /// The names as numbers, a byte for each letter.
    private static let keys: [UInt64] = allCases.map { type in
        "\(type.name)".utf8.reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// One more than a tensor may have elements.
    package static let elementsLimit = 1 << 31

    /// How many elements a shape has; nil: more than can be counted.
    package static func elements(of shape: [Int]) -> Int? {
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard !overflow, product >= 0 else { return nil }
            count = product
        }
        return count
    }
}

extension ClosedRange<Datatype.Decimal> {
    fileprivate init(_ type: (some FixedWidthInteger).Type) {
        self = Bound(type.min)...Bound(type.max)
    }
}

/// One tensor that a model takes or gives.
package struct TensorDescription: Equatable, Sendable {
    package let name: String
    package let datatype: Datatype
    /// -1 stands for any size.
    package let shape: [Int]

    package init(name: String, datatype: Datatype, shape: [Int]) {
        self.name = name
        self.datatype = datatype
        self.shape = shape
    }

    /// Whether a tensor of this shape is meant.
    package func allows(_ other: [Int]) -> Bool {
        shape.count == other.count && zip(shape, other).allSatisfy { $0 == -1 || $0 == $1 }
    }
}

/// The tensors that a model takes and gives without JSON in between.
package struct TensorsDescription: Equatable, Sendable {
    package let inputs: [TensorDescription]
    package let outputs: [TensorDescription]

    /// Tensors in one direction.
    package static let countMaximum = 64

    /// Reads the JSON that a plugin's `model.tensors/1` describes them with; the error is a
    /// sentence about it.
    package init(json text: [UInt8]) throws(DescriptionError) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            throw DescriptionError("model.tensors/1 describes itself by no JSON: \(error)")
        }
        inputs = try Self.list(value, "inputs")
        outputs = try Self.list(value, "outputs")
    }

    private static func list(
        _ value: JSONValue,
        _ member: String
    ) throws(DescriptionError) -> [TensorDescription] {
        guard let elements = value[member]?.array, !elements.isEmpty,
            elements.count <= countMaximum
        else {
            throw DescriptionError(
                "model.tensors/1 has \"\(member)\" that is not a list of 1 to \(countMaximum)"
            )
        }
        var tensors: [TensorDescription] = []
        for element in elements {
            let tensor = try tensor(element, member)
            guard !tensors.contains(where: { $0.name == tensor.name }) else {
                throw DescriptionError("model.tensors/1 has \"\(tensor.name)\" twice")
            }
            tensors.append(tensor)
        }
        return tensors
    }

    private static func tensor(
        _ value: JSONValue,
        _ member: String
    ) throws(DescriptionError) -> TensorDescription {
        guard let name = value["name"]?.string, !name.isEmpty else {
            throw DescriptionError("model.tensors/1 has one of \"\(member)\" without \"name\"")
        }
        guard let datatype = value["datatype"]?.string.flatMap(Datatype.init(name:)) else {
            let names = Datatype.allCases.map { "\($0.name)" }.joined(separator: ", ")
            throw DescriptionError(
                "model.tensors/1 gives \"\(name)\" no \"datatype\" that is one of \(names)"
            )
        }
        var shape: [Int] = []
        for size in value["shape"]?.array ?? [] {
            guard case .number(let text) = size, let size = Int(text), size >= -1 else {
                throw DescriptionError(
                    "model.tensors/1 gives \"\(name)\" a \"shape\" with \(size.text); wanted whole "
                        + "numbers from 0 on, or -1 for any size"
                )
            }
            shape.append(size)
        }
        let elements = Datatype.elements(of: shape.filter { $0 > 0 })
        guard value["shape"]?.array != nil, shape.count <= 16, let elements,
            elements < Datatype.elementsLimit
        else {
            throw DescriptionError(
                "model.tensors/1 gives \"\(name)\" no \"shape\" that is a list of at most 16 sizes"
            )
        }
        return TensorDescription(name: name, datatype: datatype, shape: shape)
    }
}
