// Who is guilty of a worker's death. At most one request is, and only it is not executed again.

import Platform

/// Decides what becomes of the requests that a dead worker was executing.
struct Judge {
    let region: SlotRegion

    /// Deaths by a fault, and by a signal from outside, after which a request that was executed in
    /// all of them is held guilty.
    private static let faultsMaximum: UInt32 = 2
    private static let killsMaximum: UInt32 = 3

    /// Notes in the slots what was decided; returns the guilty request, if there is one.
    func judge(_ board: WorkerBoard) -> (slot: Int, key: UInt64)? {
        let fault = board.fault
        let notes = (0..<board.notesUsed).compactMap { board.note($0) }
            .filter { $0.activity.isPredicting }
        let suspects = notes.flatMap(\.requests).filter(isExecuting)
        let own = (fault?.note.flatMap { board.note($0) }?.requests ?? []).filter(isExecuting)
        let guilty: (slot: Int, key: UInt64)?
        if fault != nil {
            // One whose call it was, alone; else one that has been there before.
            guilty =
                own.count == 1
                ? own[0]
                : (own.isEmpty ? suspects : own).filter {
                    region.slot($0.slot).faults + 1 >= Self.faultsMaximum
                }.max { region.slot($0.slot).faults < region.slot($1.slot).faults }
        } else {
            guilty = suspects.filter { region.slot($0.slot).kills + 1 >= Self.killsMaximum }
                .max { region.slot($0.slot).kills < region.slot($1.slot).kills }
        }
        var counted: Set<Int> = []
        for suspect in suspects where counted.insert(suspect.slot).inserted {
            let slot = region.slot(suspect.slot)
            if fault != nil { slot.faults += 1 } else { slot.kills += 1 }
        }
        if let guilty {
            region.slot(guilty.slot).verdict = fault?.kind == .hang ? .hung : .crashed
        }
        return guilty
    }

    /// Whether a request of a note is still being executed: its connection may have ended.
    private func isExecuting(_ request: (slot: Int, key: UInt64)) -> Bool {
        guard (0..<region.used).contains(request.slot) else { return false }
        let slot = region.slot(request.slot)
        return slot.life == .live && slot.key == request.key && slot.word.isExecuting
    }
}
