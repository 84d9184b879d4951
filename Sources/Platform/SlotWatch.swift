// A test can stop a loop at any store to a slot, to see what another one makes of it. In a release
// build there is nothing of it.

import Synchronization

/// Tells a test of the stores to slots.
package enum SlotWatch {
    #if DEBUG
        package static let isPossible = true
        private static let isOn = Atomic<Bool>(false)
        private static let watcher = Guarded<(@Sendable (Int) -> Void)?>(nil)

        /// Calls `body` with the slot's number before each store, on whichever thread stores; nil:
        /// nobody is called any more.
        package static func set(_ body: (@Sendable (Int) -> Void)?) {
            watcher.withLock { $0 = body }
            isOn.store(body != nil, ordering: .releasing)
        }

        static func store(_ slot: Int) {
            guard isOn.load(ordering: .acquiring) else { return }
            watcher.withLock { $0 }?(slot)
        }
    #else
        package static let isPossible = false
        package static func set(_ body: (@Sendable (Int) -> Void)?) {}
        @inline(__always) static func store(_ slot: Int) {}
    #endif
}
