import JSON

/// What a description says of one input.
public struct InputDeclaration: Sendable {
    let position: Int
    let name: String
    let type: String
    let isRequired: Bool
    let doc: String
}

/// What a model says of itself.
public struct ModelDescription: Sendable {
    /// Whether several threads may ask one instance at once.
    public enum Threading: String, Sendable { case serial, concurrent }
    /// Where the model runs: on the loop that got the request, for models that take microseconds,
    /// or on threads of the deployment.
    public enum Execution: String, Sendable { case inline, pool }

    let inputs: [InputDeclaration]?
    let output: String
    let doc: String
    let examples: [String]
    let threading: Threading
    let execution: Execution

    /// A model with declared inputs: the host checks them before the model is asked.
    ///
    /// - Parameters:
    ///   - inputs: the declarations, in the order of their positions.
    ///   - output: the type of the result: `number` or `json`.
    ///   - doc: a sentence about the model.
    ///   - examples: the `data` of example requests, as JSON text.
    ///   - threading: whether several threads may ask one instance at once.
    ///   - execution: where the model runs.
    public init(
        inputs: [InputDeclaration],
        output: String = "number",
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
    public init(
        undeclaredInputs doc: String,
        examples: [String] = [],
        threading: Threading = .concurrent,
        execution: Execution = .inline
    ) {
        inputs = nil
        output = "json"
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
                            .object([
                                .init("name", .string($0.name)), .init("type", .string($0.type)),
                                .init("required", .boolean($0.isRequired)),
                                .init("doc", .string($0.doc)),
                            ])
                        }
                    )
                )
            )
        }
        members.append(.init("output", .object([.init("type", .string(output))])))
        members.append(.init("doc", .string(doc)))
        let examples = examples.compactMap { try? JSONValue(parsing: Array($0.utf8)) }
        precondition(examples.count == self.examples.count, "every example is JSON")
        members.append(.init("examples", .array(examples)))
        members.append(.init("threading", .string(threading.rawValue)))
        members.append(.init("execution", .string(execution.rawValue)))
        return JSONValue.object(members).text
    }
}
