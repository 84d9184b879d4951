// One call as the contract has it, and what the host keeps behind it.

import CModelABI
import JSON
import Platform
import Synchronization

/// Tells a model that nobody waits for its answer any more.
package final class Cancellation: Sendable {
    private let isSet = Atomic<Bool>(false)

    package init() {}

    /// From now on the model is told.
    package func cancel() { isSet.store(true, ordering: .relaxed) }

    /// Whether nobody waits any more.
    package var isCancelled: Bool { isSet.load(ordering: .relaxed) }
}

/// One row of a batch.
package struct BatchRow: Sendable {
    /// Where its inputs stand in the batch's list of inputs.
    package let values: Range<Int>
    /// Where its request's id stands in the batch's text.
    package let requestID: Range<Int>
    /// Monotonic nanoseconds; 0: none.
    package let deadline: UInt64
    package let cancellation: Cancellation

    package init(
        values: Range<Int>,
        requestID: Range<Int>,
        deadline: UInt64,
        cancellation: Cancellation
    ) {
        self.values = values
        self.requestID = requestID
        self.deadline = deadline
        self.cancellation = cancellation
    }
}

/// The contract's call with the host's own words behind it.
///
/// SAFETY: `call` is the first member, so the address of the whole is the address of the call that
/// the model gets and gives back to `cancelled`. `cancellation` is not retained: who makes a call
/// keeps the cancellation alive until the model has returned, and the contract ends the life of the
/// call there too.
@unsafe
struct HostCall {
    private var call: model_call
    private let cancellation: Unmanaged<Cancellation>?

    init(
        _ values: UnsafePointer<model_value>?,
        _ count: Int,
        _ requestID: UnsafeRawBufferPointer,
        _ deadline: UInt64,
        _ cancellation: Cancellation?
    ) {
        unsafe call = model_call(
            size: UInt32(MemoryLayout<model_call>.size),
            value_count: UInt32(count),
            values: values,
            request_id: requestID.baseAddress?.assumingMemoryBound(to: CChar.self),
            request_id_length: requestID.count,
            deadline_ns: deadline,
            cancelled: { call in unsafe HostCall.isCancelled(call) }
        )
        unsafe self.cancellation = cancellation.map { unsafe Unmanaged.passUnretained($0) }
    }

    /// The address that the model gets.
    static func contract(_ call: UnsafePointer<HostCall>) -> UnsafePointer<model_call>? {
        unsafe UnsafeRawPointer(call).assumingMemoryBound(to: model_call.self)
    }

    private static func isCancelled(_ call: UnsafePointer<model_call>?) -> Bool {
        guard let call = unsafe call else { return false }
        let whole = unsafe UnsafeRawPointer(call).assumingMemoryBound(to: HostCall.self)
        if let cancellation = unsafe whole.pointee.cancellation,
            unsafe cancellation.takeUnretainedValue().isCancelled
        {
            return true
        }
        let deadline = unsafe call.pointee.deadline_ns
        return deadline > 0 && MonotonicClock.now() > deadline
    }
}
