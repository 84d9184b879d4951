import Endpoints
import Testing

/// The promises of the sticky rule, held against theory (the research note on experiments, 1.4):
/// what a change of weights moves, that experiments are independent of each other, and that nothing
/// but names, weights and subject decides.
struct MovementTests {
    private static let subjects = 40_000

    /// The split of every subject, by its name.
    private func arms(
        _ experiment: String,
        _ weights: [(String, Double)],
        _ subjects: Int = subjects
    ) -> [String] {
        let endpoint = Endpoint(
            name: "e",
            splits: weights.map {
                Split(name: $0.0, weight: $0.1, weightText: "", backend: .value("1"))
            },
            experiment: nil,
            service: "e"
        )
        let assigner = Assigner(experiment: experiment, splits: endpoint.splits)
        return (0..<subjects).map { subject in
            let text = Array("user-\(subject)".utf8)
            return endpoint.splits[assigner.split(subject: text.span)].name
        }
    }

    /// P(stay) = Σ_i 1 / Σ_j max(p_j/p_i, q_j/q_i), over the splits that have a weight in both.
    private func movedInTheory(_ old: [(String, Double)], _ new: [(String, Double)]) -> Double {
        let names = Set(old.map(\.0)).union(new.map(\.0))
        func share(_ weights: [(String, Double)], _ name: String) -> Double {
            let total = weights.reduce(0) { $0 + $1.1 }
            return (weights.first { $0.0 == name }?.1 ?? 0) / total
        }
        var stay = 0.0
        for i in names where share(old, i) > 0 && share(new, i) > 0 {
            stay +=
                1
                / names.reduce(0.0) { sum, j in
                    sum + max(share(old, j) / share(old, i), share(new, j) / share(new, i))
                }
        }
        return 1 - stay
    }

    private static let changes: [(old: [(String, Double)], new: [(String, Double)])] = [
        ([("a", 1), ("b", 3)], [("a", 25), ("b", 75)]),  // another scale
        ([("a", 1), ("b", 1)], [("a", 1), ("b", 3)]),
        ([("a", 95), ("b", 5)], [("a", 90), ("b", 10)]),  // a canary
        ([("a", 1), ("b", 1)], [("a", 1), ("b", 1), ("c", 1)]),  // a further split
        ([("a", 1), ("b", 1), ("c", 1)], [("a", 1), ("b", 1)]),  // one less
        ([("a", 1), ("b", 2), ("c", 3)], [("a", 3), ("b", 2), ("c", 1)]),
        ([("a", 1), ("b", 1), ("c", 1)], [("a", 1), ("b", 1), ("c", 0)]),  // one is paused
        ([("a", 0.2), ("b", 0.3), ("c", 0.5)], [("a", 0.5), ("b", 0.1), ("c", 0.2), ("d", 0.2)]),
    ]

    @Test(arguments: 0..<8)
    func `a change of weights moves the share that theory says`(index: Int) {
        let (old, new) = Self.changes[index]
        let before = arms("checkout", old)
        let after = arms("checkout", new)
        let moved = zip(before, after).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
        let share = Double(moved) / Double(Self.subjects)
        let theory = movedInTheory(old, new)
        // Four standard errors: one in 16,000 would pass it if subjects were new in each run, and
        // they are not.
        let error = (theory * (1 - theory) / Double(Self.subjects)).squareRoot()
        #expect(abs(share - theory) <= 4 * error, "moved \(share), theory \(theory)")
        let leastPossible = Set(old.map(\.0)).union(new.map(\.0)).reduce(0.0) { sum, name in
            func share(_ weights: [(String, Double)]) -> Double {
                (weights.first { $0.0 == name }?.1 ?? 0) / weights.reduce(0) { $0 + $1.1 }
            }
            return sum + abs(share(old) - share(new)) / 2
        }
        #expect(theory >= leastPossible - 1e-12)
        #expect(theory <= 2 * leastPossible / (1 + leastPossible) + 1e-12)
    }

    @Test func `sixteen experiments on the same subjects are independent of each other`() {
        let names = (1...12).map { "exp\($0)" } + ["checkout", "checkout-v2", "foo", "foo2"]
        let weights = [("a", 1.0), ("b", 1.0)]
        let assigned = names.map { name in arms(name, weights, 50_000).map { $0 == "a" } }
        var largest = 0.0
        for one in names.indices {
            for other in names.indices where other > one {
                largest = max(largest, abs(phi(assigned[one], assigned[other])))
            }
        }
        // Independent coins have a largest of about 0.019 here; no salt has 1, GrowthBook v1 0.89.
        #expect(largest < 0.02, "the largest |φ| of 120 pairs is \(largest)")
    }

    /// The correlation of two yes-or-no columns.
    private func phi(_ one: [Bool], _ other: [Bool]) -> Double {
        var counts = [0.0, 0.0, 0.0, 0.0]
        for (a, b) in zip(one, other) { counts[(a ? 2 : 0) + (b ? 1 : 0)] += 1 }
        let rows = [counts[0] + counts[1], counts[2] + counts[3]]
        let columns = [counts[0] + counts[2], counts[1] + counts[3]]
        let product = rows[0] * rows[1] * columns[0] * columns[1]
        return (counts[3] * counts[0] - counts[1] * counts[2]) / product.squareRoot()
    }

    @Test func `every order of the splits assigns every subject alike`() {
        let weights = [("a", 1.0), ("b", 2.0), ("c", 0.5), ("d", 4.0)]
        let wanted = arms("orders", weights, 500)
        var orders = [[(String, Double)]()]
        for weight in weights {
            orders = orders.flatMap { order in
                (0...order.count).map { place in
                    var longer = order
                    longer.insert(weight, at: place)
                    return longer
                }
            }
        }
        #expect(orders.count == 24)
        for order in orders { #expect(arms("orders", order, 500) == wanted) }
    }

    @Test func `other names of splits and experiments are other assignments`() {
        let one = arms("one", [("a", 1), ("b", 1)], 2000)
        let other = arms("two", [("a", 1), ("b", 1)], 2000)
        let same = zip(one, other).reduce(0) { $0 + ($1.0 == $1.1 ? 1 : 0) }
        #expect(abs(Double(same) / 2000 - 0.5) < 0.05)
    }
}
