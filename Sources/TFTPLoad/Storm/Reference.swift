internal import Glibc
internal import TFTPWire

/// What a file must be, byte for byte: given, or learned by the first client.
///
/// @unchecked Sendable: written while it is learned, by one thread before any other sees it, and
/// only read afterwards.
@safe
package final class Reference: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer
    /// Bytes of the file; what is beyond is room that was not needed.
    package private(set) var byteCount: Int

    /// A copy of `content`.
    package init(_ content: [UInt8]) {
        unsafe bytes = .allocate(byteCount: max(1, content.count), alignment: 64)
        unsafe bytes.copyBytes(from: content)
        byteCount = content.count
    }

    /// Room to learn a file of at most `capacity` bytes.
    package init(capacity: Int) {
        unsafe bytes = .allocate(byteCount: max(1, capacity), alignment: 64)
        byteCount = 0
    }

    deinit { unsafe bytes.deallocate() }

    /// Keeps `payload` as the content at `offset`. False if there is no room.
    func learn(_ payload: RawSpan, at offset: Int) -> Bool {
        let end = offset + payload.byteCount
        guard unsafe end <= bytes.count else { return false }
        for index in 0..<payload.byteCount {
            unsafe bytes[offset + index] = payload.byte(at: index)
        }
        byteCount = max(byteCount, end)
        return true
    }

    /// The offset of the first byte of `payload` that is not what stands at `offset`; nil when all
    /// are.
    func mismatch(_ payload: RawSpan, at offset: Int) -> Int? {
        let fitting = max(0, min(payload.byteCount, byteCount - offset))
        let isSame = unsafe payload.withUnsafeBytes { payload in
            // In bounds: `fitting` is at most what either has.
            unsafe fitting == 0
                || memcmp(payload.baseAddress!, bytes.baseAddress! + offset, fitting) == 0
        }
        guard !isSame else { return fitting < payload.byteCount ? offset + fitting : nil }
        for index in 0..<fitting where unsafe payload.byte(at: index) != bytes[offset + index] {
            return offset + index
        }
        return nil
    }
}
