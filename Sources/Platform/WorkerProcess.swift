// A worker as its supervisor sees it: a process of the same program, and the descriptor that tells
// of its end.

import CLinux
package import Glibc

/// A running worker. It is neither waited for nor killed when it is let go of.
package struct WorkerProcess: ~Copyable {
    package let id: pid_t
    /// Readable once the process has ended.
    package let descriptor: FileDescriptor

    /// Starts this very program, whatever stands at its path by now, with other arguments.
    ///
    /// - Parameters:
    ///   - name: what `ps` shows as the program.
    ///   - arguments: those behind it.
    ///   - control: what it has as its descriptor 3.
    ///   - memoryBytes: data at most (`RLIMIT_DATA`); 0: no limit.
    package static func start(
        name: String,
        arguments: [String],
        control: borrowing FileDescriptor,
        memoryBytes: UInt64
    ) throws(SystemError) -> WorkerProcess {
        var words =
            unsafe ([name] + arguments).map { unsafe strdup($0) } + [nil]
        var variables = unsafe Self.environment.map { unsafe strdup($0) } + [nil]
        defer { unsafe (words + variables).forEach { unsafe free($0) } }
        let number = control.number
        let id = unsafe clinux_start_worker(
            CurrentProcess.programFile,
            &words,
            &variables,
            number,
            memoryBytes
        )
        guard id > 0 else { throw SystemError(call: "fork", number: errno) }
        let opened = clinux_open_process(id)
        guard opened >= 0 else {
            let number = errno
            kill(id, SIGKILL)
            throw SystemError(call: "pidfd_open", number: number)
        }
        return WorkerProcess(id: id, descriptor: FileDescriptor(owning: opened))
    }

    private init(id: pid_t, descriptor: consuming FileDescriptor) {
        self.id = id
        self.descriptor = descriptor
    }

    /// The environment without what would change how the program itself runs: preloaded libraries,
    /// tuning of the C library, Swift's own crash reports.
    private static var environment: [String] {
        let dropped = [
            "LD_", "GLIBC_TUNABLES=", "MALLOC_", "SWIFT_", "LLVM_PROFILE_FILE=",
        ]
        var kept: [String] = []
        var place = unsafe environ
        while let text = unsafe place.pointee {
            let variable = unsafe String(cString: text)
            if !dropped.contains(where: { variable.hasPrefix($0) }) { kept.append(variable) }
            unsafe place += 1
        }
        return kept + ["SWIFT_BACKTRACE=enable=no"]
    }

    /// How it has ended, if it has; asked until there is an answer, once.
    package func reap() -> ProcessEnd? {
        var status: CInt = 0
        guard unsafe clinux_reap(id, &status) == 0 else { return nil }
        return ProcessEnd(waitStatus: status)
    }

    /// Ends it and whatever it has started, without asking.
    package func end() {
        kill(-id, SIGKILL)
        kill(id, SIGKILL)
    }
}

extension CurrentProcess {
    /// Lets go of the code that was needed to start: what is needed again comes back by itself.
    package static func forgetCode() { clinux_forget_code() }

    /// Lets a core be written when the process dies, as far as the limits go, or never.
    package static func allowCoreDumps(_ isAllowed: Bool) { clinux_allow_core_dumps(isAllowed) }

    /// Takes note of the ends of children that are none of `known`: orphans that came to this
    /// process because it is the first one of a container.
    package static func reapOthers(than known: [pid_t]) {
        while unsafe clinux_reap_other(known, CInt(known.count)) > 0 {}
    }

    /// Whether a process is stopped, by a signal or a debugger: then nothing in it hangs.
    package static func isStopped(_ id: pid_t) -> Bool { clinux_is_stopped(id) }

    /// Whether a process with this number runs.
    package static func isRunning(_ id: pid_t) -> Bool { kill(id, 0) == 0 || errno == EPERM }

    /// Sends a signal to another process. Calls `kill(2)`.
    package static func send(_ signal: CInt, to process: pid_t) { kill(process, signal) }

    /// Gives a descriptor that was inherited an owner.
    package static func inherited(_ number: CInt) -> FileDescriptor? {
        guard fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else { return nil }
        return FileDescriptor(owning: number)
    }
}
