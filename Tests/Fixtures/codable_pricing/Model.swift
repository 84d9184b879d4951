// The price that the shop tries, by way of Codable: what the convenient way costs is measured
// against `Plugins/pricing_model_v2`, which answers the same.
public import ModelPlugin

struct Purchase: Decodable {
    enum CodingKeys: String, CodingKey {
        case userID = "user_id"
        case category, price, quantity
    }

    let userID: Int
    let category: String
    let price: Double
    let quantity: Double
}

struct Price: Encodable {
    let total: Double
    let unit: Double
}

struct PricingModel: CodableModel {
    init(_ context: ModelContext) {}

    func predict(_ purchase: Purchase) throws -> Price {
        guard purchase.price >= 0 else { throw ModelError.invalidInput("price is below 0") }
        guard purchase.quantity >= 1 else { throw ModelError.invalidInput("quantity is below 1") }
        let factor = purchase.category == "shopping" ? 0.97 : 1
        let discount = 0.25 * (1 - 1 / purchase.quantity)
        let unit = purchase.price * factor * (1 - discount)
        return Price(total: cents(unit * purchase.quantity), unit: cents(unit))
    }

    /// Rounds to whole cents.
    private func cents(_ amount: Double) -> Double {
        (amount * 100).rounded() / 100
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { PricingModel.plugin(for: host) }
