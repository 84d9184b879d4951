// Opening a shared library. It is never closed: `dlclose` of a library that holds Swift code was
// measured to crash the process at the runtime's next look-up of a type.

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
        guard let handle = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            let text = unsafe dlerror()
            throw LibraryError(
                text: unsafe text.map { unsafe String(cString: $0) } ?? "the loader gave no reason"
            )
        }
        unsafe self.handle = unsafe handle
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
