// The product of a matrix and a vector: tensors in, a tensor out, and no JSON in between.
//
// Clients of Open Inference send FP32 tensors, and the model reads their bytes where the host
// received them. Everybody else sends the same as lists in JSON.

public import ModelPlugin

struct MatrixVector: TensorModel, CodableModel {
    struct Argument: Decodable {
        let matrix: [[Float]]
        let vector: [Float]
    }

    static let description = ModelDescription(
        undeclaredInputs: "The product of a matrix and a vector.",
        schema: #"""
            {"type": "object", "required": ["matrix", "vector"], "properties": {
            "matrix": {"type": "array", "items": {"type": "array", "items":
            {"type": "number", "minimum": -1000000, "maximum": 1000000}}},
            "vector": {"type": "array", "items":
            {"type": "number", "minimum": -1000000, "maximum": 1000000}}}}
            """#,
        output: OutputDeclaration("json").schema(
            #"{"type": "array", "items": {"type": "number"}}"#
        ),
        examples: [#"{"matrix": [[1, 2], [3, 4]], "vector": [1, 10]}"#],
        threading: .concurrent
    )

    static let tensors = (
        inputs: [
            TensorDeclaration("matrix", .fp32, shape: [-1, -1]),
            TensorDeclaration("vector", .fp32, shape: [-1]),
        ],
        outputs: [TensorDeclaration("product", .fp32, shape: [-1])]
    )

    init(_ context: ModelContext) {}

    /// With tensors.
    func predict(_ call: borrowing TensorCall, into result: inout TensorOutputs) throws {
        let shape = call.shape(of: 0)
        let (rows, columns) = (shape[0], shape[1])
        guard call.shape(of: 1) == [columns] else { throw Self.misfit(columns) }
        // Rows of whole fours are read four numbers at a time: the host aligns data to 16 bytes.
        if columns % 4 == 0 {
            try call.withElements(of: 0, as: SIMD4<Float>.self) { matrix in
                try call.withElements(of: 1, as: SIMD4<Float>.self) { vector in
                    try result.write(0, shape: [rows], as: Float.self) { product in
                        for row in 0..<rows {
                            let start = row * vector.count
                            let elements = matrix.extracting(start..<start + vector.count)
                            product[row] = Self.product(elements, vector)
                        }
                    }
                }
            }
        } else {
            try call.withElements(of: 0, as: Float.self) { matrix in
                try call.withElements(of: 1, as: Float.self) { vector in
                    try result.write(0, shape: [rows], as: Float.self) { product in
                        for row in 0..<rows {
                            let elements = matrix.extracting(row * columns..<(row + 1) * columns)
                            product[row] = Self.product(elements, vector)
                        }
                    }
                }
            }
        }
    }

    /// With JSON. What a shorter list lacks counts as 0.
    func predict(_ argument: Argument) throws -> [Float] {
        let vector = argument.vector
        guard (argument.matrix + [vector]).allSatisfy({ $0.allSatisfy { abs($0) <= 1e6 } }) else {
            throw ModelError.invalidInput("a number is not between -1000000 and 1000000")
        }
        return argument.matrix.map { row in
            let count = min(row.count, vector.count)
            return Self.product(row.span.extracting(0..<count), vector.span.extracting(0..<count))
        }
    }

    private static func misfit(_ columns: Int) -> ModelError {
        .invalidInput("the vector has not as many elements as the matrix has columns, \(columns)")
    }

    /// The sum of the products, sixteen side by side, so that no addition waits for another one.
    private static func product(_ one: Span<SIMD4<Float>>, _ two: Span<SIMD4<Float>>) -> Float {
        var (a, b) = (SIMD4<Float>.zero, SIMD4<Float>.zero)
        var (c, d) = (a, b)
        var index = 0
        while index + 4 <= one.count {
            a += one[index] * two[index]
            b += one[index + 1] * two[index + 1]
            c += one[index + 2] * two[index + 2]
            d += one[index + 3] * two[index + 3]
            index += 4
        }
        while index < one.count {
            a += one[index] * two[index]
            index += 1
        }
        return (a + b + c + d).sum()
    }

    /// The sum of the products, one behind the other.
    private static func product(_ one: Span<Float>, _ two: Span<Float>) -> Float {
        var sum: Float = 0
        for index in one.indices { sum += one[index] * two[index] }
        return sum
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { MatrixVector.plugin(for: host) }
