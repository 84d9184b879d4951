// JSON as a tree, for what is read once: descriptions of models, revisions, manifests' settings.
// The path of a request never uses it.

import Bytes

/// A JSON value as a tree. Numbers keep their text; members keep their order.
public enum JSONValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    /// The exact text of the number.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([Member])

    /// One member of an object.
    public struct Member: Equatable, Sendable {
        /// Its name, without escapes.
        public let name: String
        /// Its value.
        public let value: JSONValue

        /// A member of this name and value.
        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    /// Reads one strict JSON value.
    public init(parsing text: [UInt8]) throws(JSONError) {
        var document = JSONDocument()
        try document.parse(text.span)
        self = JSONValue.build(document, 0, text.span)
    }

    /// The value of a member, or nil.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The string, if it is one.
    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }
    /// The unsigned integer, if it is one.
    public var unsigned: UInt64? {
        if case .number(let text) = self { Bytes.decimal(text.utf8) } else { nil }
    }
    /// The elements, if it is an array.
    public var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
    /// The members, if it is an object.
    public var object: [Member]? {
        if case .object(let members) = self { members } else { nil }
    }
    /// The truth value, if it is one.
    public var boolean: Bool? {
        if case .boolean(let value) = self { value } else { nil }
    }

    /// The compact text.
    public var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the compact text.
    public func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append("null")
        case .boolean(let value): bytes.append(value ? "true" : "false")
        case .number(let text): bytes.append(text)
        case .string(let text): bytes.append(jsonString: text)
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes.append(jsonString: member.name)
                bytes.append(UInt8(ascii: ":"))
                member.value.write(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func build(
        _ document: JSONDocument,
        _ index: Int,
        _ text: Span<UInt8>
    ) -> JSONValue {
        let entry = document.entries[index]
        switch entry.kind {
        case .null: return .null
        case .boolean: return .boolean(entry.flag)
        case .number: return .number(Bytes.string(text, entry.range))
        case .string: return .string(name(entry, text))
        case .array:
            return .array(document.children(of: index).map { build(document, $0, text) })
        case .object:
            return .object(
                document.children(of: index).map {
                    Member(name(document.entries[$0], text), build(document, $0 + 1, text))
                }
            )
        }
    }

    private static func name(_ entry: JSONEntry, _ text: Span<UInt8>) -> String {
        String(decoding: JSONText.unescaped(text.extracting(entry.contents)), as: UTF8.self)
    }
}
