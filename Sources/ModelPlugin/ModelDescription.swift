import JSON

/// What a description says of one input.
public struct InputDeclaration: Sendable {
    let position: Int
    let name: String
    let type: String
    let isRequired: Bool
    let doc: String
    /// A JSON Schema.
    let schema: String?
}

/// What a description says of a model's results: `"number"`, `"json"`, or a classifier's.
public struct OutputDeclaration: Sendable, ExpressibleByStringLiteral {
    let type: String
    var classes: [String] = []
    var probability: String?
    var schema: String?

    /// The type of a result: `number`, `string`, `boolean` or `json`.
    public init(stringLiteral type: String) { self.type = type }

    /// The results of a classifier, which surfaces that know classes give as such.
    ///
    /// - Parameters:
    ///   - classes: the labels. Of two the second is what the probability is of.
    ///   - member: the member of a result, which is an object, that has the probability: a number
    ///     from 0 to 1 for two classes, a list of them, or an object from labels to them. Nil: the
    ///     result is the probability.
    public static func classifier(
        _ classes: [String],
        probability member: String? = nil
    ) -> OutputDeclaration {
        var output: OutputDeclaration = member == nil && classes.count == 2 ? "number" : "json"
        output.classes = classes
        output.probability = member
        return output
    }

    /// The same with what a result looks like.
    ///
    /// - Parameter schema: a JSON Schema, such as `{"minimum": 0}`, which clients are told.
    public func schema(_ schema: String) -> OutputDeclaration {
        var output = self
        output.schema = schema
        return output
    }

    var json: JSONValue {
        var members = [JSONValue.Member("type", .string(type))]
        if let schema { members.append(.init("schema", .parsed(schema))) }
        if !classes.isEmpty {
            members.append(.init("classes", .array(classes.map { .string($0) })))
        }
        if let probability { members.append(.init("probability", .string(probability))) }
        return .object(members)
    }
}

/// What a model says of itself.
public struct ModelDescription: Sendable {
    /// Whether several threads may ask one instance at once.
    public enum Threading: String, Sendable { case serial, concurrent }
    /// Where the model runs: on the loop that got the request, for models that take microseconds,
    /// or on threads of the deployment.
    public enum Execution: String, Sendable { case inline, pool }

    let inputs: [InputDeclaration]?
    let output: OutputDeclaration
    let doc: String
    let examples: [String]
    let threading: Threading
    let execution: Execution
    var schema: String?

    /// A model with declared inputs: the host checks them before the model is asked.
    ///
    /// - Parameters:
    ///   - inputs: the declarations, in the order of their positions.
    ///   - output: the type of the result, `number` if it is not said, and what classes there are.
    ///   - doc: a sentence about the model.
    ///   - examples: the `data` of example requests, as JSON text.
    ///   - threading: whether several threads may ask one instance at once.
    ///   - execution: where the model runs.
    public init(
        inputs: [InputDeclaration],
        output: OutputDeclaration = "number",
        doc: String = "",
        examples: [String] = [],
        threading: Threading = .concurrent,
        execution: Execution = .inline
    ) {
        for (index, input) in inputs.enumerated() {
            precondition(
                input.position == index,
                "the input '\(input.name)' stands at \(index) but says \(input.position)"
            )
        }
        self.inputs = inputs
        self.output = output
        self.doc = doc
        self.examples = examples
        self.threading = threading
        self.execution = execution
    }

    /// A model that takes its arguments as JSON text, unchecked.
    ///
    /// - Parameters:
    ///   - doc: a sentence about the model.
    ///   - examples: the `data` of example requests, as JSON text.
    ///   - threading: whether several threads may ask one instance at once.
    ///   - execution: where the model runs.
    ///   - schema: what the one argument is, as a JSON Schema, which clients are told.
    ///   - output: the type of the result.
    public init(
        undeclaredInputs doc: String,
        schema: String? = nil,
        output: OutputDeclaration = "json",
        examples: [String] = [],
        threading: Threading = .concurrent,
        execution: Execution = .inline
    ) {
        inputs = nil
        self.output = output
        self.schema = schema
        self.doc = doc
        self.examples = examples
        self.threading = threading
        self.execution = execution
    }

    /// The JSON text that `describe` returns.
    var json: String {
        var members: [JSONValue.Member] = []
        if let inputs {
            members.append(
                .init(
                    "inputs",
                    .array(
                        inputs.map {
                            .object(
                                [
                                    .init("name", .string($0.name)),
                                    .init("type", .string($0.type)),
                                    .init("required", .boolean($0.isRequired)),
                                    .init("doc", .string($0.doc)),
                                ] + ($0.schema.map { [.init("schema", .parsed($0))] } ?? [])
                            )
                        }
                    )
                )
            )
        }
        members.append(.init("output", output.json))
        members.append(.init("doc", .string(doc)))
        if let schema { members.append(.init("schema", .parsed(schema))) }
        let examples = examples.compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        precondition(examples.count == self.examples.count, "every example is JSON")
        members.append(.init("examples", .array(examples)))
        members.append(.init("threading", .string(threading.rawValue)))
        members.append(.init("execution", .string(execution.rawValue)))
        return JSONValue.object(members).text
    }
}

extension JSONValue {
    /// A value that stands in a model's source.
    fileprivate static func parsed(_ text: String) -> JSONValue {
        guard let value = try? JSONValue(parsing: Array(text.utf8)) else {
            preconditionFailure("a description's schema is JSON, and not \(text)")
        }
        return value
    }
}
