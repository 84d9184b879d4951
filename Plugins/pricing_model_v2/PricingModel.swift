// The price that the shop tries: a margin by category, and a smoother discount.

public import ModelPlugin

struct PricingModel: Model {
    static let price = Input<Double>(
        0,
        "price",
        doc: "list price of one piece",
        schema: #"{"minimum": 0, "maximum": 1000000000}"#
    )
    static let quantity = Input<Double>(
        1,
        "quantity",
        doc: "pieces, from 1 on",
        schema: #"{"minimum": 1, "maximum": 1000000000}"#
    )
    static let category = Input<String>(2, "category", doc: "for example shopping")
    static let userID = Input<JSONPart>(3, "user_id", doc: "whose price it is")

    static let description = ModelDescription(
        inputs: [
            price.declaration, quantity.declaration, category.declaration, userID.declaration,
        ],
        output: OutputDeclaration("json").schema(
            #"""
            {"type": "object", "required": ["total", "unit"],
            "properties": {"total": {"type": "number"}, "unit": {"type": "number"}}}
            """#
        ),
        doc: "Total price and unit price with a discount that nears 25 %, and a category factor.",
        examples: [
            #"{"user_id": 123, "category": "shopping", "price": 19.99, "quantity": 3}"#
        ]
    )

    init(_ context: ModelContext) {}

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        let price = call[Self.price]
        let quantity = call[Self.quantity]
        guard price >= 0 else { throw ModelError.invalidInput("price is below 0") }
        guard quantity >= 1 else { throw ModelError.invalidInput("quantity is below 1") }
        guard max(price, quantity) <= 1e9 else {
            throw ModelError.invalidInput("price or quantity is above 1000000000")
        }
        let factor = call.text(Self.category, equals: "shopping") ? 0.97 : 1
        let discount = 0.25 * (1 - 1 / quantity)
        let unit = price * factor * (1 - discount)
        result.write(jsonBytes: 160) { json in
            json.object { json in
                json.name("total")
                json.number(cents(unit * quantity))
                json.name("unit")
                json.number(cents(unit))
            }
        }
    }

    /// Rounds to whole cents.
    private func cents(_ amount: Double) -> Double {
        (amount * 100).rounded() / 100
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { PricingModel.plugin(for: host) }
