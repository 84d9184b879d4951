// Workers: started, told to serve, replaced by plan.

import Platform

extension Supervisor {
    // MARK: Workers

    func startWorker(_ role: WorkerRole) {
        workerCount += 1
        do {
            let worker = try Worker.start(
                number: workerCount,
                role: role,
                house,
                // One that waits is told when it is needed.
                deaths: role == .standby ? [] : deaths,
                died: died,
                liveCopy: liveCopy?.descriptor.number
            )
            let token = Self.token(.control, worker.number)
            try worker.withLine { line throws(SystemError) in
                try epoll.add(line, .readable, token: token)
            }
            try epoll.add(
                worker.process.descriptor,
                .readable,
                token: Self.token(.process, worker.number)
            )
            try epoll.add(
                worker.lifelinesEnded.counter.descriptor,
                .readable,
                token: Self.token(.lifelines, worker.number)
            )
            next = worker
            if role == .takeover { activate(worker) }
        } catch {
            tell(.cannotStart(error))
            if role == .standby {
                standbyEnded("it cannot be started: \(error)")
            } else {
                failures += 1
                backOff()
            }
        }
    }

    /// A worker that was to get ready beside one that serves has ended before it was: that one
    /// serves on, another is started after a while, and a recycling is given up at last.
    func standbyEnded(_ reason: String) {
        standbyFailures += 1
        if wantsRecycle, standbyFailures >= Self.recycleAttempts {
            wantsRecycle = false
            active?.tell(.recycleFailed, text: reason)
            tell(.recycleFailed(attempts: standbyFailures, reason: reason))
        }
        // One that has begun to make way cannot take that back.
        let isAwaited = active?.handingOverSince != nil
        guard wantsRecycle || configuration.keepsStandby || isAwaited, !isEnding else { return }
        let pause = min(Self.pauseMaximum, 100_000_000 << UInt64(min(standbyFailures - 1, 10)))
        standbyAt = MonotonicClock.now() + pause
    }

    /// Lets a worker serve, with every connection that there is.
    func activate(_ worker: Worker) {
        active = worker
        next = nil
        worker.hasGone = true
        worker.tell(.go, number: old.map { UInt64($0.process.id) } ?? 0)
        sendAll(to: worker)
        if wantsReload { worker.tell(.reload) }
        wantsReload = false
        if isEnding, old == nil { worker.tell(.drain) }
    }

    func receive(_ worker: Worker) {
        while true {
            let message: ProcessMessage
            switch worker.hear() {
            case .message(let heard): message = heard
            case .nothing: return
            case .end: return fallenSilent(worker)
            }
            if message.kind == WorkerWord.committed.rawValue, let copy = message.descriptors.first {
                // The next worker has it, wherever the disk is.
                liveCopy = LiveCopyFile(FileDescriptor(owning: copy))
            } else {
                message.drop()
            }
            switch WorkerWord(rawValue: message.kind) {
            case .ready: ready(worker)
            case .serving: serving(worker)
            case .stopAccepting:
                stopListening()
                owesAcceptingEnded = true
            case .committed:
                guard let next, next.role == .standby else { break }
                if let liveCopy {
                    next.tell(.liveCopy, descriptors: [liveCopy.descriptor.number])
                }
                next.tell(.follow)
            case .recycle: recycle()
            case .released: sweep()
            case .logReleased:
                worker.hasReleasedLog = true
                finishHandover()
            case .reported:
                forget(deathOf: message.number)
            case nil: break
            }
        }
    }

    /// A worker has closed its end of the line, or of a loop's channel, as a stray `close` in a
    /// plugin does: it hears nothing any more, so another one goes on.
    func fallenSilent(_ worker: Worker) {
        guard worker.silentSince == nil else { return }
        // A process that ends closes its descriptors first: `look` ends one that goes on.
        worker.silentSince = MonotonicClock.now()
        try? worker.withLine { line throws(SystemError) in try epoll.remove(line) }
    }

    func ready(_ worker: Worker) {
        worker.isReady = true
        if worker.role == .standby { standbyFailures = 0 }
        guard worker === next else { return }
        if active == nil { return activate(worker) }
        if active?.handingOverSince != nil { return finishHandover() }
        if wantsRecycle { handOver(to: worker) }
    }

    func serving(_ worker: Worker) {
        let now = MonotonicClock.now()
        worker.servingSince = now
        try? worker.watchLifelines(configuration.loops + 2)
        if !hasServed {
            hasServed = true
            CurrentProcess.forgetCode()
            for (index, listener) in listeners.enumerated() {
                do {
                    try Socket.beginListening(listener.socket, listener.address)
                    try epoll.add(listener.socket, .readable, token: Self.token(.listener, index))
                } catch {
                    tell(.cannotListen(error))
                    endStatus = 1
                    return worker.process.end()
                }
            }
            worker.tell(.listening)
        } else {
            let since = max(diedAt, worker.startedAt)
            tell(
                .workerServes(
                    process: worker.process.id,
                    isTakeover: worker.role != .first,
                    connections: live,
                    milliseconds: Int((now - min(now, diedAt == 0 ? since : diedAt)) / 1_000_000)
                )
            )
        }
        // The next one's start would take processors from the takeover that has just been.
        if configuration.keepsStandby, next == nil, !isEnding { startAt = now + 50_000_000 }
    }

    func recycle() {
        guard !isEnding else { return }
        wantsRecycle = true
        // One after the other: it goes on when the last one has ended.
        guard old == nil, active?.handingOverSince == nil else { return }
        if let next {
            if next.isReady { handOver(to: next) }
        } else {
            (startAt, standbyAt, standbyFailures) = (nil, nil, 0)
            startWorker(.standby)
        }
    }

    /// Lets the worker that serves give its connections to another one that is ready.
    func handOver(to worker: Worker) {
        wantsRecycle = false
        guard let active else { return activate(worker) }
        active.handingOverSince = MonotonicClock.now()
        // It goes on serving until it has let go of the log.
        active.tell(.handOver)
    }

    /// A worker that hands over has let go of the log: the next one takes it, and then the
    /// connections.
    func finishHandover() {
        guard let worker = active, worker.hasReleasedLog, let next, next.isReady else { return }
        diedAt = MonotonicClock.now()
        old = worker
        for death in deaths { next.tell(death) }
        activate(next)
        worker.tell(.release)
    }

    /// A death is written down: nobody needs what its worker has left.
    func forget(deathOf process: UInt64) {
        guard let place = deaths.firstIndex(where: { $0.number == process }) else { return }
        deaths.remove(at: place)
        boards.remove(at: place)
    }
}
