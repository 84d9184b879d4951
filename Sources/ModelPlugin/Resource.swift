// Reading the files that were deployed with a version. One of the two files of this target that
// import Glibc; a model's own file needs neither Glibc nor Foundation for its resources.

import Glibc

extension ModelContext {
    /// Reads a file of the version's resources, whole; made for `init`.
    ///
    ///     let trees = try context.resource(named: "trees.json", bytesMaximum: 1 << 20)
    ///
    /// What is thrown is one sentence that names the resource and says what is wrong with it.
    ///
    /// - Parameters:
    ///   - name: the file's path below the folder of resources, such as `trees.json` or
    ///     `words/en.txt`; without `.`, `..` or a `/` at its beginning or end.
    ///   - bytesMaximum: a larger file is refused; 256 MiB unless told.
    public func resource(named name: String, bytesMaximum: Int = 256 << 20) throws -> [UInt8] {
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isSafe = parts.allSatisfy {
            !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
        }
        guard !name.utf8.contains(0), isSafe else {
            throw ModelError.failed(
                "the resource \"\(name)\" does not name a file below the folder of resources"
            )
        }
        guard !resources.isEmpty else {
            throw ModelError.failed(
                "the resource \"\(name)\" is missing: the version was made without resources"
            )
        }
        return try ResourceFile(name, in: resources).read(bytesMaximum: bytesMaximum)
    }
}

/// An open file of the resources.
private struct ResourceFile: ~Copyable {
    private let name: String
    private let descriptor: CInt

    init(_ name: String, in folder: String) throws {
        self.name = name
        // Without O_NONBLOCK a FIFO of that name would be waited for.
        descriptor = unsafe open("\(folder)/\(name)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 { throw Self.failure(name, "cannot be opened", errno) }
    }

    deinit { close(descriptor) }

    private static func failure(_ name: String, _ what: String, _ number: CInt) -> ModelError {
        let reason = unsafe String(cString: strerror(number))
        return .failed("the resource \"\(name)\" \(what): \(reason)")
    }

    borrowing func read(bytesMaximum: Int) throws -> [UInt8] {
        var status = stat()
        if unsafe fstat(descriptor, &status) != 0 {
            throw Self.failure(name, "cannot be read", errno)
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ModelError.failed("the resource \"\(name)\" is not a regular file")
        }
        let count = Int(status.st_size)
        guard count <= bytesMaximum else {
            throw ModelError.failed(
                "the resource \"\(name)\" has \(count) bytes; at most \(bytesMaximum) are read"
            )
        }
        var done = 0
        var number: CInt = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while done < count {
                let moved = unsafe Glibc.read(
                    descriptor,
                    buffer.baseAddress.map { unsafe $0 + done },
                    count - done
                )
                if moved < 0, errno == EINTR { continue }
                if moved < 0 { number = errno }
                if moved <= 0 { break }
                done += moved
            }
            filled = done
        }
        if number != 0 { throw Self.failure(name, "cannot be read", number) }
        guard done == count else {
            throw ModelError.failed("the resource \"\(name)\" became shorter while it was read")
        }
        return bytes
    }
}
