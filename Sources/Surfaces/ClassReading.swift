// A classifier's result as labels and probabilities, by what its model has declared.

import Bytes
package import Endpoints
import JSON

/// Reads results of classifiers. It keeps its memory from one result to the next.
package struct ClassReading: Sendable {
    /// Made with the first result of a classifier: most are none.
    private var document: JSONDocument?
    /// The probability of each class, in the order of the declaration.
    package private(set) var probabilities: [Double] = []

    /// Gives back what one large result has made grow.
    package mutating func shrink(to bytes: Int) {
        if probabilities.capacity > bytes / 8 { probabilities = [] }
    }

    package init() {}

    /// The class that is predicted: of two the second one from one half on, of more the first of
    /// the most probable.
    package var prediction: Int {
        if probabilities.count == 2 { return probabilities[1] >= 0.5 ? 1 : 0 }
        var best = 0
        for index in probabilities.indices where probabilities[index] > probabilities[best] {
            best = index
        }
        return best
    }

    /// Reads a result: checked JSON. False: it is not what was declared.
    package mutating func read(_ result: Span<UInt8>, as output: OutputDescription) -> Bool {
        guard !output.classes.isEmpty else { return false }
        var document = self.document.take() ?? JSONDocument()
        defer { self.document = document }
        guard (try? document.parse(result)) != nil else { return false }
        var index = 0
        if let member = output.probability {
            guard let place = document.member(member, of: 0, in: result) else { return false }
            index = place
        }
        probabilities.removeAll(keepingCapacity: true)
        switch document.entries[index].kind {
        case .number:
            guard output.classes.count == 2, let second = number(document.entries[index], result)
            else {
                return false
            }
            probabilities = [1 - second, second]
        case .array:
            for element in document.children(of: index) {
                guard let number = number(document.entries[element], result) else { return false }
                probabilities.append(number)
            }
        case .object:
            for label in output.classes {
                guard let place = document.member(Array(label.utf8), of: index, in: result),
                    let number = number(document.entries[place], result)
                else { return false }
                probabilities.append(number)
            }
        default: return false
        }
        return probabilities.count == output.classes.count
    }

    /// A probability.
    private func number(_ entry: JSONEntry, _ text: Span<UInt8>) -> Double? {
        guard entry.kind == .number else { return nil }
        let number = JSONNumber.double(text.extracting(entry.range))
        return number >= 0 && number <= 1 ? number : nil
    }
}
