// Static answers: from YAML to the JSON text that is sent.

import Bytes
import JSON
import YAML

extension EndpointReader {
    /// The JSON text of a static value, or nil after reporting why it has none.
    mutating func readValue(_ node: YAMLNode) -> String? {
        let before = errors.count
        let value = jsonValue(node)
        return errors.count == before ? value.text : nil
    }

    private mutating func jsonValue(_ node: YAMLNode) -> JSONValue {
        switch node.content {
        case .scalar(let text, isPlain: false):
            return .string(text)
        case .scalar(let text, isPlain: true):
            switch Scalar(text) {
            case .null: return .null
            case .boolean(let value): return .boolean(value)
            case .number(let number): return .number(number)
            case .text(let text): return .string(text)
            case .otherNumber:
                report(
                    node.mark,
                    "'\(text)' is a number that JSON cannot write",
                    hint: "write it in decimal, or in quotes if it is text"
                )
                return .null
            }
        case .sequence(let nodes):
            return .array(nodes.map { jsonValue($0) })
        case .mapping(let pairs):
            return .object(pairs.map { JSONValue.Member($0.key, jsonValue($0.value)) })
        }
    }
}
