// Who accepts has the free slots: which are free, whose the others are, how many connections each
// address has.

/// The slots of a region, for the one who accepts.
package struct SlotLedger: ~Copyable {
    private let region: SlotRegion
    /// Slots that were used and are free; those from `used` on were never used.
    private var free: [Int] = []
    /// Which of those below `used` are a connection's.
    private var taken: [Bool] = []
    package private(set) var used = 0
    private var nextConnection: UInt64 = 1
    /// Connections at once of one address, and whose connection each slot has; empty while there is
    /// no such limit.
    private let addressMaximum: Int
    /// Places that are taken last, each for one answer: a host that idle connections fill still
    /// says how it is, and serves whoever has just come.
    private let briefPlaces: Int
    /// Free slots that keep their memory; that of further ones is given back.
    private static let warmMaximum = 256
    private var addressCounts: [[UInt8]: Int] = [:]
    private var addresses: [Int: [UInt8]] = [:]

    package init(_ region: SlotRegion, addressMaximum: Int = .max) {
        self.region = region
        self.addressMaximum = addressMaximum
        briefPlaces = region.count / 16
    }

    /// Whether no slot is free; slots that were left may be taken back first.
    package var isEmpty: Bool { free.isEmpty && used == region.count }

    /// How many connections there are.
    package var inUse: Int { used - free.count }

    /// Gives a connection a slot of loop `loop`; nil: its address has too many, or none is free.
    ///
    /// A slot that was used before comes first, so that a host with few connections at a time
    /// touches the memory of few slots.
    package mutating func take(
        for connection: borrowing FileDescriptor,
        loop: Int,
        isLocal: Bool
    ) -> Int? {
        guard !isEmpty else { return nil }
        let index = free.last ?? used
        guard isWelcome(connection, index) else { return nil }
        if free.popLast() == nil {
            used += 1
            region.used = used
            taken.append(true)
        }
        taken[index] = true
        region.slot(index).begin(
            connection: nextConnection,
            loop: loop,
            isLocal: isLocal,
            isBrief: inUse > region.count - briefPlaces,
            at: MonotonicClock.now()
        )
        nextConnection += 1
        return index
    }

    /// Counts a connection for its address; false when the address has too many.
    private mutating func isWelcome(
        _ connection: borrowing FileDescriptor,
        _ index: Int
    ) -> Bool {
        guard addressMaximum < Int.max, let address = Socket.peerAddress(of: connection) else {
            return true
        }
        guard addressCounts[address, default: 0] < addressMaximum else { return false }
        addressCounts[address, default: 0] += 1
        addresses[index] = address
        return true
    }

    /// Takes the slots back that loops have left; `body` is told of each, closed or handed over.
    package mutating func sweep(_ body: (_ index: Int, _ isClosed: Bool) -> Void = { _, _ in }) {
        var left: [Int] = []
        region.takeLeft(below: used) { left.append($0) }
        // A stray write of a plugin may have set any bit.
        for index in left where taken[index] {
            let isClosed = region.life(index) == .closed
            if isClosed { release(index) }
            body(index, isClosed)
        }
    }

    /// Takes back what a worker that has died had closed and not said so.
    package mutating func sweepUnmarked(where isIts: (_ index: Int) -> Bool) -> [Int] {
        let left = (0..<used).filter { taken[$0] && region.life($0) == .closed && isIts($0) }
        for index in left { release(index) }
        return left
    }

    /// Makes a slot free whose connection is closed.
    package mutating func release(_ index: Int) {
        region.slot(index).life = .free
        taken[index] = false
        if let address = addresses.removeValue(forKey: index) {
            let left = addressCounts[address, default: 1] - 1
            addressCounts[address] = left > 0 ? left : nil
        }
        if free.count >= Self.warmMaximum { region.giveBack(index) }
        free.append(index)
    }
}
