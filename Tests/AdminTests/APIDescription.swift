import JSON
import TestSupport

/// The document at `/openapi.json`, and what of an answer is not as it says.
struct APIDescription {
    let document: JSONValue

    /// What a schema may say here; another word would be passed over without anybody knowing.
    private static let keywords: Set = [
        "$ref", "type", "enum", "required", "properties", "additionalProperties", "items", "oneOf",
        "anyOf", "not",
        "minimum", "maximum", "minProperties", "maxLength", "minLength", "pattern", "deprecated",
        "description", "format",
        "default",
        "discriminator",
    ]

    /// Statuses of requests that are no HTTP that is spoken.
    private static let framing: Set = [414, 417, 431, 501, 505]

    init(_ document: JSONValue) { self.document = document }

    var paths: [JSONValue.Member] { document["paths"]?.object ?? [] }

    /// A value, or what its `$ref` leads to.
    func resolved(_ value: JSONValue) -> JSONValue {
        guard let place = value["$ref"]?.string else { return value }
        var target = document
        for part in place.split(separator: "/").dropFirst() {
            target = target[String(part)] ?? .null
        }
        return target
    }

    func schema(_ name: String) -> JSONValue {
        document["components"]?["schemas"]?[name] ?? .null
    }

    /// What is wrong with the answer to an operation.
    func problems(_ answer: Answer, _ method: String, _ path: String) -> [String] {
        let here = "\(method) \(path): \(answer.status)"
        guard let operation = document["paths"]?[path]?[method.lowercased()] else {
            return ["\(here): there is no such operation"]
        }
        let isFraming = Self.framing.contains(answer.status)
        let name = isFraming ? "default" : "\(answer.status)"
        guard let found = operation["responses"]?[name] else { return ["\(here): not described"] }
        let response = resolved(found)
        guard let type = answer.field("content-type"), let content = response["content"]?[type],
            let schema = content["schema"]
        else { return ["\(here): \(answer.field("content-type") ?? "no type") is not described"] }
        if type != "application/json" { return answer.body.isEmpty ? ["\(here): empty"] : [] }
        guard let value = try? JSONValue(parsing: answer.body) else {
            return ["\(here): no JSON: \(answer.text)"]
        }
        return problems(value, schema, at: here)
    }

    /// What is wrong with a value.
    func problems(_ value: JSONValue, _ schema: JSONValue, at place: String) -> [String] {
        let schema = resolved(schema)
        guard let keywords = schema.object else { return ["\(place): no schema"] }
        var problems = keywords.filter { !Self.keywords.contains($0.name) }
            .map { "\(place): the schema says \($0.name)" }
        if let kinds = schema["oneOf"]?.array {
            let fits = kinds.filter { self.problems(value, $0, at: place).isEmpty }
            if fits.count != 1 {
                problems.append("\(place): \(fits.count) of the kinds fit \(value.text)")
            }
        }
        if let kinds = schema["anyOf"]?.array,
            kinds.allSatisfy({ !self.problems(value, $0, at: place).isEmpty })
        {
            problems.append("\(place): none of the kinds fits \(value.text)")
        }
        if let wrong = schema["not"], self.problems(value, wrong, at: place).isEmpty {
            problems.append("\(place): \(value.text) must not be")
        }
        if let type = schema["type"], !hasType(value, type) {
            return problems + ["\(place): \(value.text) is no \(type.text)"]
        }
        if let values = schema["enum"]?.array, !values.contains(value) {
            problems.append("\(place): \(value.text) is none of \(values.map(\.text))")
        }
        if let most = number(schema["maximum"]), let found = number(value), found > most {
            problems.append("\(place): \(found) is above \(most)")
        }
        if let least = number(schema["minimum"]), let found = number(value), found < least {
            problems.append("\(place): \(found) is below \(least)")
        }
        for (index, element) in (value.array ?? []).enumerated() {
            guard let items = schema["items"] else { return problems + ["\(place): no items"] }
            problems += self.problems(element, items, at: "\(place)[\(index)]")
        }
        return problems + (value.object.map { memberProblems($0, schema, at: place) } ?? [])
    }

    private func memberProblems(
        _ members: [JSONValue.Member],
        _ schema: JSONValue,
        at place: String
    ) -> [String] {
        var problems: [String] = []
        for name in schema["required"]?.array?.compactMap(\.string) ?? []
        where !members.contains(where: { $0.name == name }) {
            problems.append("\(place): \(name) is missing")
        }
        let further = schema["additionalProperties"]
        for member in members {
            let here = "\(place).\(member.name)"
            if let own = schema["properties"]?[member.name] ?? further, own.object != nil {
                problems += self.problems(member.value, own, at: here)
            } else if schema["properties"] != nil {
                problems.append("\(here): not described")
            }
        }
        if let least = number(schema["minProperties"]), Double(members.count) < least {
            problems.append("\(place): too few members")
        }
        return problems
    }

    private func number(_ value: JSONValue?) -> Double? {
        if case .number(let text) = value { Double(text) } else { nil }
    }

    private func hasType(_ value: JSONValue, _ type: JSONValue) -> Bool {
        if let types = type.array { return types.contains { hasType(value, $0) } }
        return switch (type.string, value) {
        case ("null", .null), ("boolean", .boolean), ("string", .string), ("array", .array),
            ("object", .object), ("number", .number):
            true
        case ("integer", .number(let text)): Int(text) != nil
        default: false
        }
    }
}

/// Calls operations and notes whatever is not as the document says.
final class DescribedCaller {
    let host: LiveAdmin
    let description: APIDescription
    private(set) var problems: [String] = []
    /// Every kind of change that an answer had.
    private(set) var changes: Set<String> = []

    init(_ host: LiveAdmin) throws {
        self.host = host
        description = APIDescription(try host.call("GET", "/openapi.json").json)
    }

    /// Calls an operation; `parts` stand for the parameters of its path, in order.
    @discardableResult
    func call(
        _ method: String,
        _ path: String,
        _ parts: [String] = [],
        _ body: String = ""
    ) throws -> Answer {
        var left = parts[...]
        let filled = path.split(separator: "/").map { part in
            part.hasPrefix("{") ? left.popFirst() ?? "" : String(part)
        }
        let answer = try host.call(method, "/" + filled.joined(separator: "/"), body)
        problems += description.problems(answer, method, path)
        let both = ["changes", "leftOut"].flatMap { answer.json[$0]?.array ?? [] }
        for change in both {
            changes.insert(change["change"]?.string ?? "")
        }
        return answer
    }

    /// Reloads; what came of it.
    @discardableResult
    func reload(_ body: String = "") throws -> String? {
        try call("POST", "/admin/v1/reload", [], body).json["outcome"]?.string
    }
}
