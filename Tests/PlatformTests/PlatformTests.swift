import Platform
import TestSupport
import Testing

struct AddressTests {
    @Test(arguments: [
        "127.0.0.1:8080", "0.0.0.0:0", "[::1]:80", "[2001:db8::1]:65535", "unix:/run/x",
    ])
    func `an address is read and written back`(text: String) {
        #expect(SocketAddress(text)?.description == text)
    }

    @Test(arguments: [
        "", "8080", "localhost:80", "1.2.3:80", "1.2.3.4:65536", "[::1]", "unix:", "1.2.3.4:x",
    ])
    func `what is no address is refused`(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test func `loopback is recognised`() {
        #expect(SocketAddress("127.0.0.1:1")?.isLoopback == true)
        #expect(SocketAddress("[::1]:1")?.isLoopback == true)
        #expect(SocketAddress("0.0.0.0:1")?.isLoopback == false)
        #expect(SocketAddress("[::]:1")?.isLoopback == false)
    }

    @Test func `a second listener on a port is refused`() throws {
        let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
        let socket = try Socket.listen(on: any)
        let address = try Socket.localAddress(of: socket, asked: any)
        let error = #expect(throws: SystemError.self) { _ = try Socket.listen(on: address) }
        #expect(error?.isAddressInUse == true)
    }
}

struct ClockTests {
    @Test(arguments: [
        (0, "1970-1-1 0:0:0 4"), (951_827_696, "2000-2-29 12:34:56 2"),
        (1_795_230_000, "2026-11-21 3:0:0 6"), (4_107_542_399, "2100-2-28 23:59:59 0"),
    ])
    func `seconds become a date of the calendar`(seconds: Int64, text: String) {
        let p = WallTime(microseconds: seconds * 1_000_000).parts
        #expect(
            "\(p.year)-\(p.month)-\(p.day) \(p.hour):\(p.minute):\(p.second) \(p.weekday)" == text
        )
    }

    @Test func `the monotonic clock does not go back`() {
        var last: UInt64 = 0
        for _ in 0..<10_000 {
            let now = MonotonicClock.now()
            #expect(now >= last)
            last = now
        }
    }
}

struct FileTests {
    @Test func `an atomic write replaces a file and leaves nothing beside it`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a", "old")
        try File.writeAtomically(path, Array("new".utf8))
        #expect(try File.read(path, limit: 10) == Array("new".utf8))
        #expect(try Directory.names(in: folder.path) == ["a"])
    }

    @Test func `reading is bounded and takes only regular files`() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("a", "0123456789")
        #expect(try File.read(path, limit: 10).count == 10)
        #expect(throws: SystemError.self) { try File.read(path, limit: 9) }
        #expect(throws: SystemError.self) { try File.read(folder.path, limit: 10) }
        #expect(throws: SystemError.self) { try File.read("\(folder.path)/none", limit: 10) }
        #expect(throws: SystemError.self) { try File.read("/dev/null", limit: 10) }
    }

    @Test func `a lock is held by one opening at a time`() throws {
        let folder = try TemporaryFolder()
        let one = try File.open("\(folder.path)/lock", access: .append)
        let two = try File.open("\(folder.path)/lock", access: .append)
        let first = try File.lock(one)
        let second = try File.lock(two)
        #expect(first && !second)
    }

    @Test func `an error names the call, the path and the reason`() {
        let error = #expect(throws: SystemError.self) { try File.read("/nowhere/x", limit: 1) }
        #expect(error?.description == "stat /nowhere/x: No such file or directory (errno 2)")
    }
}

struct ChildProcessTests {
    @Test func `output, status and signal of a child are seen`() throws {
        let shell = { (text: String) throws in
            try ChildProcess(executable: "/bin/sh", arguments: ["-c", text], environment: ["A=b"])
        }
        let one = try shell("echo out $A; echo err >&2; exit 3")
        #expect(one.wait(seconds: 10) == .exited(3))
        #expect(one.standardOutput == "out b\n" && one.standardError == "err\n")
        #expect(try shell("kill -9 $$").wait(seconds: 10) == .signalled(9))
        #expect(try shell("sleep 100").wait(seconds: 0.05) == nil)
        #expect(
            ProcessEnd.signalled(11).description == "was ended by signal 11 (Segmentation fault)"
        )
    }
}

struct CountersTests {
    @Test func `the kernel knows what was taken and given on a TCP connection`() throws {
        let any = SocketAddress.ipv4(0x7f00_0001, port: 0)
        let listener = try Socket.listen(on: any)
        let client = try Socket.connect(to: Socket.localAddress(of: listener, asked: any))
        guard case .connection(let server) = try Socket.accept(from: listener) else {
            Issue.record("nobody to accept")
            return
        }
        #expect(Socket.send([1, 2, 3, 4, 5], to: client) == .moved(5))
        var bytes: [UInt8] = []
        let received = Socket.receive(from: server, into: &bytes, maximum: 3)
        let sent = Socket.send([1, 2], to: server)
        let counters = Socket.counters(of: server)
        #expect(received == .moved(3) && sent == .moved(2))
        #expect(counters?.consumed == 3 && counters?.written == 2)
        Socket.finishSending(client)
        let afterFin = eventually { Socket.counters(of: server)?.consumed == 3 }
        #expect(afterFin, "the client's FIN is not a byte")
    }

    @Test func `other sockets have no counters`() throws {
        let pair = try Socket.pair()
        let counters = Socket.counters(of: pair.one)
        #expect(counters == nil)
    }
}
