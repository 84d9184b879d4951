// Opening a shared library. It is never closed: `dlclose` of a library that holds Swift code was
// measured to crash the process at the runtime's next look-up of a type.
//
// Each library gets a wall before and behind it: address space that nobody may touch and that costs
// no memory. Code that writes a little beyond its own data then ends the process that tries it, in
// the same way each time; without walls it would quietly change whatever the kernel had put there,
// and a build that passed its probe could bring down the host.

import Glibc

/// A shared library that stays in the process until the process ends.
///
/// SAFETY: the handle is constant, never closed, and the loader's own calls on it are thread-safe.
@safe
package final class SharedLibrary: @unchecked Sendable {
    private let handle: UnsafeMutableRawPointer

    /// Opens a library now, with every symbol resolved, visible to nobody else, for good.
    ///
    /// Runs the library's constructors: the file must have been checked and probed before.
    package init(path: String) throws(LibraryError) {
        _ = unsafe dlerror()
        Self.fillGaps(above: Self.buildWall())
        defer { _ = Self.buildWall() }
        guard let handle = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            let text = unsafe dlerror()
            throw LibraryError(
                text: unsafe text.map { unsafe String(cString: $0) } ?? "the loader gave no reason"
            )
        }
        unsafe self.handle = unsafe handle
    }

    /// Bytes of a wall: what an instruction reaches that is wrong by three of its four bytes.
    private static let wallBytes = 64 << 20

    /// Takes address space beside what was mapped last. Without it (a limit on address space) the
    /// library works as well.
    private static func buildWall() -> UInt {
        reserve(wallBytes)
    }

    /// Takes the gaps between what is mapped above the wall, where a small library would be put
    /// beside something else's memory.
    private static func fillGaps(above wall: UInt) {
        let gapBytes = 16 << 10
        for _ in 0..<4096 {
            let place = reserve(gapBytes)
            if place < wall { return }
        }
    }

    private static func reserve(_ count: Int) -> UInt {
        let flags = CInt(MAP_PRIVATE) | CInt(MAP_ANONYMOUS) | CInt(MAP_NORESERVE)
        let place = unsafe mmap(nil, count, PROT_NONE, flags, -1, 0)
        return unsafe place == MAP_FAILED ? 0 : UInt(bitPattern: place)
    }

    /// The address of an exported symbol, or nil.
    @unsafe
    package func symbol(_ name: String) -> UnsafeMutableRawPointer? {
        unsafe dlsym(handle, name)
    }
}

/// What the system's loader said.
package struct LibraryError: Error {
    /// The loader's own text.
    package let text: String
}
