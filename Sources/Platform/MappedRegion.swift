// Mapped memory, the only kind of raw memory that outlives a call.
//
// A region is mapped shared from a file (the log rings, which must survive the process) or from
// anonymous memory (the connection slots, which must be passable to another process). Whoever reads
// or writes it does so through the typed doors of this target: `SlotRegion` and `LogRing`.

import CLinux
import Glibc

/// One shared mapping of a file or of anonymous memory.
///
/// SAFETY: the address and the length are constant from `mmap` to `munmap`, and the mapping ends
/// with the last reference to this object, so an access through `base` that keeps the object alive
/// and stays below `count` is in bounds. The class itself never reads or writes the memory; the
/// types that do (`SlotRegion`, `LogRing`) say who may touch which byte and when. That is why it
/// can be shared between threads.
@safe
package final class MappedRegion: @unchecked Sendable {
    /// Bytes that are mapped.
    package let count: Int
    let base: UnsafeMutableRawPointer
    /// The memory's own descriptor, by which another process can map it.
    package let descriptor: CInt

    private init(owning file: consuming FileDescriptor, count: Int) throws(SystemError) {
        let number = file.number
        let address = unsafe mmap(
            nil,
            count,
            PROT_READ | PROT_WRITE,
            MAP_SHARED,
            number,
            0
        )
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw SystemError(call: "mmap", number: errno)
        }
        unsafe self.base = address
        self.count = count
        self.descriptor = file.release()
    }

    deinit {
        unsafe munmap(base, count)
        _ = Glibc.close(descriptor)
    }

    /// Anonymous shared memory, zeroed. Pages take room only once they are touched.
    package static func anonymous(name: String, count: Int) throws(SystemError) -> MappedRegion {
        let file = FileDescriptor(
            owning: try SystemCall.run("memfd_create", name) { unsafe clinux_memfd(name) }
        )
        try file.truncate(to: count)
        return try MappedRegion(owning: file, count: count)
    }

    /// The memory of another process, whose descriptor was received.
    package static func adopted(
        _ descriptor: consuming FileDescriptor
    ) throws(SystemError) -> MappedRegion {
        var facts = stat()
        let number = descriptor.number
        try SystemCall.run("fstat") { unsafe fstat(number, &facts) }
        return try MappedRegion(owning: descriptor, count: Int(facts.st_size))
    }

    /// Leaves the memory out of core dumps. Calls `madvise(2)`.
    package func leaveOutOfDumps() {
        unsafe clinux_leave_out_of_dumps(base, count)
    }

    /// Gives whole pages of anonymous memory back to the system; they read as zeros afterwards, for
    /// every process. Calls `fallocate(2)`.
    func giveBack(at offset: Int, _ length: Int) {
        _ = clinux_punch_hole(descriptor, offset, length)
    }

    /// A file of `count` bytes, made when it is missing, with its disk space reserved up front.
    package static func file(_ path: String, count: Int) throws(SystemError) -> MappedRegion {
        let file = try File.open(path, flags: O_RDWR | O_CREAT, mode: 0o600)
        do {
            try file.reserve(size: count)
        } catch {
            throw error.about(path)
        }
        return try MappedRegion(owning: file, count: count)
    }
}
