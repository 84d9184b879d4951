// The memory of requests and answers that are larger than a slot. What lies in slots needs none of
// it, so a small request never waits for what others hold.

import Platform
import Synchronization

/// Counts what is held, as it is held: capacities, and not what is in them.
package final class LargeMemory: Sendable {
    /// Bytes that all may hold; three quarters of them requests, the rest answers.
    private let bytesMaximum: Int
    private let held = Atomic<Int>(0)
    private let answers = Atomic<Int>(0)
    private let requests = Guarded(Requests())

    /// Requests that were let in, by the address that they come from.
    private struct Requests {
        var bytes = 0
        var byAddress: [String: Int] = [:]
    }

    init(bytesMaximum: Int) { self.bytesMaximum = bytesMaximum }

    /// Bytes that are held.
    package var bytes: Int { held.load(ordering: .relaxed) }

    /// Counts memory that was taken, or given back.
    func count(_ bytes: Int) {
        if bytes != 0 { held.wrappingAdd(bytes, ordering: .relaxed) }
    }

    /// The same of an answer.
    func countAnswer(_ bytes: Int) {
        guard bytes != 0 else { return }
        count(bytes)
        answers.wrappingAdd(bytes, ordering: .relaxed)
    }

    /// Whether answers that nobody reads hold so much that none is to be made beside them.
    var answersHoldTooMuch: Bool {
        answers.load(ordering: .relaxed) > bytesMaximum - requestsMaximum
    }

    private var requestsMaximum: Int { bytesMaximum - bytesMaximum / 4 }

    /// Lets a large request in, if what it is about to hold has room beside the others, and its
    /// address keeps to its share. One that is alone always has room.
    func admit(_ bytes: Int, from address: String) -> Bool {
        requests.withLock { requests in
            let own = requests.byAddress[address, default: 0]
            let share = requestsMaximum - requestsMaximum / 4
            guard
                requests.bytes == 0 && bytesMaximum > 0
                    || requests.bytes + bytes <= requestsMaximum && own + bytes <= share
            else { return false }
            requests.bytes += bytes
            requests.byAddress[address] = own + bytes
            return true
        }
    }

    /// Gives back what `admit` has let in.
    func leave(_ bytes: Int, from address: String) {
        guard bytes > 0 else { return }
        requests.withLock { requests in
            requests.bytes -= bytes
            let own = requests.byAddress[address, default: 0] - bytes
            requests.byAddress[address] = own > 0 ? own : nil
        }
    }

    /// Whether a request may hold so many bytes more while a pool works on it.
    func hasRoom(for bytes: Int, beside own: Int) -> Bool {
        let others = held.load(ordering: .relaxed) - own
        return others <= 0 || others + own + bytes <= bytesMaximum
    }
}
