// What a model says of its results. Requests are answered without it; it says how a result looks in
// a protocol that has words of its own for classes.

package import JSON

/// A model's declared output.
package struct OutputDescription: Equatable, Sendable {
    /// The type of a result: `number`, `string`, `boolean` or `json`.
    package let type: InputType
    /// The labels of a classifier; empty: it is none. With two of them the second one is what the
    /// probability of a result is of.
    package let classes: [String]
    /// The member of a result that has the probability; nil: the result is it.
    package let probability: [UInt8]?
    /// What a result is, as a JSON Schema.
    package let schema: JSONValue?

    /// Labels of one classifier.
    package static let classesMaximum = 1024

    /// What is known of results that nobody has declared.
    package static let unknown = OutputDescription(type: .json)

    package init(
        type: InputType,
        classes: [String] = [],
        probability: String? = nil,
        schema: JSONValue? = nil
    ) {
        self.schema = schema
        self.type = type
        self.classes = classes
        self.probability = probability.map { Array($0.utf8) }
    }

    /// Reads the member `output` of a description.
    init(json value: JSONValue?) throws(DescriptionError) {
        guard let value else {
            self = .unknown
            return
        }
        guard let members = value.object else {
            throw DescriptionError("describe() has \"output\" that is no object")
        }
        let known = ["type", "doc", "classes", "probability", "schema"]
        if let unknown = members.first(where: { !known.contains($0.name) }) {
            throw DescriptionError(
                "describe() has \"output\" with the unknown member \"\(unknown.name)\"; "
                    + "known are \(known.joined(separator: ", "))"
            )
        }
        let word = value["type"]?.string ?? "json"
        guard let type = InputType(rawValue: word) else {
            let types = InputType.allCases.map(\.rawValue).joined(separator: ", ")
            throw DescriptionError(
                "describe() gives \"output\" the type \"\(word)\"; it is one of \(types)"
            )
        }
        let classes = try Self.classes(value["classes"])
        let probability = value["probability"]?.string
        guard value["probability"] == nil || probability != nil && !classes.isEmpty else {
            throw DescriptionError(
                "describe() has \"output\" with a \"probability\" that is not the name of a member "
                    + "of the results of a classifier, which has \"classes\""
            )
        }
        self.init(
            type: type,
            classes: classes,
            probability: probability,
            schema: try ModelDescription.schema(value, "the output")
        )
    }

    private static func classes(_ value: JSONValue?) throws(DescriptionError) -> [String] {
        guard let value else { return [] }
        let labels = value.array?.compactMap(\.string) ?? []
        guard let given = value.array, given.count == labels.count, labels.count >= 2,
            labels.count <= classesMaximum, Set(labels).count == labels.count
        else {
            throw DescriptionError(
                "describe() has \"output\" with \"classes\" that are not 2 to \(classesMaximum) "
                    + "different strings"
            )
        }
        return labels
    }
}
