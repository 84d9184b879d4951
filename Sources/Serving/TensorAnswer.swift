// What a model has written that takes tensors as they are, held against what it has declared.

import Deployments
import Endpoints
import PluginHost
import Surfaces

/// The outputs of one call with tensors.
struct TensorAnswer: Sendable {
    private(set) var results: [TensorResult] = []
    /// The bytes of all of them.
    private(set) var bytes: [UInt8] = []

    /// Takes what is in a frame; throws where it is not what was declared.
    init(_ frame: TensorFrame, _ declared: [TensorDescription]) throws(Failure) {
        frame.appendOutputs(to: &bytes)
        for expected in declared {
            let found = frame.outputs.filter { $0.name == expected.name }
            guard found.count == 1 else {
                throw Failure(
                    .modelFailed,
                    "the model wrote \(found.count) outputs \"\(expected.name)\"; it declares one"
                )
            }
            let output = found[0]
            guard output.datatype == expected.datatype.rawValue, expected.allows(output.shape),
                isWhole(output, expected.datatype)
            else {
                throw Failure(
                    .modelFailed,
                    "the model wrote the output \"\(expected.name)\" as datatype "
                        + "\(output.datatype), shape \(output.shape), \(output.bytes.count) bytes; "
                        + "it declares \(expected.datatype.name), shape \(expected.shape)"
                )
            }
            results.append(
                TensorResult(
                    name: Array(expected.name.utf8),
                    datatype: expected.datatype,
                    shape: output.shape,
                    bytes: output.bytes
                )
            )
        }
    }

    /// Whether the bytes are those of the shape.
    private func isWhole(_ output: TensorOutput, _ datatype: Datatype) -> Bool {
        guard output.shape.allSatisfy({ $0 >= 0 }),
            let count = Datatype.elements(of: output.shape)
        else { return false }
        if let size = datatype.size {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            return !overflow && product == output.bytes.count
        }
        var position = output.bytes.lowerBound
        var elements = 0
        let bytes = bytes
        while position + TensorElement.lengthBytes <= output.bytes.upperBound {
            let length = TensorElement.length(bytes.span, position)
            position += TensorElement.lengthBytes
            guard length <= output.bytes.upperBound - position else { return false }
            position += length
            elements += 1
        }
        return position == output.bytes.upperBound && elements == count
    }
}
