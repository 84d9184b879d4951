import Testing

@testable import my_model

struct ModelTests {
    @Test func `an order costs its pieces`() {
        #expect(total(price: 2.5, quantity: 4) == 10)
    }
}
