import Testing

@testable import TFTPSeal

struct BlockSealerTests {
    private static let blksize = 64

    private func seals() throws -> (sender: PacketSeal, receiver: PacketSeal) {
        let key = try #require(SealKey.random(id: "k"))
        var initiator = NoiseInitiator(key: key, prologue: [])
        let responder = try NoiseResponder(reading: initiator.write([]), key: key, prologue: [])
        let (reply, keys) = try responder.write([])
        return (PacketSeal(keys), PacketSeal(try initiator.read(reply).keys))
    }

    private func open(_ seal: PacketSeal, _ payload: ArraySlice<UInt8>, _ block: UInt64) -> [UInt8]?
    {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 1)
        defer { room.deallocate() }
        let payload = Array(payload)
        return seal.open(payload.span.bytes, block: block, into: room).map { Array(room[..<$0]) }
    }

    /// Content of every size up to three blocks, handed over in pieces of every size.
    @Test func whateverIsSealedOpens() throws {
        let (sender, receiver) = try seals()
        for byteCount in 0...150 {
            let content = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0) }
            for pieceByteCount in [1, 7, 48, 49, 150] {
                var sealer = sender.blockSealer(blksize: Self.blksize)
                var wire: [UInt8] = []
                for start in stride(from: 0, to: byteCount, by: pieceByteCount) {
                    wire += sealer.add(
                        Array(content[start..<min(byteCount, start + pieceByteCount)]))
                }
                wire += sealer.finish()
                #expect(
                    UInt64(wire.count)
                        == BlockSealer.sealedByteCount(
                            of: UInt64(byteCount), blksize: Self.blksize))
                // The last block is short, but has something.
                #expect((16..<Self.blksize).contains(wire.count % Self.blksize))
                var opened: [UInt8] = []
                for (index, start) in stride(from: 0, to: wire.count, by: Self.blksize).enumerated()
                {
                    let payload = wire[start..<min(wire.count, start + Self.blksize)]
                    opened += try #require(open(receiver, payload, UInt64(index + 1)))
                }
                #expect(opened == content)
            }
        }
    }

    @Test func aBlockIsGoodForItsPlaceAlone() throws {
        let (sender, receiver) = try seals()
        var sealer = sender.blockSealer(blksize: Self.blksize)
        let block = sealer.add([UInt8](repeating: 1, count: 48))[...]
        #expect(open(receiver, block, 1) != nil)
        #expect(open(receiver, block, 2) == nil)
        #expect(open(receiver, block, 65537) == nil)
        #expect(open(receiver, block.dropLast(), 1) == nil)
        #expect(open(receiver, block.prefix(15), 1) == nil)
        #expect(open(sender, block, 1) == nil)
        for index in block.indices {
            var changed = block
            changed[index] ^= 4
            #expect(open(receiver, changed, 1) == nil, "byte \(index)")
        }
    }
}
