// Memory of large requests that have been answered, for the next ones. Memory that is new to the
// process costs a page fault for every 4 KiB, which for a megabyte is several times what receiving
// it costs.

/// A few buffers of one loop that nobody uses at the moment.
final class SpareBuffers {
    /// How many are kept, and how large one may be: no more than 4 MiB a loop, beside the limit of
    /// buffered bytes, which are those of clients that wait.
    private static let countMaximum = 2
    static let bytesMaximum = 2 << 20

    private var buffers: [[UInt8]] = []

    /// An empty buffer with room for so many bytes.
    func take(capacity: Int) -> [UInt8] {
        var buffer = buffers.popLast() ?? []
        buffer.reserveCapacity(capacity)
        return buffer
    }

    /// Takes a buffer back that nobody else holds; its owner has none afterwards.
    func take(back buffer: inout [UInt8]?) {
        // In place: with a second holder its memory would be new again.
        buffer?.removeAll(keepingCapacity: true)
        if let buffer, buffers.count < Self.countMaximum, buffer.capacity <= Self.bytesMaximum {
            buffers.append(buffer)
        }
        buffer = nil
    }
}

@available(*, unavailable)
extension SpareBuffers: Sendable {}
