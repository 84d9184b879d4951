// From the arguments of a request to the values that a model declared, checked, in declared order.

import Bytes
package import JSON

/// Knows a model's inputs in the form that finding them fast takes.
package struct InputBinding: Sendable {
    /// What of an input counts for every request, without its name.
    private struct Slot {
        let type: InputType
        let isRequired: Bool
    }

    private let inputs: [InputDescription]?
    private let names: [[UInt8]]
    private let slots: [Slot]

    /// Prepares the look-up of these inputs; nil: arguments are passed as JSON text.
    package init(_ inputs: [InputDescription]?) {
        self.inputs = inputs
        names = inputs?.map { Array($0.name.utf8) } ?? []
        slots = inputs?.map { Slot(type: $0.type, isRequired: $0.isRequired) } ?? []
    }

    /// Whether the model declares its inputs.
    package var isDeclared: Bool { inputs != nil }

    /// The type of an input; nil: the model declares none with this name.
    package func type(of name: Span<UInt8>) -> InputType? {
        for index in names.indices
        where Bytes.equal(name, 0..<name.count, names[index]) { return slots[index].type }
        return nil
    }

    /// Fills `values` from the arguments; the error is a sentence for the client.
    ///
    /// With declared inputs there is one argument, an object; members that are not declared are
    /// passed over. With one declared input, an argument that is no object is that input's value.
    package func bind(
        _ arguments: Span<Int>,
        of document: borrowing JSONDocument,
        in text: Span<UInt8>,
        to values: inout [JSONReference]
    ) throws(BindingError) {
        values.clear()
        guard let inputs else {
            for index in arguments.indices {
                let entry = document.entries[arguments[index]]
                values.append(
                    JSONReference(
                        kind: .json,
                        flag: false,
                        start: Int(entry.start),
                        end: Int(entry.end)
                    )
                )
            }
            return
        }
        guard arguments.count == 1 else {
            let objects = arguments.indices.allSatisfy {
                document.entries[arguments[$0]].kind == .object
            }
            throw BindingError(
                "the model takes one object with the members \(list(inputs)); "
                    + (objects && arguments.count > 1
                        ? "found a list of \(arguments.count) objects: several rows are a batch, "
                            + "[[0, {…}], [1, {…}]], each with an id before it"
                        : "found \(arguments.count) arguments")
            )
        }
        let argument = document.entries[arguments[0]]
        for _ in slots.indices { values.append(.absent) }
        if argument.kind == .object {
            try bindMembers(arguments[0], document, text, &values)
        } else if slots.count == 1 {
            values[0] = try value(argument, 0)
        } else {
            throw BindingError("the model takes an object with the members \(list(inputs))")
        }
        for index in slots.indices where values[index].kind == .absent && slots[index].isRequired {
            throw BindingError("the input \"\(inputs[index].name)\" is missing")
        }
    }

    private func bindMembers(
        _ object: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ values: inout [JSONReference]
    ) throws(BindingError) {
        let end = Int(document.entries[object].next)
        var index = object + 1
        var expected = 0
        while index < end {
            let key = document.entries[index]
            // Clients tend to send members in declared order: look there first.
            if let place = place(key, text, expected) {
                values[place] = try value(document.entries[index + 1], place)
                expected = place + 1
            }
            index = Int(document.entries[index + 1].next)
        }
    }

    private func place(_ key: JSONEntry, _ text: Span<UInt8>, _ expected: Int) -> Int? {
        if key.flag {
            let name = JSONText.unescaped(text.extracting(key.contents))
            return names.firstIndex(of: name)
        }
        if expected < names.count, Bytes.equal(text, key.contents, names[expected]) {
            return expected
        }
        for index in names.indices where Bytes.equal(text, key.contents, names[index]) {
            return index
        }
        return nil
    }

    private func value(
        _ entry: JSONEntry,
        _ place: Int
    ) throws(BindingError) -> JSONReference {
        let kind: JSONReferenceKind
        switch (entry.kind, slots[place].type) {
        case (.number, .number): kind = .number
        case (.string, .string): kind = .string
        case (.boolean, .boolean): kind = .boolean
        case (_, .json): kind = .json
        case (.null, _) where !slots[place].isRequired: kind = .null
        default:
            throw BindingError(
                "the input \"\(inputs?[place].name ?? "")\" is \(word(entry.kind)); "
                    + "the model wants \(word(slots[place].type))"
            )
        }
        if kind == .string {
            return JSONReference(
                kind: kind,
                flag: entry.flag,
                start: Int(entry.start) + 1,
                end: Int(entry.end) - 1
            )
        }
        return JSONReference(
            kind: kind,
            flag: entry.flag,
            start: Int(entry.start),
            end: Int(entry.end)
        )
    }

    private func word(_ kind: JSONKind) -> String {
        switch kind {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }

    private func word(_ type: InputType) -> String {
        switch type {
        case .number: "a number"
        case .string: "a string"
        case .boolean: "a boolean"
        case .json: "a JSON value"
        }
    }

    private func list(_ inputs: [InputDescription]) -> String {
        inputs.prefix(20).map { "\"\($0.name)\"" }.joined(separator: ", ")
    }
}

/// Why a request's arguments are not what the model takes: a sentence for the client.
package struct BindingError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}
