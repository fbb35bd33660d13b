/// Cuts content into blocks and seals each, in order: what comes out is the payload of one DATA
/// after the other.
///
/// Each block but the last is full on the wire. The last block has at least a tag, so it always
/// exists and is neither full nor empty. So the end of the content is sealed like the rest, and an
/// attacker cannot truncate it.
package struct BlockSealer: Sendable {
    /// Bytes of content in a full block.
    private let contentByteCount: Int
    private let cipher: NoiseCipher
    private var block: UInt64 = 1
    /// Content that does not fill a block yet.
    private var rest: [UInt8] = []

    init(_ cipher: NoiseCipher, blksize: Int) {
        precondition(blksize > PacketSeal.byteCount)
        self.cipher = cipher
        contentByteCount = blksize - PacketSeal.byteCount
    }

    /// How many bytes content of `byteCount` has on the wire.
    package static func sealedByteCount(of byteCount: UInt64, blksize: Int) -> UInt64 {
        let content = UInt64(blksize - PacketSeal.byteCount)
        return byteCount + (byteCount / content + 1) * UInt64(PacketSeal.byteCount)
    }

    /// Takes the next bytes, and returns the blocks that are full.
    package mutating func add(_ content: [UInt8]) -> [UInt8] {
        let blockCount = (rest.count + content.count) / contentByteCount
        guard blockCount > 0 else {
            rest += content
            return []
        }
        let byteCount = blockCount * (contentByteCount + PacketSeal.byteCount)
        var content = content[...]
        // Filled by as many blocks as were counted.
        return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { room, count in
            var room = unsafe UnsafeMutableRawBufferPointer(room)[...]
            if !rest.isEmpty {
                let missing = content.prefix(contentByteCount - rest.count)
                content = content.dropFirst(missing.count)
                unsafe seal((rest + missing)[...], into: &room)
            }
            while content.count >= contentByteCount {
                unsafe seal(content.prefix(contentByteCount), into: &room)
                content = content.dropFirst(contentByteCount)
            }
            rest = Array(content)
            count = byteCount
        }
    }

    private mutating func seal(
        _ content: ArraySlice<UInt8>, into room: inout Slice<UnsafeMutableRawBufferPointer>
    ) {
        unsafe content.withUnsafeBytes {
            unsafe cipher.seal(
                $0, nonce: block, into: UnsafeMutableRawBufferPointer(rebasing: room))
        }
        unsafe room = room.dropFirst(content.count + PacketSeal.byteCount)
        block += 1
    }

    /// That was all: returns the last block.
    package mutating func finish() -> [UInt8] {
        defer {
            block += 1
            rest = []
        }
        return cipher.seal(rest, nonce: block)
    }
}
