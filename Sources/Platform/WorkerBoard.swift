// What a worker tells of itself while it lives, in shared memory that outlives it: which model each
// of its threads is in and for which requests, what it died of, and the last log lines of each
// model. The supervisor keeps it, reads it when the worker has died or seems to hang, and gives it
// to the next worker for the report.
//
// Layout, version 1: a page of header (magic, version, process, models used, notes used), then the
// lifelines, the fault, 4,096 notes of 1 KiB, 4,096 models of 2 KiB. Only what is used takes
// memory.

import CLinux
import Synchronization

/// The board of one worker.
///
/// SAFETY: every pointer is into `region`, which this object keeps mapped, at an offset that is
/// checked against the counts below. A note is written by the thread that took it (`CLinux` sees to
/// that); the fault by the first thread that has one; a model's entry by the thread that adds it
/// until its number is given away, its log under `logs`. Readers in other processes take what they
/// find as a guess about a living worker, and as a fact about a dead one; numbers from it are
/// checked before they are used.
@safe
package final class WorkerBoard: @unchecked Sendable {
    private static let magic: UInt64 = 0x31_44_52_41_4f_42_57_53  // "SWBOARD1"
    private static let layoutVersion: UInt64 = 1
    /// Threads that can have a note, and models that can have an entry; further ones go without.
    package static let notesMaximum = 4096
    private static let modelsMaximum = 4096
    /// Threads whose end is waited for by name: loops and a few others.
    package static let lifelinesMaximum = 264
    private static let lifelineStride = 64
    private static let lifelinesPlace = 4096
    private static let faultPlace = lifelinesPlace + 20480
    private static let faultBytes = 147_456
    private static let notesPlace = faultPlace + faultBytes
    private static let noteStride = 1024
    private static let modelsPlace = notesPlace + notesMaximum * noteStride
    private static let modelStride = 2048
    private static let totalBytes = modelsPlace + modelsMaximum * modelStride
    private static let processPlace = 16
    private static let modelsUsedPlace = 24
    private static let notesUsedPlace = 32

    private let region: MappedRegion
    private let base: UnsafeMutableRawPointer
    private let logs = Guarded<Void>(())

    /// A board for a worker that is about to be started.
    package convenience init() throws(SystemError) {
        let region = try MappedRegion.anonymous(name: "switchyard-board", count: Self.totalBytes)
        unsafe region.base.storeBytes(of: Self.magic, as: UInt64.self)
        unsafe region.base.storeBytes(of: Self.layoutVersion, toByteOffset: 8, as: UInt64.self)
        self.init(region)
        for index in 0..<Self.lifelinesMaximum {
            let failure = unsafe clinux_lifeline_make(lifeline(index))
            guard failure == 0 else {
                throw SystemError(call: "pthread_mutex_init", number: failure)
            }
        }
    }

    /// The board of another process; nil when it is none of this layout.
    package convenience init?(adopting descriptor: consuming FileDescriptor) throws(SystemError) {
        let region = try MappedRegion.adopted(descriptor)
        guard region.count == Self.totalBytes,
            unsafe region.base.load(as: UInt64.self) == Self.magic,
            unsafe region.base.load(fromByteOffset: 8, as: UInt64.self) == Self.layoutVersion
        else { return nil }
        self.init(region)
    }

    private init(_ region: MappedRegion) {
        precondition(
            MemoryLayout<clinux_note>.size == Self.noteStride
                && MemoryLayout<clinux_fault>.size <= Self.faultBytes
                && clinux_lifeline_size() <= Self.lifelineStride,
            "the layout of the board is fixed"
        )
        region.leaveOutOfDumps()
        self.region = region
        unsafe base = region.base
    }

    /// The memory's own descriptor, by which another process can map it.
    package var descriptor: CInt { region.descriptor }

    private func number(_ place: Int) -> UInt64 {
        unsafe clinux_load_long((base + place).assumingMemoryBound(to: UInt64.self))
    }

    private func setNumber(_ place: Int, _ value: UInt64) {
        unsafe clinux_store_long((base + place).assumingMemoryBound(to: UInt64.self), value)
    }

    // MARK: Lifelines

    private func lifeline(_ index: Int) -> UnsafeMutableRawPointer {
        precondition((0..<Self.lifelinesMaximum).contains(index), "there is no such lifeline")
        return unsafe base + Self.lifelinesPlace + index * Self.lifelineStride
    }

    /// Says, for as long as the calling thread lives, that it does. It is never let go of.
    package func holdLifeline(_ index: Int) {
        unsafe clinux_lifeline_hold(lifeline(index))
    }

    /// Waits until the thread that holds a lifeline has ended.
    package func awaitLifeline(_ index: Int) {
        unsafe clinux_lifeline_await(lifeline(index))
    }

    // MARK: Faults

    /// Lets fatal signals, and `exit()` inside a call, be written down here. Once in a process.
    package func catchFaults() {
        setNumber(Self.processPlace, UInt64(CurrentProcess.id))
        let used = unsafe (base + Self.notesUsedPlace).assumingMemoryBound(to: UInt64.self)
        unsafe clinux_catch_faults(faultPointer, notesPointer, used)
    }

    private var faultPointer: UnsafeMutablePointer<clinux_fault> {
        unsafe (base + Self.faultPlace).assumingMemoryBound(to: clinux_fault.self)
    }

    /// What a worker ends of.
    package struct Fault: Sendable {
        /// How it came to be.
        package enum Kind: UInt32, Sendable {
            case signal = 1
            case exit = 2
            case hang = 3
        }

        package let kind: Kind
        /// The signal's number, or 0.
        package let signal: CInt
        /// What the kernel says of it beside the number.
        package let code: CInt
        /// What was given to `exit()`.
        package let status: CInt
        package let thread: CInt
        /// The note of the thread; nil: it has none, or was in no call.
        package let note: Int?
        package let address: UInt64
        /// Monotonic nanoseconds.
        package let moment: UInt64
        /// The calls that led there, the innermost first, as addresses.
        package let frames: [UInt64]
        /// What was mapped where: `/proc/self/maps`.
        package let maps: String
    }

    /// Whether something has been written down.
    package var hasFault: Bool { unsafe clinux_load(&faultPointer.pointee.stage) >= 2 }

    /// What the worker has died of, if it has said so.
    package var fault: Fault? {
        guard hasFault else { return nil }
        let found = unsafe faultPointer
        guard let kind = unsafe Fault.Kind(rawValue: found.pointee.kind) else { return nil }
        let isWalked = unsafe clinux_load(&found.pointee.stage) >= 3
        let start = UnsafeRawPointer(found)
        guard let framesPlace = MemoryLayout<clinux_fault>.offset(of: \.frames) else { return nil }
        let count = isWalked ? min(Int(unsafe found.pointee.frame_count), 64) : 0
        let frames = (0..<count).map {
            unsafe start.load(fromByteOffset: framesPlace + $0 * 8, as: UInt64.self)
        }
        let length = unsafe min(Int(clamping: found.pointee.maps_length), 131_072)
        let maps = unsafe UnsafeRawBufferPointer(
            start: clinux_fault_maps(found),
            count: isWalked ? length : 0
        )
        let note = unsafe Int(found.pointee.note)
        return unsafe Fault(
            kind: kind,
            signal: found.pointee.signal,
            code: found.pointee.code,
            status: found.pointee.status,
            thread: found.pointee.thread,
            note: note > 0 && note <= Self.notesMaximum ? note - 1 : nil,
            address: found.pointee.address,
            moment: found.pointee.moment,
            frames: Self.frames(frames, from: found.pointee.instruction),
            maps: String(decoding: maps, as: UTF8.self)
        )
    }

    /// The calls from the instruction on that has failed: those before it are the handler's.
    private static func frames(_ all: [UInt64], from instruction: UInt64) -> [UInt64] {
        guard instruction != 0 else { return all }
        guard let first = all.firstIndex(of: instruction) else { return [instruction] + all }
        return Array(all[first...])
    }

    /// Writes down that a call has not come back; false: something else was written before.
    package func noteHang(of note: Int, at moment: UInt64) -> Bool {
        // The worker's own handler claims it in the same way, so one of the two writes.
        guard unsafe clinux_claim(&faultPointer.pointee.stage) else { return false }
        unsafe faultPointer.pointee.kind = Fault.Kind.hang.rawValue
        unsafe faultPointer.pointee.note = UInt32(note + 1)
        unsafe faultPointer.pointee.thread = self.note(note)?.thread ?? 0
        unsafe faultPointer.pointee.moment = moment
        unsafe clinux_store_word(&faultPointer.pointee.stage, 2)
        return true
    }

    // MARK: Notes

    private var notesPointer: UnsafeMutablePointer<clinux_note> {
        unsafe (base + Self.notesPlace).assumingMemoryBound(to: clinux_note.self)
    }

    /// The calling thread's note: taken when it has none; nil when all are taken.
    package func threadNote() -> ThreadNote? {
        let found = unsafe clinux_note_take(notesPointer, UInt32(Self.notesMaximum))
        guard let found = unsafe found else { return nil }
        let index = unsafe found - notesPointer
        let used = unsafe (base + Self.notesUsedPlace).assumingMemoryBound(to: UInt64.self)
        unsafe clinux_raise_long(used, UInt64(index + 1))
        return unsafe ThreadNote(found, index: index)
    }

    /// Gives the calling thread's note back; to be called when the thread ends.
    package static func giveThreadNote() { clinux_note_give() }

    /// What a model's code may be running for.
    package enum Activity: UInt32, Sendable {
        case predicting = 1
        case creating = 2
        case warmingUp = 3
        case checkingHealth = 4
        case destroying = 5
        /// On a thread of a pool, which the worker can replace.
        case predictingInPool = 6

        /// Whether it is for requests.
        package var isPredicting: Bool { self == .predicting || self == .predictingInPool }

        /// Whether the version has not been ready yet.
        package var isLoading: Bool { self == .creating || self == .warmingUp }

        /// The function of the contract, as a sentence names it.
        package var function: String {
            switch self {
            case .predicting, .predictingInPool: "predict()"
            case .creating: "create()"
            case .warmingUp: "predict() with an example"
            case .checkingHealth: "health()"
            case .destroying: "destroy()"
            }
        }
    }

    /// What one thread does.
    package struct Note: Sendable {
        package let activity: Activity
        package let thread: CInt
        /// Counts the thread's calls.
        package let call: UInt64
        /// Monotonic nanoseconds.
        package let startedAt: UInt64
        package let model: UInt32
        /// Slots and keys of the requests that the call is for.
        package let requests: [(slot: Int, key: UInt64)]
        /// Whether the call was given up.
        package let isWrittenOff: Bool
    }

    /// Notes that were ever used.
    package var notesUsed: Int {
        min(Int(clamping: number(Self.notesUsedPlace)), Self.notesMaximum)
    }

    /// What the thread of a note does; nil: nothing of a model's.
    package func note(_ index: Int) -> Note? {
        guard (0..<Self.notesMaximum).contains(index) else { return nil }
        let place = unsafe notesPointer + index
        guard let activity = Activity(rawValue: unsafe clinux_load(&place.pointee.activity))
        else { return nil }
        let count = unsafe min(Int(place.pointee.count), Int(CLINUX_NOTE_REQUESTS))
        let start = UnsafeRawPointer(place)
        guard let slots = MemoryLayout<clinux_note>.offset(of: \.slots),
            let keys = MemoryLayout<clinux_note>.offset(of: \.keys)
        else { return nil }
        let requests = (0..<count).map { request in
            (
                slot: Int(unsafe start.load(fromByteOffset: slots + request * 4, as: UInt32.self)),
                key: unsafe start.load(fromByteOffset: keys + request * 8, as: UInt64.self)
            )
        }
        return unsafe Note(
            activity: activity,
            thread: place.pointee.thread,
            call: place.pointee.calls,
            startedAt: place.pointee.started,
            model: place.pointee.model,
            requests: requests,
            isWrittenOff: place.pointee.written_off == place.pointee.calls
        )
    }

    // MARK: Models

    /// What is known of a model.
    package struct Model: Sendable {
        /// `branch/name`
        package let deployment: String
        package let version: Int
        /// The hash of the plugin's file.
        package let build: String
        /// How long a call may take before it counts as stuck.
        package let hangNanoseconds: UInt64
        /// The last of what it has logged.
        package var log: [String] = []

        package init(
            deployment: String,
            version: Int,
            build: String,
            hangNanoseconds: UInt64,
            log: [String] = []
        ) {
            self.deployment = deployment
            self.version = version
            self.build = build
            self.hangNanoseconds = hangNanoseconds
            self.log = log
        }
    }

    private static let deploymentPlace = 32
    private static let deploymentBytes = 512
    private static let buildPlace = deploymentPlace + deploymentBytes
    private static let buildBytes = 64
    private static let logPlace = 640
    private static let logBytes = modelStride - logPlace

    private func modelPointer(_ index: UInt32) -> UnsafeMutableRawPointer? {
        guard index > 0, index <= Self.modelsMaximum else { return nil }
        return unsafe base + Self.modelsPlace + (Int(index) - 1) * Self.modelStride
    }

    /// Gives a model an entry; 0: there is no room for another one.
    package func add(_ model: Model) -> UInt32 {
        logs.withLock { _ in
            let index = UInt32(clamping: number(Self.modelsUsedPlace) + 1)
            guard let place = unsafe modelPointer(index) else { return 0 }
            unsafe place.storeBytes(of: UInt64(model.version), toByteOffset: 8, as: UInt64.self)
            unsafe place.storeBytes(of: model.hangNanoseconds, toByteOffset: 16, as: UInt64.self)
            let name = Array(model.deployment.utf8.prefix(Self.deploymentBytes))
            unsafe place.storeBytes(of: UInt32(name.count), as: UInt32.self)
            unsafe Self.store(name, at: place + Self.deploymentPlace)
            let build = Array(model.build.utf8.prefix(Self.buildBytes))
            unsafe place.storeBytes(of: UInt32(build.count), toByteOffset: 4, as: UInt32.self)
            unsafe Self.store(build, at: place + Self.buildPlace)
            setNumber(Self.modelsUsedPlace, UInt64(index))
            return index
        }
    }

    private static func store(_ bytes: [UInt8], at place: UnsafeMutableRawPointer) {
        for (offset, byte) in bytes.enumerated() {
            unsafe place.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
        }
    }

    /// Keeps the end of what a model has logged.
    package func addLog(_ line: String, of model: UInt32) {
        guard let place = unsafe modelPointer(model) else { return }
        logs.withLock { _ in
            var end = unsafe place.load(fromByteOffset: 24, as: UInt64.self)
            let bytes = line.utf8.prefix(512).map { $0 == 0x0a ? 0x20 : $0 }
            for byte in bytes + [0x0a] {
                let offset = Int(end % UInt64(Self.logBytes))
                unsafe place.storeBytes(
                    of: byte,
                    toByteOffset: Self.logPlace + offset,
                    as: UInt8.self
                )
                end += 1
            }
            unsafe place.storeBytes(of: end, toByteOffset: 24, as: UInt64.self)
        }
    }

    /// The last model of which something is so.
    package func model(where isIt: (Model) -> Bool) -> Model? {
        let used = UInt32(clamping: min(number(Self.modelsUsedPlace), UInt64(Self.modelsMaximum)))
        return (0..<used).reversed().lazy.compactMap { self.model($0 + 1) }.first(where: isIt)
    }

    /// What is known of a model; nil: there is no such entry.
    package func model(_ index: UInt32) -> Model? {
        guard index <= number(Self.modelsUsedPlace), let place = unsafe modelPointer(index) else {
            return nil
        }
        func text(_ offset: Int, _ count: Int) -> String {
            let bytes = unsafe UnsafeRawBufferPointer(start: place + offset, count: count)
            return unsafe String(decoding: bytes, as: UTF8.self)
        }
        let name = min(Int(unsafe place.load(as: UInt32.self)), Self.deploymentBytes)
        let build = min(
            Int(unsafe place.load(fromByteOffset: 4, as: UInt32.self)),
            Self.buildBytes
        )
        let end = unsafe place.load(fromByteOffset: 24, as: UInt64.self)
        let kept = min(end, UInt64(Self.logBytes))
        let bytes = (0..<kept).map { back in
            let offset = Int((end - kept + back) % UInt64(Self.logBytes))
            return unsafe place.load(fromByteOffset: Self.logPlace + offset, as: UInt8.self)
        }
        var lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: true)
            .map { String(decoding: $0, as: UTF8.self) }
        // The oldest line may have lost its beginning.
        if end > kept, !lines.isEmpty { lines.removeFirst() }
        return unsafe Model(
            deployment: text(Self.deploymentPlace, name),
            version: Int(clamping: place.load(fromByteOffset: 8, as: UInt64.self)),
            build: text(Self.buildPlace, build),
            hangNanoseconds: place.load(fromByteOffset: 16, as: UInt64.self),
            log: lines
        )
    }
}

extension WorkerBoard {
    /// Gives the call up that a note tells of, if it is still the same one: another thread takes
    /// its place.
    package func writeOff(_ note: Int, call: UInt64) {
        guard (0..<Self.notesMaximum).contains(note) else { return }
        unsafe (notesPointer + note).pointee.written_off = call
    }
}

extension Optional where Wrapped == WorkerBoard {
    /// Runs a model's code that is for no request, with a note of it where there is a board.
    package func noting<R, E: Error>(
        _ activity: WorkerBoard.Activity,
        of model: UInt32,
        _ body: () throws(E) -> R
    ) throws(E) -> R {
        let note = self?.threadNote()
        note?.setNoRequest()
        note?.begin(activity, of: model, at: MonotonicClock.now())
        defer { note?.end() }
        return try body()
    }
}
