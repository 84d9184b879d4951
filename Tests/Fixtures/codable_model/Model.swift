// A model by way of Codable.
public import ModelPlugin

struct Basket: Decodable {
    struct Item: Decodable {
        let name: String
        let price: Double
        let count: Int?
    }

    let items: [Item]
    let voucher: String?
}

struct Receipt: Encodable {
    let total: Double
    let names: [String]
    let hasVoucher: Bool
}

struct BasketModel: CodableModel {
    init(_ context: ModelContext) {}

    func predict(_ basket: Basket) throws -> Receipt {
        guard !basket.items.isEmpty else { throw ModelError.invalidInput("the basket is empty") }
        return Receipt(
            total: basket.items.reduce(0) { $0 + $1.price * Double($1.count ?? 1) },
            names: basket.items.map(\.name),
            hasVoucher: basket.voucher != nil
        )
    }
}

/// What the host calls first.
@c(model_plugin_entry)
public func entry(_ host: HostAddress) -> PluginAddress { BasketModel.plugin(for: host) }
