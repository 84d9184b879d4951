// Moving bytes between a socket and mapped memory.

import Glibc

/// The two calls that move bytes straight into and out of a slot.
@unsafe
enum RawSocket {
    static func receive(_ socket: CInt, _ target: UnsafeMutableRawPointer, _ room: Int) -> IOResult
    {
        SystemCall.move { unsafe recv(socket, target, room, 0) }
    }

    static func send(_ socket: CInt, _ source: UnsafeRawPointer, _ count: Int) -> IOResult {
        SystemCall.move {
            unsafe Glibc.send(socket, source, count, CInt(MSG_NOSIGNAL))
        }
    }
}
