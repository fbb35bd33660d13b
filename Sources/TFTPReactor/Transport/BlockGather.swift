package import CLinux
package import TFTPStore
package import TFTPWire

/// Points I/O vectors at blocks of an image, or of a ring of bytes: at a header of four bytes, then
/// at the data wherever that lies.
///
/// Nothing is copied. What the vectors point at stays until the shard's turn ends.
@safe
package struct BlockGather {
    /// Where an image's extents are told; nil: the content is in `ring`.
    private let imageIndex: ImageIndex?
    private let image: ImageID
    /// The byte `n` of the content is at `n % count`.
    private let ring: UnsafeRawBufferPointer
    /// Where the first block begins and the last one ends.
    private let begin: UInt64
    private let end: UInt64
    let blksize: Int
    private let rollover: BlockNumber.Rollover
    /// 65,536 DATA headers.
    private let headers: UnsafeRawPointer
    private var extent: UnsafeRawPointer?
    /// The extent that the latest block was looked for in; -1 before the first.
    package private(set) var extentNumber = -1

    /// - Parameter part: of the image; ends at its end, or before.
    package init(
        imageIndex: ImageIndex, image: ImageID, part: Range<UInt64>, blksize: Int,
        rollover: BlockNumber.Rollover, headers: UnsafeRawPointer
    ) {
        self.imageIndex = imageIndex
        self.image = image
        unsafe ring = UnsafeRawBufferPointer(start: nil, count: 0)
        begin = part.lowerBound
        end = part.upperBound
        self.blksize = blksize
        self.rollover = rollover
        unsafe self.headers = headers
    }

    /// - Parameter ring: all of what is gathered is in it.
    @unsafe
    init(
        ring: UnsafeRawBufferPointer, byteCount: UInt64, blksize: Int,
        rollover: BlockNumber.Rollover, headers: UnsafeRawPointer
    ) {
        imageIndex = nil
        image = ImageID(index: 0, generation: 0)
        unsafe self.ring = unsafe ring
        begin = 0
        end = byteCount
        self.blksize = blksize
        self.rollover = rollover
        unsafe self.headers = headers
    }

    /// Points the vectors at `parts` at block `block`.
    ///
    /// - Returns: how many vectors that took, and the bytes of its payload; nil when an extent is
    ///   not in memory.
    @unsafe
    package mutating func gather(
        _ block: UInt64, into parts: UnsafeMutablePointer<clinux_part>
    ) -> (partCount: Int, byteCount: Int)? {
        var offset = begin + (block - 1) * UInt64(blksize)
        let payload = Int(min(UInt64(blksize), end - min(offset, end)))
        unsafe parts[0] = header(BlockNumber(block, rollover: rollover))
        var partCount = 1
        var left = payload
        while left > 0 {
            guard let piece = unsafe piece(at: offset) else { return nil }
            let taken = unsafe min(left, piece.count)
            unsafe parts[partCount] = clinux_part(
                base: UnsafeMutableRawPointer(mutating: piece.start), byte_count: taken)
            partCount += 1
            left -= taken
            offset += UInt64(taken)
        }
        return (partCount, payload)
    }

    /// Where the bytes from `offset` on lie, and how many of them in one piece; nil when they are
    /// not in memory.
    ///
    /// Inlined: a call for each block of a batch would cost more than what is in it.
    @inline(__always)
    private mutating func piece(at offset: UInt64) -> (start: UnsafeRawPointer, count: Int)? {
        guard let imageIndex else {
            let start = unsafe Int(offset % UInt64(ring.count))
            return unsafe (ring.baseAddress.unsafelyUnwrapped + start, ring.count - start)
        }
        let number = Int(offset / UInt64(ImageIndex.extentByteCount))
        if number != extentNumber {
            unsafe extent = imageIndex.extent(number, of: image)
            extentNumber = number
        }
        guard let extent = unsafe extent else { return nil }
        let start = Int(offset % UInt64(ImageIndex.extentByteCount))
        return unsafe (extent + start, ImageIndex.extentByteCount - start)
    }

    private func header(_ block: BlockNumber) -> clinux_part {
        let address = unsafe headers + 4 * Int(block.rawValue)
        return unsafe clinux_part(base: UnsafeMutableRawPointer(mutating: address), byte_count: 4)
    }
}
