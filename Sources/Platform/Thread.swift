// Threads, and the one kind of lock.

import CLinux
import Glibc

/// A running thread. One that nobody joins goes on alone and cleans up after itself.
package struct Thread: ~Copyable {
    private let handle: pthread_t

    /// Starts a thread. Its name shows in `top -H`; at most 15 bytes of it are kept.
    package init(
        name: String,
        stackBytes: Int = 1 << 20,
        _ body: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        // The start is retained here and released in `run`, the only place that takes it back.
        let start = unsafe Unmanaged.passRetained(Start(name: name, body: body))
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setstacksize(&attributes, stackBytes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        var handle = pthread_t()
        let failure = unsafe pthread_create(
            &handle,
            &attributes,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                unsafe clinux_name_thread(start.name)
                // Where faults are caught, one that has used up its stack can still be told of.
                let signalStack = unsafe clinux_open_signal_stack()
                start.body()
                WorkerBoard.giveThreadNote()
                unsafe clinux_close_signal_stack(signalStack)
                return nil
            },
            start.toOpaque()
        )
        if failure != 0 {
            unsafe start.release()
            throw SystemError(call: "pthread_create", number: failure)
        }
        self.handle = handle
    }

    /// Waits until the thread has ended.
    package consuming func join() {
        pthread_join(handle, nil)
        discard self
    }

    deinit {
        pthread_detach(handle)
    }

    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = String(decoding: name.utf8.prefix(15), as: UTF8.self)
            self.body = body
        }
    }
}

/// Something that may never come to its end, on a thread of its own.
package enum BoundedTask {
    /// What it comes to; nil when there is no end within the time: then the thread is left behind,
    /// and what it comes to is dropped.
    ///
    /// Time that the thread was ready and had no processor does not count, up to nine times the
    /// time itself: a busy machine is no reason to give a thread up that gives way to others.
    package static func run<R: Sendable>(
        name: String,
        nanoseconds: UInt64,
        _ body: @escaping @Sendable () -> R
    ) throws(SystemError) -> R? {
        let end = Guarded<R?>(nil)
        let schedule = Guarded<Int32>(-1)
        let thread = try Thread(name: name, stackBytes: 8 << 20) {
            schedule.withLock { $0 = clinux_open_schedule() }
            let result = body()
            end.withLock { $0 = result }
            end.notify()
        }
        defer { schedule.withLock { if $0 >= 0 { _ = Glibc.close($0) } } }
        let start = MonotonicClock.now()
        var limit = start + nanoseconds
        var result = end.wait(by: limit) { $0 }
        while result == nil {
            let waited = schedule.withLock { $0 >= 0 ? clinux_schedule_delay($0) : 0 }
            let later = start + nanoseconds + min(waited, 9 * nanoseconds)
            guard later > limit else { break }
            limit = later
            result = end.wait(by: limit) { $0 }
        }
        if result != nil { thread.join() }
        return result
    }
}

/// The thread that calls.
package enum CurrentThread {
    /// Takes a name, which `top` and `ps` show: the process's, for its first thread. The kernel
    /// keeps fifteen bytes of it.
    package static func takeName(_ name: String) { unsafe clinux_name_thread(name) }

    /// The kernel's number of the thread.
    package static var number: UInt64 { UInt64(clinux_thread_number()) }

    /// Lets other threads have the processor first, those of other programs too: it asks for long
    /// slices of time, which whoever wakes up need not wait for. Calls `sched_setattr(2)`; what the
    /// kernel refuses changes nothing.
    package static func giveWay(steps: Int) {
        _ = clinux_schedule(CInt(steps), 20_000_000)
    }

    /// Asks for the processor as soon as there is something to do, and for short times only. Calls
    /// `sched_setattr(2)`; a kernel before 6.12 does not know it, and changes nothing.
    package static func answerPromptly() {
        _ = clinux_schedule(0, 100_000)
    }
}

/// How long one thread was ready to run and had no processor.
package final class RunDelay {
    private let file: FileDescriptor?
    private var last: UInt64 = 0

    /// Begins to count for the calling thread.
    package init() {
        let number = clinux_open_schedule()
        if number >= 0 { file = FileDescriptor(owning: number) } else { file = nil }
        _ = next()
    }

    /// Nanoseconds since the last question; 0 where the kernel does not say. One system call.
    package func next() -> UInt64 {
        let present: UInt64
        switch file {
        case .some(let file): present = clinux_schedule_delay(file.number)
        case nil: return 0
        }
        defer { last = max(last, present) }
        return present - min(last, present)
    }
}

@available(*, unavailable)
extension RunDelay: Sendable {}

/// A value that threads share, behind a lock.
///
/// Not on the path of a request: loops take it only to receive a job or a new snapshot.
/// The standard library's `Mutex` would do, but ThreadSanitizer does not understand it on Linux and
/// reports races that are none; it understands `pthread_mutex_t`.
///
/// SAFETY: the mutex lives at a fixed address from `init` to `deinit`; `value` is read and written
/// only inside `withLock`, between lock and unlock of that mutex, so no two threads see it at once.
@safe
package final class Guarded<Value: ~Copyable>: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    package init(_ value: consuming sending Value) {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        self.value = value
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` while no other thread can see the value.
    package func withLock<R: ~Copyable, E: Error>(
        _ body: (inout sending Value) throws(E) -> sending R
    ) throws(E) -> sending R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&value)
    }

    /// Waits until `notify` is called or the time is over, then runs `body`.
    package func wait<R>(nanoseconds: UInt64, _ body: (inout Value) -> R) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        let end = MonotonicClock.now() + nanoseconds
        var limit = timespec(tv_sec: Int(end / 1_000_000_000), tv_nsec: Int(end % 1_000_000_000))
        unsafe pthread_cond_timedwait(condition, mutex, &limit)
        return body(&value)
    }

    /// Waits until `body` returns something; it is asked at once, and again whenever one is woken.
    package func wait<R>(until body: (inout Value) -> R?) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&value) { return result }
            unsafe pthread_cond_wait(condition, mutex)
        }
    }

    /// The same until a moment of the monotonic clock; nil: it has come first.
    package func wait<R>(by moment: UInt64, until body: (inout Value) -> R?) -> R? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        var limit = timespec(
            tv_sec: Int(moment / 1_000_000_000),
            tv_nsec: Int(moment % 1_000_000_000)
        )
        while true {
            if let result = body(&value) { return result }
            if unsafe pthread_cond_timedwait(condition, mutex, &limit) == ETIMEDOUT {
                return body(&value)
            }
        }
    }

    /// Wakes those who wait.
    package func notify() {
        unsafe pthread_cond_broadcast(condition)
    }

    /// Wakes one of those who wait.
    package func notifyOne() {
        unsafe pthread_cond_signal(condition)
    }
}
