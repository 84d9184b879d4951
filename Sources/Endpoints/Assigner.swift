// Which split a request goes to.
//
// Sticky: weighted rendezvous over SHA-256 (`rendezvous-sha256-v1`). Each split gets a number from
// the hash of experiment, split and subject, and the smallest `-ln(u) / weight` wins. So the order
// of the splits does not matter, experiments are independent of each other, and a change of weights
// moves only the subjects that it must. It can be recomputed in every SQL engine that has SHA-256.
//
// Not sticky: a weighted coin from a fast generator; no hash.

import CLinux
package import Digest

/// How a split was chosen; the text stands in answers and logs.
package enum AssignmentKind: String, Sendable, CaseIterable {
    /// By the subject's hash.
    case subject
    /// By a coin, since the endpoint has no experiment.
    case coin
    /// By a coin, since the request names no usable subject.
    case noSubject
    /// The caller named the split.
    case forced
    /// Only one split has a weight above 0.
    case only
    /// The split that was chosen could not answer.
    case fallback

    /// The member of a JSON object that says so, with a comma before it.
    package var member: StaticString {
        switch self {
        case .subject: ",\"assignment\":\"subject\""
        case .coin: ",\"assignment\":\"coin\""
        case .noSubject: ",\"assignment\":\"noSubject\""
        case .forced: ",\"assignment\":\"forced\""
        case .only: ",\"assignment\":\"only\""
        case .fallback: ",\"assignment\":\"fallback\""
        }
    }
}

/// Chooses among the splits of one endpoint.
package struct Assigner: Sendable {
    /// The name of the sticky rule, as logs have it.
    package static let algorithm = "rendezvous-sha256-v1"

    private struct Arm: Sendable {
        let split: Int
        let weight: Double
        /// The sum of the weights up to and including this arm's.
        let cumulative: Double
    }

    private let arms: [Arm]
    /// SHA-256 with each arm's `experiment:split:` hashed already, in the order of the arms.
    private let prefixes: [SHA256Group]
    /// The one split with a weight above 0, if there is only one.
    package let only: Int?

    /// Whether the split at this index has a weight above 0.
    package func getsTraffic(_ index: Int) -> Bool { arms.contains { $0.split == index } }

    /// Prepares the choice for an endpoint's splits, sorted by name.
    /// Without an experiment there is only the coin.
    package init(experiment: String?, splits: [Split], engine: SHA256.Engine = .best) {
        var arms: [Arm] = []
        var prefixes: [SHA256] = []
        var sum = 0.0
        for (index, split) in splits.enumerated() where split.weight > 0 {
            if let experiment {
                var prefix = SHA256(engine: engine)
                prefix.update("\(experiment):\(split.name):")
                prefixes.append(prefix)
            }
            sum += split.weight
            arms.append(Arm(split: index, weight: split.weight, cumulative: sum))
        }
        self.arms = arms
        self.prefixes = SHA256Group.groups(of: arms.count > 1 ? prefixes : [])
        only = arms.count == 1 ? arms[0].split : nil
    }

    /// The number in (0, 1) of one arm and one subject: 52 bits of the hash.
    package static func fraction(experiment: String, arm: String, subject: [UInt8]) -> Double {
        var hash = SHA256()
        hash.update("\(experiment):\(arm):")
        hash.update(subject.span)
        return fraction(hash.finishPrefix())
    }

    private static func fraction(_ digestPrefix: UInt64) -> Double {
        (Double(digestPrefix >> 12) + 0.5) / 4_503_599_627_370_496
    }

    /// The natural logarithm that scores are made with.
    package static func logarithm(_ number: Double) -> Double { clinux_log(number) }

    /// The split of a subject. The same subject has the same split, on every host.
    package func split(subject: Span<UInt8>) -> Int {
        if let only { return only }
        var best = arms[0].split
        var bestScore = Double.infinity
        var digests = SIMD4<UInt64>.zero
        for index in arms.indices {
            let (group, place) = index.quotientAndRemainder(dividingBy: SHA256Group.capacity)
            if place == 0 { digests = prefixes[group].finishPrefixes(subject) }
            let fraction = Assigner.fraction(digests[place])
            let score = -Assigner.logarithm(fraction) / arms[index].weight
            // On an exact tie the smallest name wins; the arms are sorted by name.
            if score < bestScore {
                bestScore = score
                best = arms[index].split
            }
        }
        return best
    }

    /// The split of a coin flip; `random` is 64 random bits.
    package func split(random: UInt64) -> Int {
        let total = arms[arms.count - 1].cumulative
        let point = Double(random >> 11) * 0x1p-53 * total
        for index in arms.indices where point < arms[index].cumulative {
            return arms[index].split
        }
        return arms[arms.count - 1].split
    }
}

/// A fast generator of random bits for one loop (xoshiro256++, Blackman and Vigna 2019).
package struct CoinGenerator: Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Starts from a seed; every loop gets another one.
    package init(seed: UInt64) {
        var mix = seed
        func next() -> UInt64 {
            mix &+= 0x9e37_79b9_7f4a_7c15
            var z = mix
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return z ^ z >> 31
        }
        state = (next(), next(), next(), next())
    }

    /// The next 64 random bits.
    package mutating func next() -> UInt64 {
        func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
        let result = rotate(state.0 &+ state.3, 23) &+ state.0
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotate(state.3, 45)
        return result
    }
}
