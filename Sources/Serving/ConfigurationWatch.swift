// Knows when the files of the configuration have changed and are left alone again.
//
// The folder of endpoint files and the store are watched, of the store its branches and
// deployments too, which come and go. What is inside a version needs no watching: versions are
// published by one rename. The watch never says what has changed: whoever is called compares.

import Endpoints
import EventLoop
package import Platform

/// Decides when a change is over: so long after its last event.
///
/// There is no longest time: while events go on, files are being written, and a half of them would
/// be read.
package struct Debounce: Sendable {
    private let quiet: UInt64
    /// The last event that nobody was called for.
    private var last: UInt64?

    package init(quietNanoseconds: UInt64) {
        quiet = quietNanoseconds
    }

    /// Notes that something has happened.
    package mutating func event(at moment: UInt64) {
        last = max(last ?? 0, moment)
    }

    /// Nanoseconds until a call is due if nothing more happens; nil: there is nothing to call for.
    package func left(at moment: UInt64) -> UInt64? {
        guard let last else { return nil }
        let past = moment > last ? moment - last : 0
        return past < quiet ? quiet - past : 0
    }

    /// Whether a call is due.
    package func isDue(at moment: UInt64) -> Bool {
        left(at: moment) == 0
    }

    /// Notes that the call is being made: only later events count from here on.
    package mutating func begin() {
        last = nil
    }
}

/// Calls when files of the configuration have changed and nothing happens to them any more.
///
/// No call is made while they go on changing, however long that takes; one that is late is right,
/// one that is early reads halves. A call may also come when nothing has changed in the end.
package final class ConfigurationWatch: Sendable {
    private struct Running: ~Copyable {
        let thread: Thread
        let mailbox: Mailbox<ConfigurationWatcher>
    }

    private let endpoints: String
    private let deployments: String
    private let quietNanoseconds: UInt64
    private let failed: @Sendable (SystemError) -> Void
    private let changed: @Sendable () -> Void
    private let running = Guarded<Running?>(nil)

    /// Both calls come from the watch's own thread, one at a time. `failed` tells of a folder that
    /// cannot be watched, once, while it is tried again every second.
    package init(
        endpoints: String,
        deployments: String,
        quietNanoseconds: UInt64 = 500_000_000,
        failed: @escaping @Sendable (SystemError) -> Void = { _ in },
        changed: @escaping @Sendable () -> Void
    ) {
        self.endpoints = endpoints
        self.deployments = deployments
        self.quietNanoseconds = quietNanoseconds
        self.failed = failed
        self.changed = changed
    }

    deinit {
        stop()
    }

    /// Starts to watch: what changes after the return is noticed, so read the files then. A folder
    /// that is not there is waited for. Nothing happens if it runs already.
    package func start() throws(SystemError) {
        try running.withLock { running throws(SystemError) in
            guard running == nil else { return }
            let mailbox = try Mailbox<ConfigurationWatcher>()
            let begun = Guarded<Result<Void, SystemError>?>(nil)
            let (failed, changed) = (failed, changed)
            let (endpoints, deployments, quiet) = (endpoints, deployments, quietNanoseconds)
            let thread = try Thread(name: "watch") {
                do throws(SystemError) {
                    let watcher = try ConfigurationWatcher(
                        endpoints: endpoints,
                        deployments: deployments,
                        debounce: Debounce(quietNanoseconds: quiet),
                        mailbox: mailbox
                    )
                    begun.withLock { $0 = .success(()) }
                    begun.notify()
                    watcher.run(failed: failed, changed: changed)
                } catch {
                    begun.withLock { $0 = .failure(error) }
                    begun.notify()
                }
            }
            do throws(SystemError) {
                try begun.wait { $0 }.get()
            } catch {
                thread.join()
                throw error
            }
            running = Running(thread: thread, mailbox: mailbox)
        }
    }

    /// Ends the thread and waits for that, also for a call that it is making: never called from
    /// one.
    package func stop() {
        running.withLock { running in
            guard let stopped = running.take() else { return }
            stopped.mailbox.post { $0.stop() }
            stopped.thread.join()
        }
    }
}

/// What runs on the watch's thread.
final class ConfigurationWatcher {
    private let endpoints: String
    private let deployments: String
    private let mailbox: Mailbox<ConfigurationWatcher>
    private let watch: FolderWatch
    private var epoll: Epoll
    private var debounce: Debounce
    private var isStopped = false
    /// Every watched folder; what is said of others is old.
    private var watched: Set<FolderWatch.Folder> = []
    /// The folder of endpoint files and the store; nil: not there.
    private var roots: [FolderWatch.Folder?] = [nil, nil]
    /// Why some folder could not be watched, and what of that was told.
    private var failure: SystemError?
    private var toldFailure: SystemError?
    /// When the roots are looked for again.
    private var nextLook: UInt64

    private static let lookNanoseconds: UInt64 = 1_000_000_000
    /// Events that are taken before anything else is looked at.
    private static let eventsAtOnce = 10_000

    init(
        endpoints: String,
        deployments: String,
        debounce: Debounce,
        mailbox: Mailbox<ConfigurationWatcher>
    ) throws(SystemError) {
        self.endpoints = endpoints
        self.deployments = deployments
        self.debounce = debounce
        self.mailbox = mailbox
        watch = try FolderWatch()
        epoll = try Epoll()
        nextLook = MonotonicClock.now() + Self.lookNanoseconds
        try epoll.add(watch.descriptor, .readable, token: 0)
        try mailbox.withDescriptor { descriptor throws(SystemError) in
            try epoll.add(descriptor, .readable, token: 1)
        }
        _ = scan()
        if let failure { throw failure }
    }

    /// Ends `run`.
    func stop() {
        isStopped = true
    }

    /// Watches until `stop`.
    func run(failed: (SystemError) -> Void, changed: () -> Void) {
        do {
            while true {
                _ = try epoll.wait(milliseconds: millisecondsLeft(at: MonotonicClock.now()))
                mailbox.drain(self)
                if isStopped { return }
                if try !takeEvents() { continue }
                if lookAndDecide(at: MonotonicClock.now()) { changed() }
                if let failure, failure != toldFailure { failed(failure) }
                toldFailure = failure
            }
        } catch {
            // No call that is made here has a reason to fail; if one does, no other will help.
            failed(error)
        }
    }

    private func millisecondsLeft(at moment: UInt64) -> Int {
        let untilLook = nextLook > moment ? nextLook - moment : 0
        let left = min(untilLook, debounce.left(at: moment) ?? .max)
        return Int((left + 999_999) / 1_000_000)
    }

    /// Takes what has happened; false: there is more.
    private func takeEvents() throws(SystemError) -> Bool {
        for _ in 0..<Self.eventsAtOnce {
            guard let change = try watch.next() else { return true }
            if matters(change) { debounce.event(at: MonotonicClock.now()) }
        }
        return false
    }

    private func matters(_ change: FolderChange) -> Bool {
        switch change {
        case .name(let name, let isFolder, let folder):
            watched.contains(folder)
                && !ConfigurationWatch.isTemporary(name, isFolder: isFolder)
        case .gone(let folder): watched.contains(folder)
        case .overflow: true
        }
    }

    /// Whether a call is due; begins it.
    private func lookAndDecide(at moment: UInt64) -> Bool {
        if moment >= nextLook {
            nextLook = moment + Self.lookNanoseconds
            if look() { debounce.event(at: moment) }
        }
        guard debounce.isDue(at: moment) else { return false }
        // Folders that are new are watched first, and then left alone for as long as the others.
        if scan() {
            debounce.event(at: MonotonicClock.now())
            return false
        }
        debounce.begin()
        return true
    }

    /// Looks whether the roots' paths name other folders than before; the kernel does not say so of
    /// a folder that was not there, nor of a link. Whether there is anything new.
    private func look() -> Bool {
        let before = roots
        if failure == nil { addRoots() } else if scan() { return true }
        return roots != before
    }

    private func addRoots() {
        roots = [endpoints, deployments].map { add($0, followingLinks: true) }
    }

    /// Watches every folder that there is, and no other; whether one was not watched before.
    private func scan() -> Bool {
        let before = watched
        watched = []
        failure = nil
        addRoots()
        for branch in names(in: deployments)
        where Names.isBranch(Names.branch(ofFolder: branch)) {
            let folder = "\(deployments)/\(branch)"
            guard add(folder, followingLinks: false) != nil else { continue }
            for name in names(in: folder) where Names.isName(name) {
                _ = add("\(folder)/\(name)", followingLinks: false)
            }
        }
        for folder in before.subtracting(watched) { watch.forget(folder) }
        return !watched.isSubset(of: before)
    }

    /// Watches a folder; nil: there is none, or it cannot be watched.
    private func add(_ path: String, followingLinks: Bool) -> FolderWatch.Folder? {
        do {
            let folder = try watch.watch(path, followingLinks: followingLinks)
            watched.insert(folder)
            return folder
        } catch {
            note(error)
            return nil
        }
    }

    private func names(in path: String) -> [String] {
        do {
            return try Directory.names(in: path)
        } catch {
            note(error)
            return []
        }
    }

    private func note(_ error: SystemError) {
        // Nothing there, or a file beside the folders.
        if !error.isNotFound, !error.isNotFolder { failure = failure ?? error }
    }
}

@available(*, unavailable)
extension ConfigurationWatcher: Sendable {}

extension ConfigurationWatch {
    /// Whether a name is one that programs use while they write: this one, and editors.
    package static func isTemporary(_ name: String, isFolder: Bool) -> Bool {
        // Kubernetes shows all new files of a volume at once, by renaming a link to this name.
        if name == "..data" { return false }
        if name.hasPrefix(".") { return true }
        // A deployment may have any ending.
        return !isFolder && [".new", ".swp", "~"].contains { name.hasSuffix($0) }
    }
}
