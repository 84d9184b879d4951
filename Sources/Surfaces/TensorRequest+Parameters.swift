// Parameters of the protocol that this host does not have, and those that nobody knows.

import Bytes

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

    /// Refuses a request that asks for what is not there: an answer without it would be a wrong one.
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
}
