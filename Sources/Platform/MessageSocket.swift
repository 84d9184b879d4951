// Messages between supervisor and worker: a few numbers, a text, and descriptors. Each message
// arrives whole or not at all, and nobody ever waits for the other side.

import CLinux
import Glibc

/// What one side tells the other.
package struct ProcessMessage: Sendable {
    /// What it says; the two sides agree on the numbers.
    package var kind: UInt32
    package var number: UInt64
    package var other: UInt64
    package var text: String
    /// Descriptors that are lent to be sent, or that the receiver owns.
    package var descriptors: [CInt]

    package init(
        kind: UInt32,
        number: UInt64 = 0,
        other: UInt64 = 0,
        text: String = "",
        descriptors: [CInt] = []
    ) {
        self.kind = kind
        self.number = number
        self.other = other
        self.text = text
        self.descriptors = descriptors
    }
}

/// One end of a pair of sockets that keep messages apart.
package struct MessageSocket: ~Copyable, Sendable {
    package let descriptor: FileDescriptor

    private static let headerBytes = 24
    private static let textBytesMaximum = 8192

    /// The end whose descriptor is given.
    package init(_ descriptor: consuming FileDescriptor) {
        self.descriptor = descriptor
    }

    /// Two ends: one to keep, and one for another process.
    package static func pair() throws(SystemError) -> (kept: MessageSocket.Kept, other: FileEnd) {
        var numbers: [CInt] = [0, 0]
        try SystemCall.run("socketpair") { unsafe clinux_message_pair(&numbers) }
        return (
            Kept(MessageSocket(FileDescriptor(owning: numbers[0]))),
            FileEnd(FileDescriptor(owning: numbers[1]))
        )
    }

    /// An end that can be kept in an array.
    package final class Kept {
        package let socket: MessageSocket
        init(_ socket: consuming MessageSocket) { self.socket = socket }
    }

    /// An end until it is sent to another process.
    package final class FileEnd {
        package let descriptor: FileDescriptor
        init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
    }

    /// What sending came to.
    package enum Sent { case done, full, broken }

    /// Sends a message, if there is room for it.
    package func send(_ message: ProcessMessage) -> Sent {
        var bytes: [UInt8] = []
        func append<T: FixedWidthInteger>(_ number: T) {
            unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
        }
        append(message.kind)
        append(UInt32(0))
        append(message.number)
        append(message.other)
        bytes += message.text.utf8.prefix(Self.textBytesMaximum)
        return send(bytes, message.descriptors)
    }

    /// Sends bytes and descriptors as they are.
    package func send(_ bytes: [UInt8], _ descriptors: [CInt]) -> Sent {
        let number = descriptor.number
        let result = unsafe clinux_send_message(
            number,
            bytes,
            bytes.count,
            descriptors,
            descriptors.count
        )
        if result == 0 { return .done }
        switch errno {
        case EAGAIN, ENOBUFS, ETOOMANYREFS: return .full
        default: return .broken
        }
    }

    /// What receiving came to.
    package enum Received {
        case message(ProcessMessage)
        case nothing
        /// The other side is gone.
        case end
    }

    /// Takes the next message, if there is one.
    package func receive() -> Received {
        switch receiveRaw() {
        case .bytes(let bytes, let descriptors):
            guard bytes.count >= Self.headerBytes else { return .nothing }
            func number(_ place: Int, _ count: Int) -> UInt64 {
                (0..<count).reduce(0) { $0 | UInt64(bytes[place + $1]) << (8 * $1) }
            }
            return .message(
                ProcessMessage(
                    kind: UInt32(number(0, 4)),
                    number: number(8, 8),
                    other: number(16, 8),
                    text: String(decoding: bytes[Self.headerBytes...], as: UTF8.self),
                    descriptors: descriptors
                )
            )
        case .nothing: return .nothing
        case .end: return .end
        }
    }

    /// What receiving bytes came to.
    package enum RawReceived {
        case bytes([UInt8], descriptors: [CInt])
        case nothing
        case end
    }

    /// Takes the bytes and descriptors of the next message, if there is one.
    package func receiveRaw() -> RawReceived {
        var bytes = [UInt8](repeating: 0, count: Self.headerBytes + Self.textBytesMaximum)
        var descriptors = [CInt](repeating: -1, count: 253)
        var count = descriptors.count
        let length = unsafe clinux_receive_message(
            descriptor.number,
            &bytes,
            bytes.count,
            &descriptors,
            &count
        )
        if length > 0 {
            return .bytes(Array(bytes[..<length]), descriptors: Array(descriptors[..<count]))
        }
        if length == 0 { return .end }
        return errno == EAGAIN ? .nothing : .end
    }
}

extension ProcessMessage {
    /// Closes the descriptors that came with it and that nobody wants.
    package func drop() {
        for number in descriptors { _ = FileDescriptor(owning: number) }
    }
}
