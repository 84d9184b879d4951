// Running a program beside this one: the probe of an unknown plugin, and the host under test.

import CLinux
package import Glibc

/// How a process ended.
package enum ProcessEnd: Equatable, Sendable, CustomStringConvertible {
    /// It exited with this status.
    case exited(CInt)
    /// This signal ended it.
    case signalled(CInt)

    /// `exited with status 1` or `was ended by signal 11 (Segmentation fault)`.
    package var description: String {
        switch self {
        case .exited(let status): "exited with status \(status)"
        case .signalled(let number): "was ended by signal \(Self.named(number))"
        }
    }

    /// How a process ended that `waitpid` gave this word for.
    package init(waitStatus status: CInt) {
        let signal = status & 0x7f
        self = signal == 0 ? .exited((status >> 8) & 0xff) : .signalled(signal)
    }

    /// Whether the process has ended itself.
    package var isExit: Bool { if case .exited = self { true } else { false } }

    /// The word that `init(waitStatus:)` reads.
    package var waitStatus: CInt {
        switch self {
        case .exited(let status): status << 8
        case .signalled(let signal): signal
        }
    }

    /// A signal's number and name: `11 (Segmentation fault)`.
    package static func named(_ signal: CInt) -> String {
        unsafe "\(signal) (\(String(cString: strsignal(signal))))"
    }
}

/// A child process in a group of its own. Its output goes to memory, so it can never block on us.
package final class ChildProcess {
    /// The process id.
    package let id: pid_t
    private let output: FileDescriptor
    private let errors: FileDescriptor
    private var end: ProcessEnd?

    /// Starts a program with these arguments (without the program's name) and only this
    /// environment; `name` is what `ps` shows as the program, its path if it is nil.
    package init(
        executable: String,
        name: String? = nil,
        arguments: [String],
        environment: [String]
    ) throws(SystemError) {
        output = FileDescriptor(
            owning: try SystemCall.run("memfd_create") { unsafe clinux_memfd("output") }
        )
        errors = FileDescriptor(
            owning: try SystemCall.run("memfd_create") { unsafe clinux_memfd("errors") }
        )
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output.number, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errors.number, 2)
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        var words = unsafe ([name ?? executable] + arguments).map { unsafe strdup($0) } + [nil]
        var variables = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer { unsafe (words + variables).forEach { unsafe free($0) } }
        var id: pid_t = 0
        let failure = unsafe posix_spawn(&id, executable, &actions, &attributes, &words, &variables)
        if failure != 0 {
            throw SystemError(call: "posix_spawn", subject: executable, number: failure)
        }
        self.id = id
    }

    deinit {
        if end == nil {
            kill(-id, SIGKILL)
            var status: CInt = 0
            unsafe waitpid(id, &status, 0)
        }
    }

    /// Sends a signal to the process alone.
    package func send(signal: CInt) {
        if end == nil { kill(id, signal) }
    }

    /// How the process ended, if it has.
    package func poll() -> ProcessEnd? {
        if let end { return end }
        var status: CInt = 0
        guard unsafe waitpid(id, &status, WNOHANG) == id else { return nil }
        end = ProcessEnd(waitStatus: status)
        // Whatever the process started and left behind goes with it.
        kill(-id, SIGKILL)
        return end
    }

    /// Waits until the process has ended; nil, after killing it, when that takes too long.
    ///
    /// Time that it was ready and had no processor does not count if it is `patient`, up to nine
    /// times the time itself.
    package func wait(seconds: Double, isPatient: Bool = false) -> ProcessEnd? {
        let time = UInt64(seconds * 1e9)
        let start = MonotonicClock.now()
        var limit = start + time
        while true {
            if let end = poll() { return end }
            MonotonicClock.sleep(nanoseconds: 1_000_000)
            guard MonotonicClock.now() >= limit else { continue }
            let later = isPatient ? start + time + min(waitedForProcessor, 9 * time) : limit
            guard later > limit else { break }
            limit = later
        }
        kill(-id, SIGKILL)
        while poll() == nil { MonotonicClock.sleep(nanoseconds: 1_000_000) }
        return nil
    }

    /// Nanoseconds that its first thread was ready to run and had no processor.
    private var waitedForProcessor: UInt64 {
        let text = (try? File.readStream("/proc/\(id)/schedstat")) ?? []
        let words = String(decoding: text, as: UTF8.self).split(separator: " ")
        return words.count > 1 ? UInt64(words[1]) ?? 0 : 0
    }

    /// What the process has written to standard output so far.
    package var standardOutput: String { contents(output.number) }
    /// What the process has written to standard error so far.
    package var standardError: String { contents(errors.number) }

    private func contents(_ number: CInt) -> String {
        String(decoding: MemoryFile.read(number), as: UTF8.self)
    }
}

/// This process.
package enum CurrentProcess {
    /// The process id.
    package static var id: pid_t { getpid() }

    /// Gives the heap's freed memory back to the system. Calls `malloc_trim(3)`; not for a loop.
    package static func trimHeap() { clinux_trim_heap() }

    /// Lets freed blocks of a MiB or more go back to the system at once, whichever thread had them:
    /// the top of a thread's own heap is never trimmed. Calls `mallopt(3)`.
    package static func returnLargeBlocks() { clinux_map_large_blocks() }

    /// What the running program is started again by, whatever stands at its path by now: an upgrade
    /// replaces that file.
    package static let programFile = "/proc/self/exe"

    /// The path of the running program's file.
    package static func executable() throws(SystemError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe buffer.withUnsafeMutableBytes { storage in
            guard let text = unsafe storage.bindMemory(to: CChar.self).baseAddress else {
                return -1
            }
            return unsafe readlink("/proc/self/exe", text, storage.count)
        }
        if count < 0 {
            throw SystemError(call: "readlink", subject: "/proc/self/exe", number: errno)
        }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// The value of an environment variable.
    package static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    /// How many processors this process may use: those that it may run on, or the share of them
    /// that its control group gives, if that is less.
    package static var processors: Int {
        let runnable = Int(clinux_processors())
        return max(1, min(runnable, group.processors ?? runnable))
    }

    /// The memory in bytes that this process may use: the machine's, or its control group's.
    package static var memoryBytes: Int {
        let machine = sysconf(CInt(_SC_PHYS_PAGES)) * sysconf(CInt(_SC_PAGESIZE))
        return max(1 << 26, min(machine, group.memoryBytes ?? machine))
    }

    private static let group = ControlGroup()

    /// How many descriptors this process may have open, after raising the limit as far as it goes.
    package static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    /// What this process has used and holds. Reads `/proc/self`.
    package static func usage() -> ProcessUsage {
        var used = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &used)
        func nanoseconds(_ time: timeval) -> UInt64 {
            UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_usec) * 1000
        }
        let pages = (try? File.readStream("/proc/self/statm")) ?? []
        let words = String(decoding: pages, as: UTF8.self).split(separator: " ")
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return ProcessUsage(
            cpuNanoseconds: nanoseconds(used.ru_utime) + nanoseconds(used.ru_stime),
            residentBytes: words.count > 1 ? (Int(words[1]) ?? 0) * sysconf(CInt(_SC_PAGESIZE)) : 0,
            descriptors: (try? Directory.names(in: "/proc/self/fd").count - 1) ?? 0,
            descriptorsMaximum: Int(clamping: limit.rlim_cur),
            threads: (try? Directory.names(in: "/proc/self/task").count) ?? 0
        )
    }

    /// Lets files and folders be readable by everybody that may not be: whoever makes one says its
    /// mode. Calls `umask(2)`.
    package static func takeUsualMask() { _ = umask(0o022) }

    /// The user id that this process runs as.
    package static var user: UInt32 { geteuid() }

    /// Ends the process at once, without running anything that libraries have registered.
    package static func exitNow(_ status: CInt) -> Never {
        _exit(status)
    }
}

/// What a process has used and holds.
package struct ProcessUsage: Sendable {
    package let cpuNanoseconds: UInt64
    package let residentBytes: Int
    package let descriptors: Int
    package let descriptorsMaximum: Int
    package let threads: Int
}

/// The process's standard streams, written without buffering.
package enum StandardStream {
    /// Writes to standard output.
    package static func output(_ text: String) { write(1, text) }
    /// Writes to standard error.
    package static func errors(_ text: String) { write(2, text) }

    /// Writes to standard error.
    package static func errors(_ bytes: [UInt8]) { write(2, bytes) }

    /// Writes as much to standard error as can be written without waiting, in one piece, and says
    /// how many bytes that was. A file or a terminal may make whoever writes wait, so it gets none.
    package static func tryErrors(_ bytes: Span<UInt8>) -> Int {
        unsafe bytes.withUnsafeBytes { storage in
            unsafe max(0, clinux_try_write(2, storage.baseAddress, storage.count))
        }
    }

    private static func write(_ number: CInt, _ text: String) { write(number, Array(text.utf8)) }

    private static func write(_ number: CInt, _ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { storage in
                unsafe Glibc.write(
                    number,
                    storage.baseAddress?.advanced(by: done),
                    storage.count - done
                )
            }
            if count < 0 {
                if errno == EINTR { continue }
                return
            }
            done += count
        }
    }
}
