// An owned file descriptor. Ownership is in the type: it cannot be copied, and it is closed once.

import Glibc

/// A file descriptor that is closed when its owner lets go of it.
package struct FileDescriptor: ~Copyable {
    /// The number; valid as long as this value lives.
    package let number: CInt

    /// Takes ownership of an open descriptor.
    package init(owning number: CInt) {
        precondition(number >= 0, "a descriptor is not negative")
        self.number = number
    }

    deinit {
        // Linux frees the number whatever close() answers, also when it is interrupted: never
        // retry.
        _ = Glibc.close(number)
    }

    /// Gives the descriptor away without closing it.
    package consuming func release() -> CInt {
        let released = number
        discard self
        return released
    }

    /// Reads at most `buffer.count` bytes. Calls `read(2)`.
    package borrowing func read(into buffer: inout [UInt8]) throws(SystemError) -> Int {
        let number = self.number
        let result = unsafe buffer.withUnsafeMutableBytes { storage in
            Result { () throws(SystemError) -> Int in
                try SystemCall.run("read") {
                    unsafe Glibc.read(number, storage.baseAddress, storage.count)
                }
            }
        }
        return try result.get()
    }

    /// Writes all the bytes, however many calls that takes. Calls `write(2)`.
    package borrowing func writeAll(_ bytes: Span<UInt8>) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try write(bytes, from: done)
        }
    }

    /// Writes what one call takes of the bytes from an offset on. Calls `write(2)`.
    package borrowing func write(_ bytes: Span<UInt8>, from offset: Int) throws(SystemError) -> Int
    {
        let number = self.number
        let result = unsafe bytes.withUnsafeBytes { storage in
            Result { () throws(SystemError) -> Int in
                try SystemCall.run("write") {
                    unsafe Glibc.write(
                        number,
                        storage.baseAddress?.advanced(by: offset),
                        storage.count - offset
                    )
                }
            }
        }
        return try result.get()
    }

    /// Waits until the file's contents and size are on the disk. Calls `fsync(2)`.
    package borrowing func synchronize() throws(SystemError) {
        let number = self.number
        try SystemCall.run("fsync") { fsync(number) }
    }

    /// Sets the file's size. Calls `ftruncate(2)`.
    package borrowing func truncate(to size: Int) throws(SystemError) {
        let number = self.number
        try SystemCall.run("ftruncate") { ftruncate(number, size) }
    }

    /// Reserves disk space for the first `size` bytes. Calls `posix_fallocate(3)`.
    package borrowing func reserve(size: Int) throws(SystemError) {
        // posix_fallocate returns the error instead of setting errno.
        var failure = posix_fallocate(number, 0, size)
        while failure == EINTR {
            failure = posix_fallocate(number, 0, size)
        }
        if failure != 0 { throw SystemError(call: "posix_fallocate", number: failure) }
    }
}
