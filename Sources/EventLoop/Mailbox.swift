// The one way into a loop from another thread.

package import Platform

/// Takes jobs for the thread of one owner, from any thread.
///
/// The owner is handed to the job, so that a job captures nothing that belongs to the loop.
package final class Mailbox<Owner>: Sendable {
    package typealias Job = @Sendable (Owner) -> Void

    private let jobs = Guarded<[Job]>([])
    private let counter: EventCounter

    package init() throws(SystemError) {
        counter = try EventCounter()
    }

    /// Adds a job; the owner runs it in its next turn, in order.
    package func post(_ job: @escaping Job) {
        let isFirst = jobs.withLock { jobs in
            jobs.append(job)
            return jobs.count == 1
        }
        if isFirst { counter.signal() }
    }

    /// Lends what the owner waits on to know of jobs.
    package func withDescriptor<R: ~Copyable, E: Error>(
        _ body: (borrowing FileDescriptor) throws(E) -> R
    ) throws(E) -> R {
        try body(counter.descriptor)
    }

    /// Runs what was posted. Called by the owner's thread when the descriptor is readable.
    package func drain(_ owner: Owner) {
        counter.clear()
        let taken = jobs.withLock { jobs in
            let taken = jobs
            jobs = []
            return taken
        }
        for job in taken {
            job(owner)
        }
    }
}

extension Mailbox where Owner: AnyObject {
    /// Lets a loop run what is posted, for the owner that it belongs to. Called on its thread.
    package func attach(
        to loop: EventLoop,
        _ owner: Owner
    ) throws(SystemError) -> LoopToken {
        let client = MailboxClient(self, owner)
        return try withDescriptor { descriptor throws(SystemError) in
            try loop.register(descriptor, .readable, for: client)
        }
    }
}

/// Wakes a loop for its mailbox. The loop keeps it, and the owner keeps the loop.
private final class MailboxClient<Owner: AnyObject>: LoopClient {
    private let mailbox: Mailbox<Owner>
    private unowned let owner: Owner

    init(_ mailbox: Mailbox<Owner>, _ owner: Owner) {
        self.mailbox = mailbox
        self.owner = owner
    }

    func ready(_ interest: Interest) { mailbox.drain(owner) }
    func deadlineReached(now: UInt64) {}
}
