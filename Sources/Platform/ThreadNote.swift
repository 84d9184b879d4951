// What one thread says of itself while a model's code runs on it.

import CLinux

/// The note of one thread. It never leaves its thread.
///
/// SAFETY: `place` is a note that the thread has taken on a board which its process keeps mapped
/// for as long as it lives. Nobody else writes it, but for the word `written_off`.
@safe
package struct ThreadNote {
    private let place: UnsafeMutablePointer<clinux_note>
    /// Which note of the board it is.
    package let index: Int

    @unsafe
    init(_ place: UnsafeMutablePointer<clinux_note>, index: Int) {
        unsafe self.place = place
        self.index = index
    }

    /// Requests that a call can be noted to be for.
    package static let requestsMaximum = Int(CLINUX_NOTE_REQUESTS)

    /// Notes that the next call is for these requests, in order.
    package func setRequest(_ index: Int = 0, slot: Int, key: UInt64) {
        guard index < Self.requestsMaximum else { return }
        let start = unsafe UnsafeMutableRawPointer(place)
        unsafe start.storeBytes(
            of: UInt32(truncatingIfNeeded: slot),
            toByteOffset: ThreadNote.slotsOffset + index * 4,
            as: UInt32.self
        )
        unsafe start.storeBytes(
            of: key,
            toByteOffset: ThreadNote.keysOffset + index * 8,
            as: UInt64.self
        )
        unsafe place.pointee.count = UInt32(index + 1)
    }

    private static let slotsOffset = MemoryLayout<clinux_note>.offset(of: \.slots) ?? 64
    private static let keysOffset = MemoryLayout<clinux_note>.offset(of: \.keys) ?? 320

    /// Notes that the next call is for no request.
    package func setNoRequest() { unsafe place.pointee.count = 0 }

    /// Notes that a model's code begins to run.
    package func begin(_ activity: WorkerBoard.Activity, of model: UInt32, at moment: UInt64) {
        unsafe clinux_note_begin(place, activity.rawValue, model, moment)
    }

    /// Notes that it has come back.
    package func end() { unsafe clinux_note_end(place) }
}

@available(*, unavailable)
extension ThreadNote: Sendable {}
