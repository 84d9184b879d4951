// Version 2 of the fraud model, in Swift: odds, multiplied by what is suspicious.

public import ModelPlugin

struct FraudModel: Model {
    static let amount = Input<Double>(
        0,
        "amount",
        doc: "what is paid, 0 or more",
        schema: #"{"minimum": 0, "maximum": 1.7976931348623157e308}"#
    )
    static let category = Input<String>(1, "merchant_category", doc: "for example electronics")
    static let hour = Input<Double>(
        2,
        "hour",
        doc: "local hour at the merchant, 0 to 23",
        schema: #"{"minimum": 0, "exclusiveMaximum": 24}"#
    )
    static let isForeign = Input<Bool>(3, "is_foreign", doc: "whether the merchant is abroad")
    static let minutesSinceLast = Input<Double?>(
        4,
        "minutes_since_last",
        doc: "since the card's last payment; left out when there was none"
    )

    static let description = ModelDescription(
        inputs: [
            amount.declaration, category.declaration, hour.declaration, isForeign.declaration,
            minutesSinceLast.declaration,
        ],
        output: .classifier(["legitimate", "fraud"], probability: "score").schema(
            #"""
            {"type": "object", "required": ["fraud", "score"], "properties":
            {"fraud": {"type": "boolean"}, "score": {"type": "number", "minimum": 0, "maximum": 1}}}
            """#
        ),
        doc: "Whether a card payment looks like fraud, by odds.",
        examples: [
            #"""
            {"transaction_id": "t-1", "customer_id": 123, "amount": 1500,
            "merchant_category": "electronics", "hour": 3, "is_foreign": true,
            "minutes_since_last": 2}
            """#,
            #"""
            {"amount": 12.5, "merchant_category": "groceries", "hour": 17, "is_foreign": false}
            """#,
        ]
    )

    init(_ context: ModelContext) {}

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        let amount = call[Self.amount]
        let hour = call[Self.hour]
        guard amount >= 0 else { throw ModelError.invalidInput("amount is below 0") }
        guard hour >= 0, hour < 24 else {
            throw ModelError.invalidInput("hour is not between 0 and 23")
        }
        var odds = 0.02 * (1 + amount / 100) * categoryFactor(call)
        if hour < 6 { odds *= 3 }
        if call[Self.isForeign] { odds *= 4 }
        if let minutes = call[Self.minutesSinceLast], minutes < 5 { odds *= 4 }
        let score = odds / (1 + odds)
        result.write(jsonBytes: 80) { json in
            json.object { json in
                json.name("fraud")
                json.boolean(score >= 0.5)
                json.name("score")
                json.number(score)
            }
        }
    }

    private func categoryFactor(_ call: borrowing ModelCall) -> Double {
        if call.text(Self.category, equals: "gambling") { return 5 }
        if call.text(Self.category, equals: "jewelry") { return 3 }
        if call.text(Self.category, equals: "electronics") { return 2 }
        if call.text(Self.category, equals: "travel") { return 1.5 }
        return 1
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { FraudModel.plugin(for: host) }
