// What a model says of itself: its inputs, its output, how it may be called.

package import JSON

/// The type of a declared input.
package enum InputType: String, Sendable, CaseIterable {
    case number, string, boolean, json
}

/// One declared input.
package struct InputDescription: Equatable, Sendable {
    package let name: String
    package let type: InputType
    package let isRequired: Bool
    /// A sentence about it.
    package let doc: String?
    /// What its values are, as a JSON Schema: clients are told, the model holds them to it.
    package let schema: JSONValue?

    package init(
        name: String,
        type: InputType,
        isRequired: Bool,
        doc: String? = nil,
        schema: JSONValue? = nil
    ) {
        self.doc = doc
        self.schema = schema
        self.name = name
        self.type = type
        self.isRequired = isRequired
    }
}

/// What a plugin's `describe` returned, checked.
package struct ModelDescription: Equatable, Sendable {
    /// Whether the host may call one instance from several threads at once.
    package enum Threading: String, Sendable { case serial, concurrent }
    /// Where calls run: on the loop that received the request, or on threads of the deployment.
    package enum Execution: String, Sendable { case inline, pool }

    /// The inputs in declared order; nil when the model takes its arguments as JSON text.
    package let inputs: [InputDescription]?
    package let output: OutputDescription
    package let threading: Threading
    package let execution: Execution
    /// Example requests: the `data` of each.
    package let examples: [JSONValue]
    /// A sentence about the model.
    package let doc: String?
    /// What the one argument is of a model that declares no inputs, as a JSON Schema.
    package let schema: JSONValue?

    /// Inputs of one model.
    package static let inputsMaximum = 1024

    /// What is known of a model that is not there.
    package static let unknown = ModelDescription()

    private init() {
        inputs = nil
        output = .unknown
        threading = .concurrent
        execution = .inline
        examples = []
        doc = nil
        schema = nil
    }

    /// Reads the JSON of `describe`; the error is a sentence about it.
    package init(json text: [UInt8]) throws(DescriptionError) {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: text)
        } catch {
            throw DescriptionError("describe() returned text that is not JSON: \(error)")
        }
        guard let members = value.object else {
            throw DescriptionError("describe() returned JSON that is not an object")
        }
        let known = [
            "inputs", "output", "examples", "threading", "execution", "doc", "schema",
        ]
        if let unknown = members.first(where: { !known.contains($0.name) }) {
            throw DescriptionError(
                "describe() has the unknown member \"\(unknown.name)\"; "
                    + "known are \(known.joined(separator: ", "))"
            )
        }
        threading = try Self.word(value, "threading", Threading.init, .serial)
        execution = try Self.word(value, "execution", Execution.init, .inline)
        output = try OutputDescription(json: value["output"])
        examples = value["examples"]?.array ?? []
        doc = value["doc"]?.string
        schema = try Self.schema(value, "the description")
        guard let list = value["inputs"] else {
            inputs = nil
            return
        }
        guard let elements = list.array, elements.count <= Self.inputsMaximum else {
            throw DescriptionError(
                "describe() has \"inputs\" that is not a list of at most \(Self.inputsMaximum)"
            )
        }
        var inputs: [InputDescription] = []
        for element in elements {
            inputs.append(try Self.input(element, inputs))
        }
        self.inputs = inputs
    }

    private static func word<Word>(
        _ value: JSONValue,
        _ name: String,
        _ make: (String) -> Word?,
        _ missing: Word
    ) throws(DescriptionError) -> Word {
        guard let given = value[name] else { return missing }
        guard let text = given.string, let word = make(text) else {
            throw DescriptionError(
                "describe() has \"\(name)\": \(given.text), which is no such word"
            )
        }
        return word
    }

    private static func input(
        _ element: JSONValue,
        _ before: [InputDescription]
    ) throws(DescriptionError) -> InputDescription {
        guard let name = element["name"]?.string, !name.isEmpty else {
            throw DescriptionError("describe() has an input without \"name\"")
        }
        guard !before.contains(where: { $0.name == name }) else {
            throw DescriptionError("describe() has the input \"\(name)\" twice")
        }
        guard let word = element["type"]?.string, let type = InputType(rawValue: word) else {
            let types = InputType.allCases.map(\.rawValue).joined(separator: ", ")
            throw DescriptionError(
                "describe() gives the input \"\(name)\" no type that is one of \(types)"
            )
        }
        return InputDescription(
            name: name,
            type: type,
            isRequired: element["required"]?.boolean ?? true,
            doc: element["doc"]?.string,
            schema: try schema(element, "the input \"\(name)\"")
        )
    }

    /// The member `schema` of a value, which is an object.
    static func schema(
        _ value: JSONValue,
        _ place: String
    ) throws(DescriptionError) -> JSONValue? {
        guard let schema = value["schema"] else { return nil }
        guard schema.object != nil else {
            throw DescriptionError("describe() gives \(place) a \"schema\" that is no object")
        }
        return schema
    }
}

/// What is wrong with a model's description of itself.
package struct DescriptionError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
