// A text that lies in memory and that other processes can be handed.

import CLinux
import Glibc

/// Files without a name.
package enum MemoryFile {
    /// A file in memory with these bytes.
    package static func make(_ bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
        let file = FileDescriptor(
            owning: try SystemCall.run("memfd_create") { unsafe clinux_memfd("switchyard-live") }
        )
        try file.writeAll(bytes.span)
        return file
    }

    /// What such a file has, whoever has read it before.
    package static func read(_ number: CInt) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let offset = bytes.count
            let count = unsafe buffer.withUnsafeMutableBytes { storage in
                unsafe pread(number, storage.baseAddress, storage.count, offset)
            }
            if count <= 0 { return bytes }
            bytes.append(contentsOf: buffer[..<count])
        }
    }
}
