// Connections: accepted, sent to loops, sent again when a worker is gone, closed when one has
// closed them.

import Platform

extension Supervisor {
    // MARK: Accepting

    func resumeListeners() {
        pausedUntil = 0
        for (index, listener) in listeners.enumerated() {
            try? epoll.modify(listener.socket, .readable, token: Self.token(.listener, index))
        }
    }

    func pauseListeners() {
        pausedUntil = MonotonicClock.now() + Self.pauseNanoseconds
        for (index, listener) in listeners.enumerated() {
            try? epoll.modify(
                listener.socket,
                Interest(rawValue: 0),
                token: Self.token(.listener, index)
            )
        }
    }

    /// Takes those who wait at a listener, some at a time, and sends them on.
    func accept(_ number: Int) {
        guard listeners.indices.contains(number) else { return }
        var batches = [Batch](repeating: Batch(), count: configuration.loops)
        defer { for loop in batches.indices { flush(&batches[loop], loop) } }
        for _ in 0..<Self.acceptsMaximum {
            if ledger.isEmpty { sweep() }
            guard !ledger.isEmpty,
                let accepted = try? Socket.accept(from: listeners[number].socket)
            else { return pauseListeners() }
            switch consume accepted {
            case .connection(let connection):
                take(connection, isLocal: listeners[number].isLocal, &batches)
            case .none: return
            case .outOfDescriptors: return pauseListeners()
            }
        }
    }

    /// Connections for one loop.
    struct Batch {
        var connections: [(slot: Int, isFresh: Bool)] = []
        var descriptors: [CInt] = []
    }

    func take(
        _ connection: consuming FileDescriptor,
        isLocal: Bool,
        _ batches: inout [Batch]
    ) {
        let loop = nextLoop
        var index = ledger.take(for: connection, loop: loop, isLocal: isLocal)
        if index == nil {
            sweep()
            index = ledger.take(for: connection, loop: loop, isLocal: isLocal)
        }
        guard let index else { return }
        nextLoop = (nextLoop + 1) % configuration.loops
        if !isLocal { Socket.disableDelay(connection) }
        while connections.count <= index { connections.append(Connection()) }
        connections[index] = Connection(descriptor: connection.release(), worker: 0)
        live += 1
        batches[loop].connections.append((index, true))
        batches[loop].descriptors.append(connections[index].descriptor)
    }

    /// Sends a batch to its loop; what finds no room there is sent later.
    func flush(_ batch: inout Batch, _ loop: Int) {
        guard !batch.connections.isEmpty else { return }
        defer { batch = Batch() }
        guard let active, active.hasGone, active.silentSince == nil else {
            unsent = true
            return
        }
        let sent = active.send(batch.connections, batch.descriptors, to: loop)
        guard sent == .done else {
            unsent = true
            if sent == .broken { fallenSilent(active) }
            return
        }
        for connection in batch.connections { connections[connection.slot].worker = active.number }
    }

    /// Sends a worker every connection that nobody has.
    func sendAll(to worker: Worker) {
        unsent = false
        var batches = [Batch](repeating: Batch(), count: configuration.loops)
        for index in 0..<connections.count
        where connections[index].descriptor >= 0 && !isHad(connections[index].worker) {
            guard region.life(index) == .live else { continue }
            let loop = Int(region.slot(index).loop) % configuration.loops
            batches[loop].connections.append((index, connections[index].worker == 0))
            batches[loop].descriptors.append(connections[index].descriptor)
            if batches[loop].descriptors.count == Consignment.connectionsMaximum {
                flush(&batches[loop], loop)
            }
        }
        for loop in batches.indices { flush(&batches[loop], loop) }
    }

    /// Whether a worker that lives has the connections that were sent to it.
    func isHad(_ worker: Int) -> Bool {
        worker != 0 && (worker == active?.number || worker == old?.number)
    }

    /// Closes what workers have closed, and sends on what one has let go of.
    func sweep() {
        ledger.sweep { index, isClosed in
            guard connections.indices.contains(index), connections[index].descriptor >= 0 else {
                return
            }
            if isClosed {
                close(index)
            } else {
                connections[index].worker = -1
                unsent = true
            }
        }
    }

    /// Closes what a worker that has died had closed and not said so.
    func sweepUnmarked(_ worker: Worker) {
        let left = ledger.sweepUnmarked { index in
            connections.indices.contains(index) && connections[index].descriptor >= 0
                && connections[index].worker == worker.number
        }
        for index in left { close(index) }
    }

    private func close(_ index: Int) {
        _ = FileDescriptor(owning: connections[index].descriptor)
        connections[index] = Connection()
        live -= 1
    }

    func stopListening() {
        for (index, listener) in listeners.enumerated() {
            // Everybody who is waiting already, as far as there is room.
            for _ in 0..<64 where pausedUntil == 0 { accept(index) }
            try? epoll.remove(listener.socket)
        }
        listeners = []
    }
}
