// The one error of this target: what a system call answered, and which call it was.

import Glibc

/// A failed system call: the call's name, the subject it was made on, and the error number.
package struct SystemError: Error, CustomStringConvertible, Equatable {
    /// The call, such as `open`.
    package let call: String
    /// What it was made on (a path, an address), or an empty string.
    package let subject: String
    /// The value of `errno` right after the call.
    package let number: CInt

    package init(call: String, subject: String = "", number: CInt) {
        self.call = call
        self.subject = subject
        self.number = number
    }

    /// The same error with what it was made on, where the call itself did not know.
    func about(_ path: String) -> SystemError {
        SystemError(call: call, subject: subject.isEmpty ? path : subject, number: number)
    }

    /// `open deployments/x: No such file or directory (errno 2)`
    package var description: String {
        let text = unsafe String(cString: strerror(number))
        return "\(call)\(subject.isEmpty ? "" : " \(subject)"): \(text) (errno \(number))"
    }

    /// The number of "the contents are damaged" (`EBADMSG`).
    package static let badMessage = EBADMSG

    /// Whether the file or folder does not exist.
    package var isNotFound: Bool { number == ENOENT }
    /// Whether a part of the path is a file where a folder was meant.
    package var isNotFolder: Bool { number == ENOTDIR }
    /// Whether the file or folder exists already.
    package var isAlreadyThere: Bool { number == EEXIST || number == ENOTEMPTY }
    /// Whether the address is in use by another socket.
    package var isAddressInUse: Bool { number == EADDRINUSE }
}

/// What a call that must not block came back with.
package enum IOResult: Equatable {
    /// So many bytes were moved.
    case moved(Int)
    /// Nothing can be moved at the moment.
    case wouldBlock
    /// The other side has finished sending.
    case endOfStream
    /// The connection is gone.
    case failed(CInt)
}

/// Makes system calls: retries an interrupted one, and reads `errno` where nothing can disturb it.
enum SystemCall {
    /// Runs `body` until it is not interrupted; throws when it returns -1.
    @discardableResult
    static func run<Number: FixedWidthInteger>(
        _ call: StaticString,
        _ subject: @autoclosure () -> String = "",
        _ body: () -> Number
    ) throws(SystemError) -> Number {
        while true {
            let result = body()
            if result != -1 { return result }
            let number = errno
            if number == EINTR { continue }
            precondition(
                number != EBADF && number != EFAULT,
                "\(call): a closed descriptor or a bad pointer was used; this is a bug in the host"
            )
            throw SystemError(call: call.description, subject: subject(), number: number)
        }
    }

    /// Runs a call that moves bytes on a non-blocking descriptor.
    static func move(_ body: () -> Int) -> IOResult {
        while true {
            let count = body()
            if count > 0 { return .moved(count) }
            if count == 0 { return .endOfStream }
            let number = errno
            switch number {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            default: return .failed(number)
            }
        }
    }
}
