// Reading a file that another process is still writing, cutting, removing or replacing.

import Glibc

extension FileDescriptor {
    /// Reads what the file holds from an offset on into the buffer's bytes from `start` on; returns
    /// how many bytes that were, 0 at the file's end. Calls `pread(2)`.
    package borrowing func read(
        into buffer: inout [UInt8],
        from start: Int,
        at offset: Int
    ) throws(SystemError) -> Int {
        precondition(start >= 0 && start <= buffer.count, "the bytes go into the buffer")
        let number = self.number
        let result = unsafe buffer.withUnsafeMutableBytes { storage in
            Result { () throws(SystemError) -> Int in
                try SystemCall.run("pread") {
                    unsafe pread(
                        number,
                        storage.baseAddress?.advanced(by: start),
                        storage.count - start,
                        offset
                    )
                }
            }
        }
        return try result.get()
    }

    /// The file's size at the moment. Calls `fstat(2)`.
    package borrowing func size() throws(SystemError) -> Int {
        let number = self.number
        var status = stat()
        try SystemCall.run("fstat") { unsafe fstat(number, &status) }
        return Int(status.st_size)
    }

    /// Whether a path names this very file, and not another one that has taken its name.
    package borrowing func isNamed(_ path: String) -> Bool {
        var own = stat()
        var other = stat()
        guard unsafe fstat(number, &own) == 0, unsafe stat(path, &other) == 0 else { return false }
        return own.st_dev == other.st_dev && own.st_ino == other.st_ino
    }
}
