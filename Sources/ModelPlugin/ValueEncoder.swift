// Encoding to a JSON value: containers that write into shared slots of one tree.

import JSON

/// A place in the tree that is being built.
final class ValueSlot {
    private enum State {
        case value(JSONValue)
        case object([(name: String, slot: ValueSlot)])
        case array([ValueSlot])
    }

    private var state = State.value(.null)

    var value: JSONValue {
        switch state {
        case .value(let value): value
        case .object(let members): .object(members.map { .init($0.name, $0.slot.value) })
        case .array(let slots): .array(slots.map(\.value))
        }
    }

    func set(_ value: JSONValue) { state = .value(value) }

    func becomeObject() {
        if case .object = state { return }
        state = .object([])
    }

    func becomeArray() {
        if case .array = state { return }
        state = .array([])
    }

    func member(_ name: String) -> ValueSlot {
        let slot = ValueSlot()
        if case .object(var members) = state {
            members.removeAll { $0.name == name }
            members.append((name, slot))
            state = .object(members)
        }
        return slot
    }

    func element() -> ValueSlot {
        let slot = ValueSlot()
        if case .array(let slots) = state { state = .array(slots + [slot]) }
        return slot
    }

    var count: Int {
        if case .array(let slots) = state { slots.count } else { 0 }
    }
}

/// Encodes into one slot.
struct ValueEncoder: Encoder, SingleValueEncodingContainer {
    let slot: ValueSlot
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    init(_ path: [any CodingKey], slot: ValueSlot = ValueSlot()) {
        codingPath = path
        self.slot = slot
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        slot.becomeObject()
        return KeyedEncodingContainer(ObjectEncoding<Key>(slot: slot, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        slot.becomeArray()
        return ArrayEncoding(slot: slot, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() throws { slot.set(.null) }
    func encode(_ value: Bool) throws { slot.set(.boolean(value)) }
    func encode(_ value: String) throws { slot.set(.string(value)) }

    func encode(_ value: Double) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value,
                EncodingError.Context(
                    codingPath: codingPath,
                    debugDescription: "JSON has no number \(value)"
                )
            )
        }
        slot.set(.number(value.description))
    }

    func encode(_ value: Float) throws {
        guard value.isFinite else { return try encode(Double(value)) }
        slot.set(.number(value.description))
    }

    func encode(_ value: Int) throws { slot.set(.number(String(value))) }
    func encode(_ value: Int8) throws { slot.set(.number(String(value))) }
    func encode(_ value: Int16) throws { slot.set(.number(String(value))) }
    func encode(_ value: Int32) throws { slot.set(.number(String(value))) }
    func encode(_ value: Int64) throws { slot.set(.number(String(value))) }
    func encode(_ value: UInt) throws { slot.set(.number(String(value))) }
    func encode(_ value: UInt8) throws { slot.set(.number(String(value))) }
    func encode(_ value: UInt16) throws { slot.set(.number(String(value))) }
    func encode(_ value: UInt32) throws { slot.set(.number(String(value))) }
    func encode(_ value: UInt64) throws { slot.set(.number(String(value))) }
    func encode<T: Encodable>(_ value: T) throws { try value.encode(to: self) }
}

private struct ObjectEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let slot: ValueSlot
    let codingPath: [any CodingKey]

    private func member(_ key: any CodingKey) -> ValueEncoder {
        ValueEncoder(codingPath + [key], slot: slot.member(key.stringValue))
    }

    func encodeNil(forKey key: Key) throws { try member(key).encodeNil() }
    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        try value.encode(to: member(key))
    }
    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type,
        forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        member(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        member(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { member(TextKey(stringValue: "super")) }
    func superEncoder(forKey key: Key) -> any Encoder { member(key) }
}

private struct ArrayEncoding: UnkeyedEncodingContainer {
    let slot: ValueSlot
    let codingPath: [any CodingKey]

    var count: Int { slot.count }

    private func element() -> ValueEncoder {
        ValueEncoder(codingPath + [TextKey(intValue: count)], slot: slot.element())
    }

    func encodeNil() throws { try element().encodeNil() }
    func encode<T: Encodable>(_ value: T) throws { try value.encode(to: element()) }
    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) -> KeyedEncodingContainer<NestedKey> {
        element().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { element().unkeyedContainer() }
    func superEncoder() -> any Encoder { element() }
}
