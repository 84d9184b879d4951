// The weight of a split, and endpoints with other weights than their files say.

import Bytes
import YAML

/// A split's share of the traffic, relative to the other splits'.
package struct Weight: Equatable, Sendable {
    /// Finite, not negative.
    package let number: Double
    /// As it was written, in JSON's form.
    package let text: String

    /// Weights stand in every log record; smaller ones would make scores infinite.
    package static let bytesMaximum = 40
    /// The smallest weight above 0.
    package static let minimum = 1e-100
    /// What is taken as a weight.
    package static let rule =
        "0 or a number from \(minimum) on, with at most \(bytesMaximum) characters"

    /// No traffic.
    package static let zero = Weight(number: 0, text: "0")

    /// All traffic, where no other split has any.
    package static let one = Weight(number: 1, text: "1")

    private init(number: Double, text: String) { (self.number, self.text) = (number, text) }

    /// Takes JSON's or YAML's text of a number from 0 on; nil when it is none, or beyond the rule.
    package init?(_ text: String) {
        guard case .number(let json) = Scalar(text), json.utf8.count <= Self.bytesMaximum,
            let number = Double(json), number.isFinite, number >= 0
        else { return nil }
        let mantissa = json.utf8.prefix { $0 | 0x20 != UInt8(ascii: "e") }
        // What is too small for a double is not nothing.
        if mantissa.allSatisfy({ $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }) {
            (self.number, self.text) = (0, "0")
        } else {
            guard number >= Self.minimum else { return nil }
            (self.number, self.text) = (number, json)
        }
    }
}

/// Why weights cannot be set, in one sentence.
package struct WeightError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

extension Endpoint {
    /// The endpoint with other weights for the splits that are named; the others keep theirs.
    package func with(_ weights: [(split: String, weight: Weight)]) throws(WeightError) -> Endpoint
    {
        for (name, _) in weights where !splits.contains(where: { $0.name == name }) {
            let names = splits.map(\.name)
            let guess = Suggestion.nearest(to: name, in: names)
            throw WeightError(
                "the endpoint \(self.name) has no split '\(name)'; "
                    + (guess.map { "did you mean '\($0)'? " } ?? "")
                    + "it has \(names.joined(separator: ", "))"
            )
        }
        let changed = splits.map { split in
            guard let weight = weights.last(where: { $0.split == split.name })?.weight else {
                return split
            }
            return Split(
                name: split.name,
                weight: weight.number,
                weightText: weight.text,
                backend: split.backend
            )
        }
        let total = changed.reduce(0) { $0 + $1.weight }
        guard total > 0, total.isFinite else {
            throw WeightError(
                "the weights of the endpoint \(name) would have the sum \(total); wanted a finite "
                    + "sum above 0; weights are relative: 1 and 3 means one quarter and three"
            )
        }
        return Endpoint(
            name: name,
            splits: changed,
            experiment: experiment,
            service: service,
            fallback: fallback
        )
    }

    /// Each split's share of the traffic, by its name.
    package var shares: [String: Double] {
        let total = splits.reduce(0) { $0 + $1.weight }
        return Dictionary(uniqueKeysWithValues: splits.map { ($0.name, $0.weight / total) })
    }

    /// The share of subjects that have another split in another state of the same endpoint, exactly
    /// as expected of the hash; nil where a coin decides for each row.
    ///
    /// Source: research/experimentation.md 1.4, P(stay) = Σ_i 1 / Σ_j max(p_j/p_i, q_j/q_i).
    package func movedSubjects(to other: Endpoint) -> Double? {
        guard let old = experiment, let new = other.experiment else { return nil }
        let (before, after) = (shares, other.shares)
        let names = Set(before.keys).union(after.keys)
        func p(_ name: String) -> Double { before[name] ?? 0 }
        func q(_ name: String) -> Double { after[name] ?? 0 }
        let staying = names.filter { p($0) > 0 && q($0) > 0 }
        // Another seed or another subject: both choices have nothing to do with each other.
        guard old == new else { return 1 - staying.reduce(0) { $0 + p($1) * q($1) } }
        let stay = staying.reduce(0) { sum, i in
            sum + 1 / names.reduce(0) { $0 + max(p($1) / p(i), q($1) / q(i)) }
        }
        // What rounding leaves is nobody.
        return stay > 1 - 1e-12 ? 0 : 1 - stay
    }
}
