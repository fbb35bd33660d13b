import Foundation
import Synchronization
package import TFTPCore

/// A TFTP server of one file that lies as a test tells it to: lockstep in blocks of 512, without
/// options.
///
/// Nothing is ever sent but in answer, so whatever is lost is for the client to ask for again.
package final class LyingServer: Sendable {
    package enum Lie: Sendable {
        case none
        /// The byte at `offset` of the file is another.
        case wrongByte(offset: Int)
        /// One packet in `each` is not sent.
        case loss(each: Int)
        /// All packets but the first come from another port.
        case otherPort
        /// All packets come from 127.0.0.2.
        case otherAddress
        /// Block 2 is longer than the blksize.
        case overlongBlock
        /// Block 2 is an ERROR with this code.
        case error(UInt16)
        /// Nothing comes after block 1.
        case silence
    }

    package var endpoint: Endpoint { socket.endpoint }

    private let socket: LoopbackSocket
    private let other: LoopbackSocket
    private let content: [UInt8]
    private let lie: Lie
    private let honestCount: Int
    private let isStopped = Atomic<Bool>(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    /// - Parameter honestCount: the transfers that are served before it begins to lie.
    package init(_ content: [UInt8], _ lie: Lie, honestCount: Int = 1) throws {
        socket = try LoopbackSocket()
        if case .otherAddress = lie {
            other = try LoopbackSocket(address: 0x7F00_0002)
        } else {
            other = try LoopbackSocket()
        }
        self.content = content
        self.lie = lie
        self.honestCount = honestCount
        Thread.detachNewThread { [self] in
            serve()
            hasEnded.signal()
        }
    }

    /// Ends the thread. Called once.
    package func stop() {
        isStopped.store(true, ordering: .relaxed)
        hasEnded.wait()
    }

    private func serve() {
        var lied: [Endpoint: Bool] = [:]
        var packetCount = 0
        while !isStopped.load(ordering: .relaxed) {
            guard let (bytes, client) = socket.receive(withinMilliseconds: 20), bytes.count >= 4
            else { continue }
            var block = Int(bytes[2]) << 8 | Int(bytes[3])
            switch bytes[1] {
            case 1:
                if lied[client] == nil { lied[client] = lied.count >= honestCount }
                block = 0
            case 4: break
            default: continue
            }
            guard block * 512 <= content.count else { continue }
            packetCount += 1
            answer(client, block: block + 1, lies: lied[client] ?? false, number: packetCount)
        }
    }

    private func answer(_ client: Endpoint, block: Int, lies: Bool, number: Int) {
        var packet = data(block)
        guard lies else {
            socket.send(packet, to: client)
            return
        }
        switch lie {
        case .none: break
        case .wrongByte(let offset):
            if offset / 512 == block - 1 { packet[4 + offset % 512] ^= 0x40 }
        case .loss(let each):
            if number.isMultiple(of: each) { return }
        case .otherPort where block > 1, .otherAddress:
            other.send(packet, to: client)
            return
        case .otherPort: break
        case .overlongBlock:
            if block == 2 { packet += [0] }
        case .error(let code):
            if block == 2 { packet = [0, 5, UInt8(code >> 8), UInt8(code & 0xFF), 0] }
        case .silence:
            if block > 1 { return }
        }
        socket.send(packet, to: client)
    }

    private func data(_ block: Int) -> [UInt8] {
        let start = (block - 1) * 512
        let payload = content[start..<min(start + 512, content.count)]
        return [0, 3, UInt8(block >> 8 & 0xFF), UInt8(block & 0xFF)] + payload
    }
}
