// The schemas of requests and answers for one endpoint or version, in each protocol. What they
// allow is answered, and what they do not allow is refused: a test sends both.

import Deployments
import Endpoints
import JSON
import Surfaces

/// What a split's model says of itself; a static answer takes anything.
struct TargetModel {
    /// Nil: there is no model, and nothing is checked.
    let description: ModelDescription?
    /// What it takes as tensors.
    let tensors: TensorsDescription?

    init(_ split: PreparedSplit) {
        guard case .model(let model) = split.backend else {
            (description, tensors) = (nil, nil)
            return
        }
        (description, tensors) = (model.version.description, model.version.tensors)
    }

    init(_ version: LoadedVersion) {
        (description, tensors) = (version.description, version.tensors)
    }
}

/// An endpoint or a version, described.
struct DescribedTarget {
    private let name: String
    private let models: [TargetModel]
    /// The member of an argument that says whose request it is.
    private let subject: String?
    /// The inputs of all models, each once; nil: one takes its arguments as they are, so nothing is
    /// known of them.
    private let inputs: [InputDescription]?
    private let examples: [JSONValue]

    init(_ name: String, _ models: [TargetModel], subject: String?) {
        self.name = name
        self.models = models
        self.subject = subject
        let described = models.compactMap(\.description)
        examples = described.flatMap(\.examples).prefix(2).map { $0 }
        var inputs: [InputDescription] = []
        for input in described.flatMap({ $0.inputs ?? [] })
        where !inputs.contains(where: { $0.name == input.name }) { inputs.append(input) }
        let areDeclared = !described.isEmpty && described.allSatisfy { $0.inputs != nil }
        self.inputs = areDeclared ? inputs : nil
    }

    // MARK: Schemas

    private static func object(_ members: JSONValue.Member...) -> JSONValue { .object(members) }

    private static func type(_ name: String) -> JSONValue {
        object(.init("type", .string(name)))
    }

    private static func reference(_ name: String) -> JSONValue {
        object(.init("$ref", .string("#/components/schemas/\(name)")))
    }

    /// An object with these properties; others are passed over.
    private static func record(
        _ properties: [JSONValue.Member],
        required: [String]
    ) -> JSONValue {
        object(
            .init("type", .string("object")),
            .init("properties", .object(properties)),
            .init("required", .array(required.map { .string($0) }))
        )
    }

    private static func anyOf(_ schemas: [JSONValue]) -> JSONValue {
        schemas.count == 1 ? schemas[0] : object(.init("anyOf", .array(schemas)))
    }

    private static func list(of items: JSONValue, from least: Int, to most: Int) -> JSONValue {
        object(
            .init("type", .string("array")),
            .init("items", items),
            .init("minItems", .number("\(least)")),
            .init("maxItems", .number("\(most)"))
        )
    }

    private static func tuple(_ items: [JSONValue]) -> JSONValue {
        object(
            .init("type", .string("array")),
            .init("prefixItems", .array(items)),
            .init("items", .boolean(false)),
            .init("minItems", .number("\(items.count)"))
        )
    }

    /// Anything but a list: what the first argument may be so that a list is no batch.
    private static let noList = object(
        .init(
            "type",
            .array(["object", "string", "number", "boolean", "null"].map { .string($0) })
        )
    )

    private static func value(_ input: InputDescription) -> JSONValue {
        var members: [JSONValue.Member] = []
        if input.type != .json {
            let name = input.type.rawValue
            let type: JSONValue =
                input.isRequired ? .string(name) : .array([.string(name), .string("null")])
            members.append(.init("type", type))
            if input.type == .number, input.schema == nil {
                let most = Double.greatestFiniteMagnitude
                members.append(.init("minimum", .number("\(-most)")))
                members.append(.init("maximum", .number("\(most)")))
            }
        }
        if let doc = input.doc, !doc.isEmpty { members.append(.init("description", .string(doc))) }
        return .object(members + (input.schema?.object ?? []))
    }

    /// What an argument is; nil: anything.
    private var argument: JSONValue? {
        if let inputs {
            var properties = inputs.map { JSONValue.Member($0.name, Self.value($0)) }
            if let subject, !inputs.contains(where: { $0.name == subject }) {
                properties.append(
                    .init(
                        subject,
                        .object([.init("description", .string("Whose request it is."))])
                    )
                )
            }
            return Self.record(properties, required: inputs.filter(\.isRequired).map(\.name))
        }
        let schemas = models.compactMap { $0.description?.schema }
        return schemas.count == models.count ? schemas.first : nil
    }

    /// What a result is.
    private var result: JSONValue {
        let schemas = models.map { model -> JSONValue in
            guard let output = model.description?.output else { return .object([]) }
            if let schema = output.schema { return schema }
            return output.type == .json ? .object([]) : Self.type(output.type.rawValue)
        }
        return schemas.contains(.object([])) ? .object([]) : Self.anyOf(schemas)
    }

    // MARK: Native

    var native: DescribedOperation {
        let data: JSONValue
        let id = Self.object(
            .init("type", .array([.string("string"), .string("number")])),
            .init("maxLength", .number("\(PredictionCall.idCharactersMaximum)"))
        )
        if let argument {
            let row = Self.tuple([id, argument])
            data = Self.anyOf([argument, Self.list(of: row, from: 1, to: 100_000)])
        } else {
            let arguments = Self.object(
                .init("type", .string("array")),
                .init("prefixItems", .array([Self.noList])),
                .init("maxItems", .number("64"))
            )
            let row = Self.object(
                .init("type", .string("array")),
                .init("prefixItems", .array([id])),
                .init("minItems", .number("1")),
                .init("maxItems", .number("65"))
            )
            let batch = Self.list(of: row, from: 1, to: 100_000)
            data = Self.anyOf([Self.noList, arguments, batch])
        }
        let single = Self.record(
            [
                .init("data", result), .init("requestId", Self.type("string")),
                .init("split", Self.reference("Split")),
            ],
            required: ["data", "requestId", "split"]
        )
        return DescribedOperation(
            summary: "A prediction of \(name), or one for each row of a batch",
            request: Self.record([.init("data", data)], required: ["data"]),
            answer: Self.anyOf([single, Self.reference("Batch")]),
            examples: examples.enumerated().map { index, example in
                .init(
                    "example\(index + 1)",
                    Self.object(.init("value", Self.object(.init("data", example))))
                )
            }
        )
    }

    // MARK: Dataiku

    func dataiku(_ generations: [String], isMulti: Bool) -> DescribedOperation {
        let features = argument ?? Self.type("object")
        let context = JSONValue.Member(
            "context",
            .object([.init("description", .string("Goes into the request log."))])
        )
        let dispatch = Self.object(
            .init("type", .array([.string("object"), .string("null")])),
            .init(
                "properties",
                Self.object(
                    .init(
                        "forcedGeneration",
                        Self.object(
                            .init("enum", .array(generations.map { .string($0) } + [.null]))
                        )
                    ),
                    .init(
                        "dispatchKey",
                        .object([.init("description", .string("Whose request it is."))])
                    )
                )
            )
        )
        let explanations = Self.object(
            .init("type", .array([.string("object"), .string("null")])),
            .init(
                "properties",
                Self.object(
                    .init("enabled", Self.object(.init("enum", .array([.boolean(false), .null]))))
                )
            )
        )
        let common: [JSONValue.Member] = [
            .init("dispatch", dispatch), .init("explanations", explanations),
        ]
        let row = Self.record([.init("features", features), context], required: ["features"])
        let items = Self.record(
            [.init("items", Self.list(of: row, from: 0, to: 100_000))] + common,
            required: ["items"]
        )
        let single = Self.record(
            [.init("features", features), context] + common,
            required: ["features"]
        )
        let usable = examples.filter { $0.object != nil }
        return DescribedOperation(
            summary: isMulti
                ? "Predictions of \(name) for several records" : "A prediction of \(name)",
            request: isMulti ? items : single,
            answer: Self.reference(isMulti ? "DataikuResults" : "DataikuResult"),
            examples: usable.enumerated().map { index, example in
                let record = Self.object(.init("features", example))
                let value = isMulti ? Self.object(.init("items", .array([record]))) : record
                return .init("example\(index + 1)", Self.object(.init("value", value)))
            }
        )
    }

    // MARK: Open Inference

    var openInference: DescribedOperation {
        let tensors = self.tensors
        let inputs: JSONValue = Self.object(
            .init("type", .string("array")),
            .init("prefixItems", .array(tensors.map { $0.schema })),
            .init("items", .boolean(false)),
            .init("minItems", .number("\(max(1, tensors.count { $0.isRequired }))"))
        )
        let request = Self.record(
            [
                .init(
                    "id",
                    Self.object(.init("type", .array([.string("string"), .string("null")])))
                ),
                .init("inputs", inputs),
                .init(
                    "parameters",
                    Self.object(
                        .init("type", .array([.string("object"), .string("null")])),
                        .init(
                            "properties",
                            Self.object(.init("binary_data_output", Self.type("boolean")))
                        )
                    )
                ),
            ],
            required: ["inputs"]
        )
        return DescribedOperation(
            summary: "An inference of \(name); here with one row, and with JSON tensors",
            request: request,
            answer: Self.reference("Inference"),
            examples: []
        )
    }

    private struct Tensor {
        let schema: JSONValue
        let isRequired: Bool

        init(
            _ name: String?,
            _ type: Datatype,
            shapes: [[Int]],
            _ element: JSONValue,
            isRequired: Bool = true
        ) {
            let shapes = shapes.map { JSONValue.array($0.map { .number("\($0)") }) }
            let name =
                name.map { object(.init("const", .string($0))) }
                ?? object(.init("type", .string("string")), .init("minLength", .number("1")))
            schema = record(
                [
                    .init("name", name),
                    .init("datatype", object(.init("const", .string("\(type.name)")))),
                    .init("shape", object(.init("enum", .array(shapes)))),
                    .init("data", list(of: element, from: 1, to: 1)),
                ],
                required: ["name", "datatype", "shape", "data"]
            )
            self.isRequired = isRequired
        }
    }

    /// The tensors of one row; those that may be missing come last.
    private var tensors: [Tensor] {
        if let taken = models.first?.tensors, models.count == 1 {
            // With one element in each.
            return taken.inputs.map { input in
                let element: JSONValue =
                    input.datatype == .bytes
                    ? Self.type("string")
                    : input.datatype == .bool
                        ? Self.type("boolean") : Self.bounded(input.datatype)
                let shape = input.shape.map { $0 == -1 ? 1 : $0 }
                return Tensor(input.name, input.datatype, shapes: [shape], element)
            }
        }
        guard let inputs else {
            return [Tensor(nil, .int64, shapes: [[1]], Self.bounded(.int64))]
        }
        return inputs.filter(\.isRequired).map { Self.tensor($0, named: $0.name) }
            // One that may be missing may also be another one: it is passed over then.
            + inputs.filter { !$0.isRequired }.map { Self.tensor($0, named: nil) }
    }

    private static func tensor(_ input: InputDescription, named name: String?) -> Tensor {
        let type: Datatype
        let element: JSONValue
        switch input.type {
        case .number: (type, element) = (.fp64, name == nil ? bounded(.fp64) : value(input))
        case .string: (type, element) = (.bytes, Self.type("string"))
        case .boolean: (type, element) = (.bool, Self.type("boolean"))
        case .json: (type, element) = (.int64, bounded(.int64))
        }
        let shapes = input.type == .json ? [[1]] : [[1], [1, 1]]
        return Tensor(name, type, shapes: shapes, element, isRequired: input.isRequired)
    }

    private static func bounded(_ type: Datatype) -> JSONValue {
        guard let range = type.integers else {
            let most = type.greatest
            return object(
                .init("type", .string("number")),
                .init("minimum", .number("\(-most)")),
                .init("maximum", .number("\(most)"))
            )
        }
        return object(
            .init("type", .string("integer")),
            .init("minimum", .number("\(range.lowerBound)")),
            .init("maximum", .number("\(range.upperBound)"))
        )
    }
}
