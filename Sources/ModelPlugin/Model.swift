// What a model author writes: one struct, and one exported line.
//
//     import ModelPlugin
//
//     struct Discount: Model {
//         static let price = Input<Double>(0, "price")
//         static let description = ModelDescription(inputs: [price.declaration])
//         init(_ context: ModelContext) {}
//         func predict(_ call: borrowing ModelCall, into result: inout ModelResult) {
//             result.write(call[Self.price] * 0.9)
//         }
//     }
//
//     @c(model_plugin_entry)
//     public func entry(_ host: HostAddress) -> PluginAddress { Discount.plugin(for: host) }
//
// The SDK stands between the model and the C contract: what a model throws becomes a status and a
// sentence. A trap (an index out of range, an overflow) cannot be caught and costs the process.

/// A model: made once per version, asked once per row, from several threads if it is concurrent.
public protocol Model: Sendable {
    /// Its inputs, its output, and how it may be called.
    static var description: ModelDescription { get }

    /// Makes the model; what is thrown refuses the version.
    init(_ context: ModelContext) throws

    /// Scores one row: reads the inputs from `call` and writes one result.
    ///
    /// May be run again for the same request after a crash of a neighbour.
    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws
}

/// Why a model does not answer.
public struct ModelError: Error, Sendable, CustomStringConvertible {
    let status: Int32
    /// One sentence for the client.
    public let description: String

    /// This input cannot be scored; sending it again will not help.
    public static func invalidInput(_ sentence: String) -> ModelError {
        ModelError(status: 1, description: sentence)
    }

    /// Something that the model needs is missing at the moment.
    public static func unavailable(_ sentence: String) -> ModelError {
        ModelError(status: 2, description: sentence)
    }

    /// The model does not do what was asked.
    public static func unsupported(_ sentence: String) -> ModelError {
        ModelError(status: 5, description: sentence)
    }

    /// The model failed.
    public static func failed(_ sentence: String) -> ModelError {
        ModelError(status: 6, description: sentence)
    }
}

/// What an instance is made from.
public struct ModelContext: Sendable {
    /// The deployment's name.
    public let name: String
    /// The version's number.
    public let version: Int
    /// The settings of the version: JSON text, `{}` when there are none.
    public let settings: String
    /// The folder of the version's resources; empty when there are none.
    public let resources: String
    /// Lines for the host's event log.
    public let log: ModelLog
}

/// One input of a model: its place among the inputs, its name, its type.
///
/// `schema` is a JSON Schema of its values, such as `{"minimum": 0}`: clients are told, and the
/// model holds them to it. `Value` is `Double`, `String`, `Bool` or `JSONPart`; `Double?` and
/// `String?` are inputs that a request may leave out.
public struct Input<Value>: Sendable {
    /// Its place among the inputs, from 0.
    public let position: Int
    /// What the description says of it.
    public let declaration: InputDeclaration

    init(
        _ position: Int,
        _ name: String,
        _ type: String,
        _ isRequired: Bool,
        _ doc: String,
        _ schema: String?
    ) {
        self.position = position
        declaration = InputDeclaration(
            position: position,
            name: name,
            type: type,
            isRequired: isRequired,
            doc: doc,
            schema: schema
        )
    }
}

extension Input where Value == Double {
    /// A number that every request has.
    public init(_ position: Int, _ name: String, doc: String = "", schema: String? = nil) {
        self.init(position, name, "number", true, doc, schema)
    }
}

extension Input where Value == Double? {
    /// A number that a request may leave out.
    public init(_ position: Int, _ name: String, doc: String = "", schema: String? = nil) {
        self.init(position, name, "number", false, doc, schema)
    }
}

extension Input where Value == String {
    /// A text that every request has.
    public init(_ position: Int, _ name: String, doc: String = "", schema: String? = nil) {
        self.init(position, name, "string", true, doc, schema)
    }
}

extension Input where Value == String? {
    /// A text that a request may leave out.
    public init(_ position: Int, _ name: String, doc: String = "", schema: String? = nil) {
        self.init(position, name, "string", false, doc, schema)
    }
}

extension Input where Value == Bool {
    /// A boolean that every request has.
    public init(_ position: Int, _ name: String, doc: String = "", schema: String? = nil) {
        self.init(position, name, "boolean", true, doc, schema)
    }
}

/// An array or object, as JSON text.
public struct JSONPart: Sendable {
    /// The exact text of the request.
    public let text: String
}

extension Input where Value == JSONPart {
    /// Any JSON value that every request has.
    public init(_ position: Int, _ name: String, doc: String = "", schema: String? = nil) {
        self.init(position, name, "json", true, doc, schema)
    }
}
