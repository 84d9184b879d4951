import Endpoints
import Testing

/// What is taken as a weight.
struct WeightTests {
    @Test(arguments: ["0", "0.0", "0e5", "00", "1e-100", "1", "0.25", "3e10", "12345.678"])
    func `a number from 0 on is a weight`(text: String) {
        #expect(Weight(text)?.number == Double(text))
    }

    @Test(arguments: [
        "-1", "-0", "1e-400", "1e-101", "0.\(String(repeating: "0", count: 50))1", "1e400", "nan",
        "inf", "", "a", "0x1",
        String(repeating: "1", count: 41), "1 ", "null",
    ])
    func `what is no number, too small or too long is none`(text: String) {
        #expect(Weight(text) == nil)
    }
}
