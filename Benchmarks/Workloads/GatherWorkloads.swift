internal import CLinux
internal import TFTPReactor
internal import TFTPStore
internal import TFTPWire

/// A window is gathered for one send: what that costs for each, whatever its size.
let gatherWorkloads = [1, 4, 16, 44].map { windowsize in
    Workload(name: "gather: window of \(windowsize) × 1468") {
        let image = GatheredImage()
        return { count in
            var digest: UInt64 = 0
            for index in 0..<count {
                digest &+= image.gatherWindow(number: index, windowsize: windowsize)
            }
            return digest
        }
    }
}

/// An image of four extents, all in memory, and room for the vectors of a window.
@safe
private final class GatheredImage {
    private let arena: UnsafeMutableRawBufferPointer
    private let headers: UnsafeMutableRawBufferPointer
    private let parts: UnsafeMutablePointer<clinux_part>
    private let imageIndex: ImageIndex
    private let image: ImageID

    private static let extentCount = 4
    private static let blksize = 1468
    private static var byteCount: Int { extentCount * ImageIndex.extentByteCount }

    init() {
        unsafe arena = .allocate(byteCount: GatheredImage.byteCount, alignment: 4096)
        unsafe headers = .allocate(byteCount: 65_536 * 4, alignment: 64)
        unsafe parts = .allocate(capacity: 256)
        // All of it is ours, and written before anything reads it.
        var output = unsafe OutputRawSpan(buffer: headers, initializedCount: 0)
        for number in UInt16.min...UInt16.max {
            Packet.writeDataHeader(block: BlockNumber(rawValue: number), to: &output)
        }
        _ = unsafe output.finalize(for: headers)
        imageIndex = unsafe ImageIndex(arena: UnsafeRawPointer(arena.baseAddress!), imagesMax: 1)
        var identity = FileIdentity.none
        identity.byteCount = UInt64(GatheredImage.byteCount)
        image = imageIndex.open(index: 0, identity: identity)
        for number in 0..<GatheredImage.extentCount {
            let offset = number * ImageIndex.extentByteCount
            imageIndex.publish(extent: number, of: image, offset: offset)
        }
    }

    deinit {
        imageIndex.destroy()
        unsafe arena.deallocate()
        unsafe headers.deallocate()
        unsafe parts.deallocate()
    }

    /// Gathers a window as a turn does, and tells what the last vector points at.
    func gatherWindow(number: Int, windowsize: Int) -> UInt64 {
        var gather = unsafe BlockGather(
            imageIndex: imageIndex, image: image, part: 0..<UInt64(GatheredImage.byteCount),
            blksize: GatheredImage.blksize, rollover: .toZero,
            headers: UnsafeRawPointer(headers.baseAddress!))
        let blocks = GatheredImage.byteCount / GatheredImage.blksize - windowsize
        let first = UInt64(number * windowsize % blocks) + 1
        var partCount = 0
        var byteCount = 0
        for block in first..<(first + UInt64(windowsize)) {
            guard let gathered = unsafe gather.gather(block, into: parts + partCount) else {
                preconditionFailure("all extents are there")
            }
            partCount += gathered.partCount
            byteCount += gathered.byteCount
        }
        precondition(byteCount == windowsize * GatheredImage.blksize)
        return unsafe UInt64(UInt(bitPattern: parts[partCount - 1].base)) &+ UInt64(partCount)
    }
}
