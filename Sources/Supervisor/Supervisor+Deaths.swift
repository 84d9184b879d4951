// Workers that end: noticed, judged, replaced.

import Platform

extension Supervisor {
    // MARK: Deaths

    /// Ends a worker that hangs, or cannot even write down that it has crashed.
    func look(at worker: Worker, _ now: UInt64) {
        if worker.isOver { return }
        if let since = worker.silentSince, now - min(now, since) > Self.silenceNanoseconds {
            tell(.fallenSilent(process: worker.process.id))
            return worker.process.end()
        }
        if let since = worker.handingOverSince,
            now - min(now, since) > configuration.drainNanoseconds + Self.handoverGraceNanoseconds
        {
            return worker.process.end()
        }
        if worker.board.hasFault {
            let limit = configuration.allowsCoreDumps ? Self.coreNanoseconds : Self.faultNanoseconds
            if let fault = worker.board.fault, now - min(now, fault.moment) > limit {
                worker.process.end()
            }
            return
        }
        guard worker.servingSince != nil else { return }
        for index in 0..<worker.board.notesUsed {
            guard let note = worker.board.note(index), note.activity.isPredicting,
                !note.isWrittenOff, let model = worker.board.model(note.model)
            else { continue }
            let grace = note.activity == .predictingInPool ? Self.poolGraceNanoseconds : 0
            // Time in which this process, and so the whole container, was stopped does not count.
            let time = now - min(now, max(note.startedAt, thawedAt))
            guard time > min(model.hangNanoseconds, 1 << 62) + grace else { continue }
            guard !CurrentProcess.isStopped(worker.process.id) else { return }
            // It may have come back while it was looked at.
            guard let again = worker.board.note(index), again.call == note.call else { continue }
            guard worker.board.noteHang(of: index, at: now) else { return }
            tell(
                .hang(
                    process: worker.process.id,
                    deployment: model.deployment,
                    version: model.version,
                    milliseconds: Int(time / 1_000_000)
                )
            )
            return worker.process.end()
        }
    }

    /// The threads of a worker have ended that touch what its successor needs: the process is gone,
    /// or what is left of it is of no use.
    func lifelinesEnded(_ worker: Worker) {
        worker.lifelinesEnded.counter.clear()
        // At its end a worker's threads end one by one.
        guard !worker.isOver, !isEnding, worker.handingOverSince == nil else { return }
        worker.process.end()
        over(worker, end: nil)
    }

    /// A process has ended; the exit status if that was the host's end.
    func reap(_ worker: Worker) -> Int32? {
        guard let end = worker.process.reap() else { return nil }
        let wasOver = worker.isOver
        let wasActive = worker === active
        let wasFirst = !hasServed && (worker === next || worker === active)
        if !wasOver {
            over(worker, end: end)
        } else if end.isExit, worker.board.fault == nil, worker.servingSince != nil {
            // Its threads had ended first, and how was not known yet.
            failures += 1
        }
        forget(worker)
        if isEnding, wasActive {
            // It has ended as it was told to, or something has ended it on the way.
            if case .exited(let status) = end, worker.board.fault == nil { return status }
            if live == 0 { return 1 }
        }
        if wasFirst, case .exited(let status) = end, worker.board.fault == nil { return status }
        return !hasServed && failures >= Self.startsMaximum ? 1 : nil
    }

    /// Deals with the end of a worker, whose process may not be gone yet.
    func over(_ worker: Worker, end: ProcessEnd?) {
        worker.isOver = true
        // What it has closed and let go of is not sent to anybody once more.
        sweep()
        sweepUnmarked(worker)
        let now = MonotonicClock.now()
        if worker === old {
            old = nil
            // It has done what it was asked for, unless something was left.
            let left = connections.contains { $0.worker == worker.number && $0.descriptor >= 0 }
            if left || worker.board.fault != nil {
                bury(worker, end)
                deaths.last.map { active?.tell($0) }
            }
            if let active { sendAll(to: active) }
            if isEnding { active?.tell(.drain) }
            ending.append(worker)
            if wantsRecycle { recycle() }
            return
        }
        let isEnd = isEnding && worker.board.fault == nil && end.map { $0.isExit } ?? false
        if worker === active, !isEnd {
            diedAt = now
            bury(worker, end)
            active = nil
        } else if worker === next {
            next = nil
            if worker.board.fault != nil || end.map({ !$0.isExit }) ?? true { bury(worker, end) }
            ending.append(worker)
            // One beside a worker that serves: it says nothing of that one.
            if let active, active.servingSince != nil, worker.role == .standby {
                return standbyEnded(end.map { "it \($0)" } ?? "its process has ended")
            }
            ending.removeLast()
        }
        ending.append(worker)
        guard !isEnd else { return }
        failures = failuresAfter(worker, end, now)
        if !hasServed, case .exited = end, worker.board.fault == nil { return }
        replace()
    }

    /// How many workers in a row have ended as one does that cannot serve, this one included.
    ///
    /// One that was killed from outside has done nothing, and of one that has died in a call it is
    /// known whose that was: that it does not go on for ever is seen to by the next one.
    func failuresAfter(_ worker: Worker, _ end: ProcessEnd?, _ now: UInt64) -> Int {
        guard let since = worker.servingSince else { return failures + 1 }
        if now - min(now, since) >= Self.provenNanoseconds { return 1 }
        let fault = worker.board.fault
        let isItsOwn = fault.map { $0.note == nil } ?? (end?.isExit ?? false)
        return isItsOwn ? failures + 1 : max(failures, 1)
    }

    /// Puts somebody in the place of whoever has ended.
    func replace() {
        sweep()
        if active == nil, let next, next.isReady {
            for death in deaths { next.tell(death) }
            return activate(next)
        }
        if active == nil, let next {
            // It is not ready, and so it serves what is loaded, as one does that starts now.
            for death in deaths { next.tell(death) }
            return
        }
        let isWanted =
            active == nil || configuration.keepsStandby || wantsRecycle
            || active?.handingOverSince != nil
        guard isWanted, next == nil else { return }
        if isEnding, live == 0 || active?.handingOverSince == nil && active != nil { return }
        if failures <= 1 {
            startWorker(active == nil ? (hasServed ? .takeover : .first) : .standby)
        } else {
            backOff()
        }
    }

    func backOff() {
        let pause = min(Self.pauseMaximum, 10_000_000 << UInt64(min(max(failures - 2, 0), 20)))
        startAt = MonotonicClock.now() + pause
        tell(.backingOff(milliseconds: Int(pause / 1_000_000), failures: failures))
    }

    /// Judges a death, and keeps it for the next worker to write down.
    func bury(_ worker: Worker, _ end: ProcessEnd?) {
        let guilty = Judge(region: region).judge(worker.board)
        died += 1
        tell(.workerDied(process: worker.process.id, end: end, fault: worker.board.fault))
        guard deaths.count < Self.deathsMaximum else { return }
        boards.append(worker.board)
        deaths.append(
            ProcessMessage(
                .death,
                number: UInt64(worker.process.id),
                other: end.map { UInt64($0.waitStatus) } ?? .max,
                text: guilty.map { "\($0.slot) \($0.key)" } ?? "",
                descriptors: [worker.board.descriptor]
            )
        )
    }

    /// Lets go of a worker whose process is gone.
    func forget(_ worker: Worker) {
        try? worker.withLine { line throws(SystemError) in try epoll.remove(line) }
        try? epoll.remove(worker.process.descriptor)
        try? epoll.remove(worker.lifelinesEnded.counter.descriptor)
        ending.removeAll { $0 === worker }
        if active === worker { active = nil }
    }
}
