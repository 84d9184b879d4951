// What happens to the names in some folders, told by the kernel. See inotify(7).

import Glibc

/// What the kernel says of a watched folder.
package enum FolderChange: Equatable, Sendable {
    /// What has this name was made, written and closed, removed, renamed from or to it, or got
    /// other attributes. An empty name is the folder itself.
    case name(String, isFolder: Bool, in: FolderWatch.Folder)
    /// The folder itself was removed, renamed or unmounted: its path names another one now, or
    /// none.
    case gone(FolderWatch.Folder)
    /// More happened than the kernel keeps: any folder may have changed.
    case overflow
}

/// Watches folders, not what is in the folders below them. Belongs to one thread.
package final class FolderWatch {
    /// A watched folder: the folder itself, whatever its path names later.
    package struct Folder: Hashable, Sendable {
        fileprivate let number: CInt
    }

    /// Becomes readable when there is something to take.
    package let descriptor: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: 16384)
    /// What of the buffer holds events, and how much of that was taken.
    private var count = 0
    private var position = 0

    private static let names =
        IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB
    private static let ends = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED

    package init() throws(SystemError) {
        descriptor = FileDescriptor(
            owning: try SystemCall.run("inotify_init1") {
                inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK))
            }
        )
    }

    /// Watches a folder from now on. One that is watched already is the same as before, so asking
    /// again tells whether a path still names it.
    package func watch(
        _ path: String,
        followingLinks: Bool = true
    ) throws(SystemError) -> Folder {
        let events = Self.names | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
        let mask = UInt32(events) | (followingLinks ? 0 : UInt32(IN_DONT_FOLLOW))
        let watch = descriptor.number
        let number = try SystemCall.run("inotify_add_watch", path) {
            unsafe inotify_add_watch(watch, path, mask)
        }
        return Folder(number: number)
    }

    /// Watches a folder no more. One that is gone is forgotten already.
    package func forget(_ folder: Folder) {
        _ = inotify_rm_watch(descriptor.number, folder.number)
    }

    /// The next thing that has happened; nil: nothing more so far. Never waits.
    package func next() throws(SystemError) -> FolderChange? {
        while true {
            if position == count {
                position = 0
                count = 0
                do {
                    count = try descriptor.read(into: &buffer)
                } catch  where error.number == EAGAIN {
                    return nil
                }
                if count == 0 { return nil }
            }
            if let change = take() { return change }
        }
    }

    /// Takes one event out of the buffer; nil: it says nothing to anybody.
    private func take() -> FolderChange? {
        let event = unsafe buffer.withUnsafeBytes { bytes in
            unsafe bytes.loadUnaligned(fromByteOffset: position, as: inotify_event.self)
        }
        let start = position + MemoryLayout<inotify_event>.size
        position = start + Int(event.len)
        let bits = CInt(bitPattern: event.mask)
        if bits & IN_Q_OVERFLOW != 0 { return .overflow }
        let folder = Folder(number: event.wd)
        if bits & Self.ends != 0 { return .gone(folder) }
        if bits & Self.names == 0 { return nil }
        let name = buffer[start..<position].prefix { $0 != 0 }
        return .name(
            String(decoding: name, as: UTF8.self),
            isFolder: bits & IN_ISDIR != 0,
            in: folder
        )
    }
}

@available(*, unavailable)
extension FolderWatch: Sendable {}
