// Readiness of many descriptors, wake-ups from other threads, and signals as readable descriptors.

import CLinux
import Glibc

/// What a descriptor is waited for, or what it is ready for.
package struct Interest: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Bytes (or the end of the stream, or a connection) can be taken.
    package static let readable = Interest(rawValue: UInt32(CLINUX_READABLE))
    /// Bytes can be given.
    package static let writable = Interest(rawValue: UInt32(CLINUX_WRITABLE))
    /// The peer has finished sending, whatever of it lies unread.
    package static let peerClosed = Interest(rawValue: UInt32(CLINUX_PEER_CLOSED))
    /// An error is pending, or the connection is gone; always reported, never asked for.
    package static let broken = Interest(
        rawValue: UInt32(CLINUX_ERROR) | UInt32(CLINUX_HANGUP)
    )
}

/// One notice: what became ready, under the token given at registration.
package struct ReadyEvent: Sendable {
    /// The token of the registration.
    package let token: UInt64
    /// What it is ready for.
    package let interest: Interest
}

/// A set of descriptors to wait on. Level-triggered: what is not taken is reported again.
package struct Epoll: ~Copyable {
    private let descriptor: FileDescriptor
    private var events = [clinux_event](repeating: clinux_event(), count: 256)

    package init() throws(SystemError) {
        descriptor = FileDescriptor(
            owning: try SystemCall.run("epoll_create1") { clinux_epoll_create() }
        )
    }

    /// Starts waiting for a descriptor.
    package func add(
        _ file: borrowing FileDescriptor,
        _ interest: Interest,
        token: UInt64
    ) throws(SystemError) {
        let (epoll, number) = (descriptor.number, file.number)
        try SystemCall.run("epoll_ctl") {
            clinux_epoll_add(epoll, number, interest.rawValue, token)
        }
    }

    /// Changes what a descriptor is waited for.
    package func modify(
        _ file: borrowing FileDescriptor,
        _ interest: Interest,
        token: UInt64
    ) throws(SystemError) {
        let (epoll, number) = (descriptor.number, file.number)
        try SystemCall.run("epoll_ctl") {
            clinux_epoll_modify(epoll, number, interest.rawValue, token)
        }
    }

    /// Stops waiting for a descriptor. Always called before it is closed: a duplicate elsewhere
    /// would keep the registration alive, and it could not be removed any more.
    package func remove(_ file: borrowing FileDescriptor) throws(SystemError) {
        let (epoll, number) = (descriptor.number, file.number)
        try SystemCall.run("epoll_ctl") { clinux_epoll_remove(epoll, number) }
    }

    /// Waits at most `milliseconds` (-1: for ever); returns how many events there are.
    package mutating func wait(milliseconds: Int) throws(SystemError) -> Int {
        let number = descriptor.number
        let limit = CInt(clamping: milliseconds)
        let count = unsafe events.withUnsafeMutableBufferPointer { buffer in
            unsafe clinux_epoll_wait(number, buffer.baseAddress, CInt(buffer.count), limit)
        }
        if count < 0 {
            if errno == EINTR { return 0 }
            throw SystemError(call: "epoll_wait", number: errno)
        }
        return Int(count)
    }

    /// One of the events that the last `wait` found.
    package func event(_ index: Int) -> ReadyEvent {
        ReadyEvent(
            token: events[index].data,
            interest: Interest(rawValue: events[index].bits)
        )
    }
}

/// A counter that wakes a loop from any thread. Calls `eventfd(2)`.
package struct EventCounter: ~Copyable, Sendable {
    package let descriptor: FileDescriptor

    package init() throws(SystemError) {
        descriptor = FileDescriptor(owning: try SystemCall.run("eventfd") { clinux_eventfd() })
    }

    /// Makes the descriptor readable.
    package func signal() {
        var one: UInt64 = 1
        _ = unsafe Glibc.write(descriptor.number, &one, 8)
    }

    /// Makes the descriptor unreadable again.
    package func clear() {
        var count: UInt64 = 0
        _ = unsafe Glibc.read(descriptor.number, &count, 8)
    }
}

/// Signals of the process, taken by reading instead of by a handler. Calls `signalfd(2)`.
package struct SignalDescriptor: ~Copyable {
    package let descriptor: FileDescriptor

    /// Blocks the signals for this thread and those that it starts, so call it before any other.
    package init(_ signals: [CInt]) throws(SystemError) {
        let number = try SystemCall.run("signalfd") {
            unsafe signals.withUnsafeBufferPointer { list in
                unsafe clinux_signalfd(list.baseAddress, CInt(list.count))
            }
        }
        descriptor = FileDescriptor(owning: number)
    }

    /// The next pending signal's number.
    package func next() -> CInt? {
        let number = clinux_signal_next(descriptor.number)
        return number == 0 ? nil : number
    }

    /// A closed connection and a file that may not grow are errors of the call that finds them,
    /// never signals.
    package static func ignoreCallErrors() {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }
}
