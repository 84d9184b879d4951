// What supervisor and worker tell each other. Both are the same program, so the numbers only have
// to be different ones.

/// What a supervisor tells a worker.
package enum SupervisorWord: UInt32, Sendable {
    /// With a descriptor: the connection slots.
    case region = 1
    /// With a descriptor: where the worker tells of itself.
    case board
    /// With descriptors: the locks of the folders, which last as long as somebody has them.
    case lock
    /// With a descriptor: where loop `number` gets its connections from.
    case channel
    /// With a descriptor: the `number`th listener for admins; the text is its address.
    case adminListener
    /// The text is an address that clients connect to.
    case address
    /// A worker has ended: with its board, `number` its process, `other` how it ended (`waitpid`'s
    /// word, or all ones), the text `slot key` of the request that is guilty, if there is one.
    case death
    /// The worker has all of the above; `number` is its `WorkerRole`, `other` how many have died.
    case begin
    /// The worker serves from now on, with the connections that it finds in its channels; `number`
    /// is the process of the worker that hands over to it, or 0.
    case go
    /// The worker is to make way for the next one: it lets go of the log, says so, and goes on.
    case handOver
    /// The worker lets go of its connections, each as soon as nothing runs for it.
    case release
    /// The host is to end; once more: at once.
    case drain
    /// Every connection that was accepted lies in the channels.
    case acceptingEnded
    /// The files are to be taken.
    case reload
    /// Another revision is live: a worker that waits gets ready for it.
    case follow
    /// Clients can connect from now on.
    case listening
    /// With a descriptor: what was last live, as `LiveCopy` has it, wherever the disk is.
    case liveCopy
    /// No other worker takes over; the text says why.
    case recycleFailed
}

/// What a worker is started for.
package enum WorkerRole: UInt64, Sendable {
    /// It is the host's first one.
    case first = 0
    /// Connections wait for it.
    case takeover
    /// It loads everything, and waits until it is needed.
    case standby
}

/// What a worker tells its supervisor.
package enum WorkerWord: UInt32, Sendable {
    /// Everything is loaded.
    case ready = 101
    /// The loops run; their lifelines are held.
    case serving
    /// The host is about to end: nobody more is to be accepted.
    case stopAccepting
    /// Another revision is live; with a descriptor: a copy of it in memory.
    case committed
    /// The next worker is to take over, once it is ready.
    case recycle
    /// Connections were let go of, for the worker that takes over.
    case released
    /// The worker does not write the log any more.
    case logReleased
    /// The death of process `number` is written down: its board is not needed any more.
    case reported
}

extension ProcessMessage {
    package init(
        _ word: SupervisorWord,
        number: UInt64 = 0,
        other: UInt64 = 0,
        text: String = "",
        descriptors: [CInt] = []
    ) {
        self.init(
            kind: word.rawValue,
            number: number,
            other: other,
            text: text,
            descriptors: descriptors
        )
    }

    package init(_ word: WorkerWord, number: UInt64 = 0, descriptors: [CInt] = []) {
        self.init(kind: word.rawValue, number: number, descriptors: descriptors)
    }
}

/// The connections that a supervisor sends to a loop: slot and freshness of each descriptor.
package enum Consignment {
    /// Descriptors of one message.
    package static let connectionsMaximum = 64

    /// The bytes that go with the descriptors.
    package static func bytes(_ connections: [(slot: Int, isFresh: Bool)]) -> [UInt8] {
        connections.flatMap { connection in
            (0..<4).map { UInt8(truncatingIfNeeded: connection.slot >> (8 * $0)) }
                + [connection.isFresh ? 1 : 0]
        }
    }

    /// What the bytes say.
    package static func connections(_ bytes: [UInt8]) -> [(slot: Int, isFresh: Bool)] {
        stride(from: 0, to: bytes.count - bytes.count % 5, by: 5).map { place in
            (
                slot: (0..<4).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) },
                isFresh: bytes[place + 4] == 1
            )
        }
    }
}
