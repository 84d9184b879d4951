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
    private static func product(_ one: Span<Float>, _ two: Span<Float>) -> Float {
        var sums = SIMD16<Float>.zero
        var index = 0
        while index + 16 <= one.count {
            var (left, right) = (SIMD16<Float>(), SIMD16<Float>())
            for lane in 0..<16 {
                left[lane] = one[index + lane]
                right[lane] = two[index + lane]
            }
            sums += left * right
            index += 16
        }
        var sum = sums.sum()
        while index < one.count {
            sum += one[index] * two[index]
            index += 1
        }
        return sum
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { MatrixVector.plugin(for: host) }
