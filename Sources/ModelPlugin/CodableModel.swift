// The convenient way: inputs and outputs as Codable types. It builds values for every request, so
// it allocates; a model that is asked a hundred thousand times a second declares its inputs
// instead.

import Bytes
import JSON

/// A model whose argument is decoded and whose result is encoded.
public protocol CodableModel: Model {
    /// What the one argument of a request is decoded to.
    associatedtype Argument: Decodable
    /// What the result is encoded from.
    associatedtype Answer: Encodable

    /// Scores one row.
    func predict(_ argument: Argument) throws -> Answer
}

extension CodableModel {
    /// A model that takes its argument as JSON.
    public static var description: ModelDescription { ModelDescription(undeclaredInputs: "") }

    /// Decodes the argument, asks the model, encodes its answer.
    public func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        guard call.count == 1 else {
            throw ModelError.invalidInput("the model takes one argument; found \(call.count)")
        }
        var text: [UInt8] = []
        call.withText(at: 0) { bytes in
            text.append(bytes)
        }
        let argument: Argument
        do {
            argument = try Argument(from: ValueDecoder(JSONValue(parsing: text), []))
        } catch let error as DecodingError {
            throw ModelError.invalidInput(CodableModelText.sentence(error))
        }
        let encoder = ValueEncoder([])
        try predict(argument).encode(to: encoder)
        result.write(json: encoder.slot.value.text)
    }
}

/// Sentences about values that do not decode.
enum CodableModelText {
    static func sentence(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context):
            "the input \"\(path(context.codingPath + [key]))\" is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context),
            .dataCorrupted(let context):
            "the input \"\(path(context.codingPath))\" is not usable: \(context.debugDescription)"
        @unknown default:
            "the input is not usable"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }
}
