import Glibc
import Testing

@testable import Uring

/// Datagrams over loopback, in both directions.
@Suite(.enabled(if: ringRefusal == nil, Comment(rawValue: ringRefusal ?? "")))
struct DatagramTests {
    /// A UDP socket on 127.0.0.1.
    private final class Loopback {
        let file: Int32
        var name = sockaddr_in()

        init() {
            file = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            name.sin_family = sa_family_t(AF_INET)
            name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = bind(file, $0, length)
                    _ = getsockname(file, $0, &length)
                }
            }
        }

        deinit { close(file) }

        func send(_ bytes: [UInt8], to other: Loopback) {
            let sent = withUnsafePointer(to: &other.name) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        file, bytes, bytes.count, 0, $0,
                        socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            #expect(sent == bytes.count)
        }

        /// What is here now; nil when nothing is.
        func receive() -> [UInt8]? {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let count = recv(file, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count < 0 ? nil : Array(bytes[..<count])
        }
    }

    /// The header that says how much room a name and control data get.
    private static func makeHeader() -> UnsafeMutablePointer<msghdr> {
        let header = UnsafeMutablePointer<msghdr>.allocate(capacity: 1)
        header.initialize(to: msghdr())
        header.pointee.msg_namelen = socklen_t(MemoryLayout<sockaddr_in6>.size)
        header.pointee.msg_controllen = 64
        return header
    }

    /// One buffer for each datagram; when none is left the receive ends (ENOBUFS), nothing is lost,
    /// and it continues once armed again.
    @Test func receivingThroughAShortageOfBuffers() throws {
        var ring = try Ring(entries: 8, completions: 64)
        try ring.registerFiles(count: 4)
        let (receiver, sender) = (Loopback(), Loopback())
        try ring.setFile(2, receiver.file)
        var buffers = try BufferRing(ring: &ring, group: 5, count: 4, bufferByteCount: 512)
        let header = Self.makeHeader()
        defer { header.deallocate() }
        var seen: [[UInt8]] = []
        var wasShort = false
        var armedCount = 1
        _ = ring.queueReceive(file: 2, group: 5, header: header, userData: 77)
        for number in 0..<11 as Range<UInt8> {
            sender.send(Array(repeating: number, count: Int(number)), to: receiver)
        }
        let end = ContinuousClock.now + .seconds(5)
        while seen.count < 11 && ContinuousClock.now < end {
            var isArmed = true
            for completion in try RingTests.collect(&ring, 1) {
                #expect(completion.userData == 77)
                if !completion.hasMore { isArmed = false }
                guard let buffer = completion.bufferID else {
                    #expect(completion.result == -ENOBUFS)
                    wasShort = true
                    continue
                }
                #expect(buffer < 4)
                guard
                    let datagram = buffers.datagram(
                        buffer, result: completion.result, header: header)
                else {
                    Issue.record("no datagram in buffer \(buffer)")
                    break
                }
                #expect(!datagram.isTruncated)
                #expect(datagram.name.count == MemoryLayout<sockaddr_in>.size)
                let name = try #require(datagram.name.baseAddress)
                    .loadUnaligned(as: sockaddr_in.self)
                #expect(name.sin_port == sender.name.sin_port)
                seen.append(Array(datagram.payload))
                buffers.give(buffer)
            }
            buffers.publish()
            if !isArmed {
                armedCount += 1
                _ = ring.queueReceive(file: 2, group: 5, header: header, userData: 77)
            }
        }
        #expect(seen == (0..<11).map { Array(repeating: UInt8($0), count: $0) })
        #expect(wasShort)
        #expect(armedCount >= 3)
        ring.cancelAll()
        buffers.destroy(ring: &ring)
    }

    /// Longer than a buffer: said so, and not taken for the whole.
    @Test func aDatagramThatIsTooLong() throws {
        var ring = try Ring(entries: 8, completions: 64)
        try ring.registerFiles(count: 1)
        let (receiver, sender) = (Loopback(), Loopback())
        try ring.setFile(0, receiver.file)
        var buffers = try BufferRing(ring: &ring, group: 0, count: 2, bufferByteCount: 512)
        let header = Self.makeHeader()
        defer { header.deallocate() }
        _ = ring.queueReceive(file: 0, group: 0, header: header, userData: 1)
        sender.send(Array(repeating: 1, count: 600), to: receiver)
        let first = try RingTests.collect(&ring, 1).first
        let completion = try #require(first)
        let buffer = try #require(completion.bufferID)
        let datagram = buffers.datagram(buffer, result: completion.result, header: header)
        #expect(datagram == nil || datagram?.isTruncated == true)
        buffers.give(buffer)
        ring.cancelAll()
        buffers.destroy(ring: &ring)
    }

    /// A send ends inside the enter that submits it, and speaks only of what went wrong.
    @Test func aSendSaysNothingWhenAllIsWell() throws {
        var ring = try Ring(entries: 8, completions: 64)
        try ring.registerFiles(count: 1)
        let (receiver, sender) = (Loopback(), Loopback())
        try ring.setFile(0, sender.file)
        let header = Self.makeHeader()
        let name = UnsafeMutablePointer<sockaddr_in>.allocate(capacity: 1)
        let part = UnsafeMutablePointer<iovec>.allocate(capacity: 1)
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: 70_000, alignment: 8)
        defer {
            header.deallocate()
            name.deallocate()
            part.deallocate()
            bytes.deallocate()
        }
        name.initialize(to: receiver.name)
        memset(bytes, 3, 70_000)
        header.initialize(to: msghdr())
        header.pointee.msg_name = UnsafeMutableRawPointer(name)
        header.pointee.msg_namelen = socklen_t(MemoryLayout<sockaddr_in>.size)
        header.pointee.msg_iov = part
        header.pointee.msg_iovlen = 1
        for byteCount in [0, 1, 1400, 65_000] {
            part.initialize(to: iovec(iov_base: bytes, iov_len: byteCount))
            _ = ring.queueSend(file: 0, header: header, userData: 5)
            let isTaken = try ring.enter(waitingFor: 0, nanoseconds: 0)
            #expect(isTaken)
            // It is there already, and may be written over: nothing is read after the enter.
            memset(bytes, 4, 70_000)
            #expect(receiver.receive() == Array(repeating: 3, count: byteCount))
            memset(bytes, 3, 70_000)
            let count = ring.drain()
            #expect(count == 0)
        }
        // More than a datagram holds.
        part.initialize(to: iovec(iov_base: bytes, iov_len: 70_000))
        _ = ring.queueSend(file: 0, header: header, userData: 6)
        let failed = try RingTests.collect(&ring, 1)
        #expect(failed.map(\.userData) == [6])
        #expect(failed.map(\.result) == [-EMSGSIZE])
        // What failed does not stand in the way of what comes after it.
        part.initialize(to: iovec(iov_base: bytes, iov_len: 10))
        _ = ring.queueSend(file: 0, header: header, userData: 7)
        _ = try ring.enter(waitingFor: 0, nanoseconds: 0)
        #expect(receiver.receive()?.count == 10)
        let count = ring.drain()
        #expect(count == 0)
    }

    /// A message to nowhere in the middle of a batch: the others go out all the same
    /// (IORING_SETUP_SUBMIT_ALL).
    @Test func oneBadSendInABatch() throws {
        var ring = try Ring(entries: 8, completions: 64)
        try ring.registerFiles(count: 2)
        let (receiver, sender) = (Loopback(), Loopback())
        try ring.setFile(0, sender.file)
        let name = UnsafeMutablePointer<sockaddr_in>.allocate(capacity: 1)
        let parts = UnsafeMutablePointer<iovec>.allocate(capacity: 3)
        let headers = UnsafeMutablePointer<msghdr>.allocate(capacity: 3)
        let bytes = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        defer {
            name.deallocate()
            parts.deallocate()
            headers.deallocate()
            bytes.deallocate()
        }
        name.initialize(to: receiver.name)
        bytes.storeBytes(of: 0x0102_0304_0506_0708, as: UInt64.self)
        for index in 0..<3 {
            (parts + index).initialize(to: iovec(iov_base: bytes, iov_len: 8))
            (headers + index).initialize(to: msghdr())
            headers[index].msg_name = UnsafeMutableRawPointer(name)
            headers[index].msg_namelen = socklen_t(MemoryLayout<sockaddr_in>.size)
            headers[index].msg_iov = parts + index
            headers[index].msg_iovlen = 1
            // Place 1 has no file.
            _ = ring.queueSend(
                file: index == 1 ? 1 : 0, header: headers + index, userData: UInt64(index))
        }
        let failed = try RingTests.collect(&ring, 1)
        #expect(failed.map(\.userData) == [1])
        #expect(failed.map(\.result) == [-EBADF])
        #expect(receiver.receive()?.count == 8)
        #expect(receiver.receive()?.count == 8)
        #expect(receiver.receive() == nil)
    }
}
