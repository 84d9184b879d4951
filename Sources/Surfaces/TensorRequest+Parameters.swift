// Parameters of the protocol that this host does not have, and those that nobody knows.

import Bytes
import JSON

extension TensorRequest {
    /// How many names of unknown parameters are told, and bytes of each.
    private static let ignoredMaximum = 16
    private static let nameBytesMaximum = 64

    /// What the protocol's extensions have, and this host has not.
    private static let absent = [
        "sequence_id", "sequence_start", "sequence_end", "shared_memory_region",
        "shared_memory_offset", "shared_memory_byte_size", "classification",
    ]

    /// Notes a parameter that is none of those that are read.
    func note(_ name: Span<UInt8>) {
        let text = Bytes.string(name, 0..<min(name.count, Self.nameBytesMaximum))
        if Self.absent.contains(text) {
            if missing == nil { missing = text }
            return
        }
        let isPlain = text.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "\"")
        }
        guard isPlain, !text.isEmpty, ignored.count < Self.ignoredMaximum, !ignored.contains(text)
        else { return }
        ignored.append(text)
    }

    /// Refuses a request that asks for what is not there: an answer without it would be a wrong
    /// one.
    func requireKnown() throws(Failure) {
        guard let missing else { return }
        let what =
            missing.hasPrefix("sequence_")
            ? "requests that belong together; each is answered for itself: leave it out"
            : missing == "classification"
                ? "the classes of an output; the numbers come as they are: leave it out"
                : "memory that client and server share; send the tensor's bytes in the request "
                    + "(binary_data_size) or its values (data)"
        throw Failure(
            .badInput,
            "the parameter \"\(missing)\" is not there on this host: it asks for \(what)"
        )
    }

    /// The value of "binary_data_size" among an input's parameters, or -1.
    func binarySize(
        _ parameters: Int,
        _ document: borrowing JSONDocument,
        _ body: Span<UInt8>
    ) throws(Failure) -> Int {
        var size = -1
        guard parameters >= 0, try Self.isObject(parameters, "parameters", document) else {
            return size
        }
        Self.forEachMember(of: parameters, document, body) { name, value in
            guard Bytes.equal(name, 0..<name.count, "binary_data_size") else {
                return note(name)
            }
            size = value
        }
        try requireKnown()
        return size
    }

    /// Hands out the members of an object: names without escapes, and indices of values.
    static func forEachMember(
        of object: Int,
        _ document: borrowing JSONDocument,
        _ text: Span<UInt8>,
        _ body: (Span<UInt8>, Int) -> Void
    ) {
        guard document.entries[object].kind == .object else { return }
        var index = object + 1
        while index < Int(document.entries[object].next) {
            let name = document.entries[index]
            if name.flag {
                let plain = JSONText.unescaped(text.extracting(name.contents))
                body(plain.span, index + 1)
            } else {
                body(text.extracting(name.contents), index + 1)
            }
            index = Int(document.entries[index + 1].next)
        }
    }
}
