// The price that the shop asks today: a discount by quantity.

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
        doc: "Total price with a discount of 2 % a piece behind the first, at most 20 %.",
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
        let discount = min(0.02 * (quantity - 1), 0.2)
        result.write(cents(price * quantity * (1 - discount)))
    }

    /// Rounds to whole cents.
    private func cents(_ amount: Double) -> Double {
        (amount * 100).rounded() / 100
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { PricingModel.plugin(for: host) }
