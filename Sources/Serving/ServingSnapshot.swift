// Everything that is live, prepared for requests. Immutable; a request keeps the one it began with.

import Bytes
package import Deployments
package import Endpoints
package import Surfaces

/// What answers for a split, ready to be asked.
package enum PreparedBackend: Sendable {
    /// The JSON text of a static answer.
    case value([UInt8])
    /// A live model.
    case model(LoadedVersion)
}

/// One split, with all its text written already.
package final class PreparedSplit: Sendable {
    package let name: [UInt8]
    package let backend: PreparedBackend
    package let text: SplitText

    package init(name: String, backend: PreparedBackend, text: SplitText) {
        self.name = Array(name.utf8)
        self.backend = backend
        self.text = text
    }
}

/// One endpoint, ready for requests.
package final class PreparedEndpoint: Sendable {
    package let name: [UInt8]
    package let endpoint: Endpoint
    package let assigner: Assigner
    package let splits: [PreparedSplit]
    /// The bytes of the member that holds the subject; empty for a position.
    package let subjectName: [UInt8]

    package init(endpoint: Endpoint, splits: [PreparedSplit]) {
        name = Array(endpoint.name.utf8)
        self.endpoint = endpoint
        self.splits = splits
        assigner = Assigner(
            experiment: endpoint.experiment?.id ?? endpoint.name,
            splits: endpoint.splits
        )
        if case .member(let member) = endpoint.experiment?.subjectKey {
            subjectName = Array(member.utf8)
        } else {
            subjectName = []
        }
    }

    /// The index of the split with this name, which stands in a request.
    package func split(named text: Span<UInt8>, _ range: Range<Int>) -> Int? {
        splits.firstIndex { Bytes.equal(text, range, $0.name) }
    }
}

/// A numbered, complete state of the host.
package final class ServingSnapshot: Sendable {
    /// The revision that it was made from.
    package let revision: Int
    package let endpoints: [PreparedEndpoint]
    /// Indices into `endpoints` by the hash of the name; -1 is empty; a power of two long.
    private let table: [Int32]

    package init(revision: Int, endpoints: [PreparedEndpoint]) {
        self.revision = revision
        self.endpoints = endpoints
        var size = 8
        while size < endpoints.count * 2 { size *= 2 }
        var table = [Int32](repeating: -1, count: size)
        for (index, endpoint) in endpoints.enumerated() {
            let name = endpoint.name
            var place = ServingSnapshot.hash(name.span) & (size - 1)
            while table[place] >= 0 { place = (place + 1) & (size - 1) }
            table[place] = Int32(index)
        }
        self.table = table
    }

    /// The endpoint whose name stands in a request.
    package func endpoint(named text: Span<UInt8>, _ range: Range<Int>) -> PreparedEndpoint? {
        let mask = table.count - 1
        var place = ServingSnapshot.hash(text.extracting(range)) & mask
        while table[place] >= 0 {
            let candidate = endpoints[Int(table[place])]
            if Bytes.equal(text, range, candidate.name) { return candidate }
            place = (place + 1) & mask
        }
        return nil
    }

    /// FNV-1a; names are few, short, and the host's own.
    private static func hash(_ name: Span<UInt8>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for index in name.indices {
            hash = (hash ^ UInt64(name[index])) &* 0x100_0000_01b3
        }
        return Int(truncatingIfNeeded: hash >> 16 ^ hash)
    }
}
