// Files and folders: reading one whole, writing one atomically, listing, renaming, removing.
//
// Every write that somebody may rely on goes through a temporary name in the same folder, fsync and
// rename, so that a reader sees the old file or the new one, and a crash leaves no half of either.

package import Glibc

/// What kind of thing a path names, and what the system says about it.
package struct FileFacts: Equatable, Sendable {
    /// What the path names.
    package enum Kind: String, Sendable {
        case regular = "a regular file"
        case directory = "a folder"
        case link = "a symbolic link"
        case socket = "a socket"
        case other = "neither a file nor a folder"
    }

    /// What it is.
    package let kind: Kind
    /// Bytes.
    package let size: Int
    /// Permission bits, such as 0o644.
    package let mode: UInt32
    /// The user id of the owner.
    package let owner: UInt32
    /// Which file of its file system it is, and when its bytes or its facts changed last, in
    /// nanoseconds since 1970: with the size, what tells another file from this one.
    package let inode: UInt64
    package let changed: Int64
    /// When its bytes changed last; of a socket's file, when it was made.
    package let written: Int64
}

/// Operations on files.
package enum File {
    /// What a path names. Does not follow a symbolic link at its end unless asked to.
    package static func facts(
        _ path: String,
        followingLinks: Bool = true
    ) throws(SystemError) -> FileFacts {
        var status = stat()
        try SystemCall.run("stat", path) {
            unsafe followingLinks ? stat(path, &status) : lstat(path, &status)
        }
        let kind: FileFacts.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .link
            case S_IFSOCK: .socket
            default: .other
            }
        return FileFacts(
            kind: kind,
            size: Int(status.st_size),
            mode: status.st_mode & 0o7777,
            owner: status.st_uid,
            inode: UInt64(status.st_ino),
            changed: Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec),
            written: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec)
        )
    }

    /// Whether a path lies on a file system that is mounted read-only here. Calls `statvfs(3)`.
    package static func isOnReadOnlyMount(_ path: String) -> Bool {
        var facts = statvfs()
        return unsafe statvfs(path, &facts) == 0 && facts.f_flag & UInt(ST_RDONLY) != 0
    }

    /// Whether a path names anything.
    package static func exists(_ path: String) -> Bool {
        (try? facts(path, followingLinks: false)) != nil
    }

    /// What a file is opened for by the floors above.
    package enum Access: Sendable {
        case read
        /// Reading, and writing at the end; made when it is missing.
        case append
    }

    /// Opens a file. Never blocks on a FIFO; the descriptor does not survive `exec`.
    package static func open(
        _ path: String,
        access: Access,
        mode: mode_t = 0o644
    ) throws(SystemError) -> FileDescriptor {
        try open(path, flags: access == .read ? O_RDONLY : O_RDWR | O_APPEND | O_CREAT, mode: mode)
    }

    static func open(
        _ path: String,
        flags: CInt = O_RDONLY,
        mode: mode_t = 0o644
    ) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try SystemCall.run("open", path) {
                unsafe Glibc.open(path, flags | O_CLOEXEC | O_NONBLOCK, mode)
            }
        )
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// Throws `EFBIG` for a larger file and `EISDIR` or `EINVAL` for what is not a regular file.
    package static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        let facts = try facts(path)
        guard facts.kind == .regular else {
            let number = facts.kind == .directory ? EISDIR : EINVAL
            throw SystemError(call: "read", subject: path, number: number)
        }
        guard facts.size <= limit else {
            throw SystemError(call: "read", subject: path, number: EFBIG)
        }
        let file = try open(path)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(facts.size)
        var buffer = [UInt8](repeating: 0, count: min(max(facts.size + 1, 512), 1 << 20))
        while true {
            let count = try file.read(into: &buffer)
            if count == 0 { return bytes }
            bytes.append(contentsOf: buffer[..<count])
            if bytes.count > limit {
                throw SystemError(call: "read", subject: path, number: EFBIG)
            }
        }
    }

    /// Reads a file that does not know its size, such as those of `/proc`.
    package static func readStream(_ path: String) throws(SystemError) -> [UInt8] {
        try read(path, limit: 1 << 20, from: 0)
    }

    /// Reads what a file holds from an offset on, at most `limit` bytes.
    package static func read(
        _ path: String,
        limit: Int,
        from offset: Int
    ) throws(SystemError) -> [UInt8] {
        let file = try open(path)
        let number = file.number
        try SystemCall.run("lseek", path) { lseek(number, offset, SEEK_SET) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while bytes.count < limit {
            let count = try file.read(into: &buffer)
            if count == 0 { break }
            bytes.append(contentsOf: buffer[..<count])
        }
        return bytes
    }

    /// Writes a file so that a reader sees the old contents or the new ones, also after a crash.
    package static func writeAtomically(
        _ path: String,
        _ bytes: [UInt8],
        mode: mode_t = 0o644
    ) throws(SystemError) {
        let temporary = "\(path).\(getpid()).new"
        // A process of the same number may have died here before.
        try? remove(temporary)
        do {
            try writeNew(temporary, bytes, mode: mode)
            try rename(temporary, to: path)
        } catch {
            try? remove(temporary)
            throw error
        }
        // From the rename on it is what the file says. That the folder's entry is on the disk too
        // cannot be undone where it fails, so a failure of it must not be told as one of the
        // change.
        try? Directory.synchronize(Path.folder(of: path))
    }

    /// Writes a file that must not exist yet and waits until it is on the disk.
    package static func writeNew(
        _ path: String,
        _ bytes: [UInt8],
        mode: mode_t = 0o644
    ) throws(SystemError) {
        let file = try open(path, flags: O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        do {
            try file.writeAll(bytes.span)
            try file.synchronize()
        } catch {
            throw error.about(path)
        }
    }

    /// Renames a file or folder, replacing a file of the new name. Calls `rename(2)`.
    package static func rename(_ path: String, to other: String) throws(SystemError) {
        try SystemCall.run("rename", "\(path) to \(other)") { unsafe Glibc.rename(path, other) }
    }

    /// Removes a file. Calls `unlink(2)`.
    package static func remove(_ path: String) throws(SystemError) {
        try SystemCall.run("unlink", path) { unsafe unlink(path) }
    }

    /// Sets the permission bits. Calls `chmod(2)`.
    package static func setMode(_ path: String, _ mode: mode_t) throws(SystemError) {
        try SystemCall.run("chmod", path) { unsafe chmod(path, mode) }
    }

    /// Gives an open file to whoever owns a folder, if that is somebody else. Calls `fchown(2)`.
    package static func giveToOwner(
        of folder: String,
        _ file: borrowing FileDescriptor
    ) throws(SystemError) {
        var (whose, mine) = (stat(), stat())
        let number = file.number
        try SystemCall.run("stat", folder) { unsafe stat(folder, &whose) }
        try SystemCall.run("fstat") { unsafe fstat(number, &mine) }
        guard whose.st_uid != mine.st_uid else { return }
        try SystemCall.run("fchown") { fchown(number, whose.st_uid, whose.st_gid) }
    }

    /// Waits for an exclusive lock on an open file or folder, which ends with the descriptor.
    package static func waitForLock(_ file: borrowing FileDescriptor) throws(SystemError) {
        let number = file.number
        try SystemCall.run("flock") { flock(number, LOCK_EX) }
    }

    /// Takes an exclusive lock on an open file, or says that another process holds it.
    package static func lock(_ file: borrowing FileDescriptor) throws(SystemError) -> Bool {
        let number = file.number
        do {
            try SystemCall.run("flock") { flock(number, LOCK_EX | LOCK_NB) }
            return true
        } catch  where error.number == EWOULDBLOCK {
            return false
        }
    }
}

/// Operations on folders.
package enum Directory {
    /// The names in a folder, sorted by their bytes, without `.` and `..`.
    package static func names(in path: String) throws(SystemError) -> [String] {
        guard let stream = unsafe opendir(path) else {
            throw SystemError(call: "opendir", subject: path, number: errno)
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    unsafe String(cString: text)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
    }

    /// Makes one folder. Calls `mkdir(2)`.
    package static func create(_ path: String, mode: mode_t = 0o755) throws(SystemError) {
        try SystemCall.run("mkdir", path) { unsafe mkdir(path, mode) }
    }

    /// Makes a folder and every missing one above it.
    package static func createAll(_ path: String, mode: mode_t = 0o755) throws(SystemError) {
        if let facts = try? File.facts(path), facts.kind == .directory { return }
        let parent = Path.folder(of: path)
        if parent != path { try createAll(parent, mode: mode) }
        do {
            try create(path, mode: mode)
        } catch  where error.isAlreadyThere {
            let facts = try File.facts(path)
            if facts.kind != .directory { throw error }
        }
    }

    /// Removes a file or a folder with all that it holds; nothing there is fine.
    package static func removeAll(_ path: String) throws(SystemError) {
        guard let facts = try? File.facts(path, followingLinks: false) else { return }
        guard facts.kind == .directory else { return try File.remove(path) }
        for name in try names(in: path) {
            try removeAll("\(path)/\(name)")
        }
        try SystemCall.run("rmdir", path) { unsafe rmdir(path) }
    }

    /// Waits until the folder's list of names is on the disk.
    package static func synchronize(_ path: String) throws(SystemError) {
        let folder = try File.open(path, flags: O_RDONLY | O_DIRECTORY)
        try folder.synchronize()
    }

    /// Makes a new, empty folder below `parent` with a name of its own. Calls `mkdtemp(3)`.
    package static func createTemporary(
        in parent: String,
        prefix: String
    ) throws(SystemError) -> String {
        var template = Array("\(parent)/\(prefix)XXXXXX\0".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { text in
            unsafe text.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
        }
        if !made { throw SystemError(call: "mkdtemp", subject: parent, number: errno) }
        return String(
            decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) },
            as: UTF8.self
        )
    }
}

/// Parts of a path's text.
package enum Path {
    /// Everything before the last `/`; `.` when there is none.
    package static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
    }

    /// Everything after the last `/`.
    package static func name(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return String(path[path.utf8.index(after: slash)...])
    }

    /// The path from the root folder on, without links and dots. Calls `realpath(3)`.
    package static func real(_ path: String) throws(SystemError) -> String {
        guard let text = unsafe realpath(path, nil) else {
            throw SystemError(call: "realpath", subject: path, number: errno)
        }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }

    /// The path from the root folder on.
    package static func absolute(_ path: String) -> String {
        if path.utf8.first == UInt8(ascii: "/") { return path }
        guard let folder = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(folder) }
        return unsafe "\(String(cString: folder))/\(path)"
    }
}
