// What Open Inference says of a model: its inputs and outputs as tensors.

import Deployments
import Endpoints
import Surfaces

/// The tensors of an endpoint or a version.
struct TensorFacts {
    /// Of an endpoint: those of all its models, each name once.
    private(set) var inputs: [TensorDescription] = []
    private(set) var outputs: [TensorDescription] = []

    init(_ target: PreparedTarget) {
        switch target {
        case .deployment(let split): add(split)
        case .endpoint(let endpoint): for split in endpoint.splits { add(split) }
        }
    }

    /// Those of one split.
    init(_ split: PreparedSplit) { add(split) }

    private mutating func add(_ split: PreparedSplit) {
        switch split.backend {
        case .value: add([], Self.outputs(.unknown))
        case .model(let model):
            if let tensors = model.version.tensors {
                add(tensors.inputs, tensors.outputs)
            } else {
                let description = model.version.description
                add(Self.inputs(description.inputs), Self.outputs(description.output))
            }
        }
    }

    private mutating func add(_ further: [TensorDescription], _ results: [TensorDescription]) {
        for input in further where !inputs.contains(where: { $0.name == input.name }) {
            inputs.append(input)
        }
        for output in results where !outputs.contains(where: { $0.name == output.name }) {
            outputs.append(output)
        }
    }

    /// One element a row for each input; a model without declared inputs takes JSON text.
    private static func inputs(_ declared: [InputDescription]?) -> [TensorDescription] {
        guard let declared else {
            return [TensorDescription(name: "data", datatype: .bytes, shape: [-1])]
        }
        return declared.map {
            TensorDescription(name: $0.name, datatype: datatype($0.type), shape: [-1])
        }
    }

    private static func outputs(_ output: OutputDescription) -> [TensorDescription] {
        guard output.classes.isEmpty else {
            return [
                TensorDescription(name: "prediction", datatype: .bytes, shape: [-1]),
                TensorDescription(
                    name: "probas",
                    datatype: .fp64,
                    shape: [-1, output.classes.count]
                ),
            ]
        }
        return [TensorDescription(name: "output", datatype: datatype(output.type), shape: [-1])]
    }

    private static func datatype(_ type: InputType) -> Datatype {
        switch type {
        case .number: .fp64
        case .boolean: .bool
        case .string, .json: .bytes
        }
    }
}
