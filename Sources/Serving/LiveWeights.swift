// Weights that were set while the host runs: they belong to a revision, and the files stay as they
// are.

package import Endpoints
package import JSON

/// The live weights of one endpoint.
package struct LiveWeights: Equatable, Sendable {
    package let endpoint: String
    /// The splits that were named, sorted by name.
    package let weights: [(split: String, weight: Weight)]
    /// Who set them, such as `user 0`.
    package let author: String
    /// When, `2026-11-21T03:00:00.123456Z`.
    package let since: String

    package init(
        endpoint: String,
        weights: [(split: String, weight: Weight)],
        author: String,
        since: String
    ) {
        self.endpoint = endpoint
        self.weights = weights.sorted { $0.split < $1.split }
        self.author = author
        self.since = since
    }

    package static func == (a: LiveWeights, b: LiveWeights) -> Bool {
        a.hasSameWeights(as: b) && a.author == b.author && a.since == b.since
    }

    /// Whether both say the same, whoever said it and when.
    func hasSameWeights(as other: LiveWeights) -> Bool {
        endpoint == other.endpoint
            && weights.elementsEqual(other.weights) {
                $0.split == $1.split && $0.weight == $1.weight
            }
    }

    /// The same with further weights, which count where both name a split.
    func adding(
        _ further: [(split: String, weight: Weight)],
        author: String,
        since: String
    ) -> LiveWeights {
        let rest = weights.filter { old in !further.contains { $0.split == old.split } }
        return LiveWeights(
            endpoint: endpoint,
            weights: rest + further,
            author: author,
            since: since
        )
    }

    /// `control 9, experiment 1`
    package var text: String {
        weights.map { "\($0.split) \($0.weight.text)" }.joined(separator: ", ")
    }

    /// `{"author": …, "since": …, "weights": {…}}`
    package var json: JSONValue {
        .object([
            .init("author", .string(author)), .init("since", .string(since)),
            .init("weights", .object(weights.map { .init($0.split, .number($0.weight.text)) })),
        ])
    }

    /// Reads what `json` writes; nil when it is something else.
    init?(endpoint: String, _ value: JSONValue) {
        guard let author = value["author"]?.string, let since = value["since"]?.string,
            let weights = LiveWeights.weights(value["weights"])
        else { return nil }
        self.init(endpoint: endpoint, weights: weights, author: author, since: since)
    }

    /// Reads `{"control": 9, "experiment": 1}`; nil when it is something else, or nothing.
    package static func weights(_ value: JSONValue?) -> [(split: String, weight: Weight)]? {
        guard let members = value?.object, !members.isEmpty else { return nil }
        var weights: [(split: String, weight: Weight)] = []
        for member in members {
            guard case .number(let text) = member.value, let weight = Weight(text) else {
                return nil
            }
            weights.append((member.name, weight))
        }
        return weights
    }
}
