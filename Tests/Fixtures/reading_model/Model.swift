// Reads every type of declared value and writes JSON in place: the model of the allocation tests.
public import ModelPlugin

struct ReadingModel: Model {
    static let number = Input<Double>(0, "number")
    static let maybe = Input<Double?>(1, "maybe")
    static let text = Input<String>(2, "text")
    static let flag = Input<Bool>(3, "flag")
    static let description = ModelDescription(
        inputs: [number.declaration, maybe.declaration, text.declaration, flag.declaration],
        output: "json"
    )

    init(_ context: ModelContext) throws {
        guard context.settings != #"{"refuse":true}"# else {
            throw ModelError.failed("the settings say no")
        }
        context.log.info("made \(context.name) version \(context.version)")
    }

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        if call.text(Self.text, equals: "number") { return result.write(call[Self.number]) }
        result.write(jsonBytes: 256) { json in
            json.object { json in
                json.name("number")
                json.number(
                    call.text(Self.text, equals: "infinite") ? .infinity : call[Self.number]
                )
                json.name("maybe")
                json.number(call[Self.maybe] ?? -1)
                json.name("length")
                json.number(Double(call.withText(at: 2) { $0.count }))
                json.name("flag")
                json.boolean(call[Self.flag])
                json.name("list")
                json.array { json in
                    json.number(1)
                    json.string("two")
                }
            }
        }
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { ReadingModel.plugin(for: host) }
