package import Glibc
package import TFTPStore
package import TFTPWire

/// Points I/O vectors at blocks of one image: at a header of four bytes, then at the data wherever that lies.
///
/// Nothing is copied. What the vectors point at stays until the shard's turn ends.
@safe
package struct BlockGather {
    private let shelf: ImageShelf
    private let image: ImageID
    private let byteCount: UInt64
    private let blksize: Int
    private let rollover: BlockNumber.Rollover
    /// 65,536 DATA headers.
    private let headers: UnsafeRawPointer
    private var extent: UnsafeRawPointer?
    /// The extent that the latest block was looked for in; -1 before the first.
    package private(set) var extentNumber = -1

    package init(
        shelf: ImageShelf, image: ImageID, byteCount: UInt64, blksize: Int,
        rollover: BlockNumber.Rollover, headers: UnsafeRawPointer
    ) {
        self.shelf = shelf
        self.image = image
        self.byteCount = byteCount
        self.blksize = blksize
        self.rollover = rollover
        unsafe self.headers = headers
    }

    /// Points the vectors at `parts` at block `block`.
    ///
    /// - Returns: how many vectors that took, and the bytes of its payload; nil when an extent is not in memory.
    @unsafe
    package mutating func gather(
        _ block: UInt64, into parts: UnsafeMutablePointer<iovec>
    ) -> (partCount: Int, byteCount: Int)? {
        var offset = (block - 1) * UInt64(blksize)
        let payload = Int(min(UInt64(blksize), byteCount - min(offset, byteCount)))
        unsafe parts[0] = header(BlockNumber(block, rollover: rollover))
        var partCount = 1
        var left = payload
        while left > 0 {
            let number = Int(offset / UInt64(ImageShelf.extentByteCount))
            if number != extentNumber {
                unsafe extent = shelf.extent(number, of: image)
                extentNumber = number
            }
            guard let extent = unsafe extent else { return nil }
            let start = Int(offset % UInt64(ImageShelf.extentByteCount))
            let piece = min(left, ImageShelf.extentByteCount - start)
            unsafe parts[partCount] = iovec(
                iov_base: UnsafeMutableRawPointer(mutating: extent + start), iov_len: piece)
            partCount += 1
            left -= piece
            offset += UInt64(piece)
        }
        return (partCount, payload)
    }

    private func header(_ block: BlockNumber) -> iovec {
        let address = unsafe headers + 4 * Int(block.rawValue)
        return unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: address), iov_len: 4)
    }
}
