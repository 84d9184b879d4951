// Answers the number that it is given, and traps when a request asks for that.
public import ModelPlugin

struct TrappingModel: Model {
    static let number = Input<Double>(0, "number")
    static let how = Input<String?>(1, "how")
    static let description = ModelDescription(
        inputs: [number.declaration, how.declaration],
        output: "number"
    )

    init(_ context: ModelContext) throws {}

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        let number = call[Self.number]
        if call[Self.how] != nil { fatalError("as the request of \(number) has asked for") }
        result.write(number)
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { TrappingModel.plugin(for: host) }
