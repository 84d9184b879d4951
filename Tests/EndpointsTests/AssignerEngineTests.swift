import Digest
import Endpoints
import TestSupport
import Testing

/// Every engine makes every assignment as the naive rule does.
struct AssignerEngineTests {
    private func splits(_ count: Int, _ coin: inout CoinGenerator) -> [Split] {
        var names: Set<String> = []
        while names.count < count {
            let length = Int(coin.next() % 24) + 1
            let letters = (0..<length).map { _ in 97 + UInt8(coin.next() % 8) }
            names.insert(String(decoding: letters, as: UTF8.self))
        }
        return names.sorted().map {
            // Uneven, and now and then none.
            let weight = coin.next() % 10 == 0 ? 0 : Double(coin.next() % 1000 + 1) / 7
            return Split(name: $0, weight: weight, weightText: "", backend: .value("1"))
        }
    }

    private func naive(_ experiment: String, _ splits: [Split], _ subject: [UInt8]) -> Int? {
        var best: (score: Double, index: Int)?
        for (index, split) in splits.enumerated() where split.weight > 0 {
            let fraction = Assigner.fraction(
                experiment: experiment,
                arm: split.name,
                subject: subject
            )
            let score = -Assigner.logarithm(fraction) / split.weight
            if best.map({ score < $0.score }) ?? true { best = (score, index) }
        }
        return best?.index
    }

    @Test(arguments: 1...64)
    func `random subjects get the split of the naive rule`(count: Int) {
        var coin = CoinGenerator(seed: UInt64(count))
        var splits = splits(count, &coin)
        splits[0] = Split(name: splits[0].name, weight: 1, weightText: "", backend: .value("1"))
        let lengths = [1, 3, 10, 30, 60, 120, 1024]
        // Experiments longer than a block, too.
        let experiment = String(repeating: "x", count: count * 3)
        let assigners = SHA256.Engine.available.map {
            Assigner(experiment: experiment, splits: splits, engine: $0)
        }
        for _ in 0..<50 {
            let length = Int(coin.next() % UInt64(lengths[Int(coin.next() % 7)])) + 1
            let subject = (0..<length).map { _ in UInt8(truncatingIfNeeded: coin.next()) }
            let wanted = naive(experiment, splits, subject)
            for assigner in assigners {
                let found = assigner.split(subject: subject.span)
                #expect(found == wanted, "\(length) bytes")
            }
        }
    }

    @Test(arguments: SHA256.Engine.available)
    func `an assignment allocates nothing`(engine: SHA256.Engine) {
        var coin = CoinGenerator(seed: 1)
        let assigner = Assigner(experiment: "foo", splits: splits(9, &coin), engine: engine)
        let subject = Array("user-1".utf8)
        var sum = 0
        let count = AllocationCount.during(calls: 100) {
            sum += assigner.split(subject: subject.span)
        }
        #expect(count == nil || count == 0)
    }
}
