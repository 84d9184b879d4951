public import ModelPlugin

/// The price of an order. Replace it with your model.
struct OrderModel: Model {
    static let price = Input<Double>(0, "price", doc: "price of one piece")
    static let quantity = Input<Double>(1, "quantity", doc: "pieces, from 1 on")

    static let description = ModelDescription(
        inputs: [price.declaration, quantity.declaration],
        doc: "Price of an order.",
        examples: [#"{"price": 2.5, "quantity": 4}"#]
    )

    /// `context` has the settings, the folder of resources and a log.
    init(_ context: ModelContext) {}

    func predict(_ call: borrowing ModelCall, into result: inout ModelResult) throws {
        let quantity = call[Self.quantity]
        guard quantity >= 1 else { throw ModelError.invalidInput("quantity is below 1") }
        result.write(total(price: call[Self.price], quantity: quantity))
    }
}

/// The model itself, apart from the host, so that a test can ask it.
func total(price: Double, quantity: Double) -> Double {
    price * quantity
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { OrderModel.plugin(for: host) }
