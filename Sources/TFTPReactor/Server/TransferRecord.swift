package import TFTPCore
package import TFTPWire

/// What is said of one transfer when it ends.
package struct TransferRecord: BitwiseCopyable, Sendable {
    package var outcome: Outcome
    package var isUpload: Bool
    package var mode: TransferMode
    package var peer: Endpoint
    package var local: Address
    /// Payload bytes: acknowledged ones of a download, received ones of an upload.
    package var byteCount: UInt64
    package var blksize: UInt16
    package var windowsize: UInt16
    package var timeoutSeconds: UInt8
    /// The options that were granted, in the order of the request.
    package var options: Options
    package var milliseconds: UInt32
    package var retransmissionCount: UInt32
    /// The ERROR that ended it, from either side; meaningful with `refused`, `failed`, `probe`, `aborted`.
    package var errorCode: ErrorCode
    package var fingerprint: Fingerprint
    package var name: RecordName
}

/// The name that was asked for, cut to what a record has room for.
package struct RecordName: BitwiseCopyable, Sendable {
    package static let capacity = 239
    var storage = InlineArray<239, UInt8>(repeating: 0)
    package private(set) var byteCount: UInt8 = 0
    package private(set) var isCut = false

    init() {}

    init(_ bytes: RawSpan) {
        let count = min(bytes.byteCount, RecordName.capacity)
        for index in 0..<count {
            // In bounds: `count` is at most the span's own.
            storage[index] = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
        byteCount = UInt8(count)
        isCut = count < bytes.byteCount
    }

    package subscript(index: Int) -> UInt8 { storage[index] }

    var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            // UInt8 has no padding, so every byte of the array is initialised.
            unsafe storage.span.bytes.extracting(first: Int(byteCount))
        }
    }

    /// A few bits of all bytes.
    var mixed: UInt32 {
        var word: UInt32 = 0
        for index in 0..<Int(byteCount) { word = word &* 31 &+ UInt32(storage[index]) }
        return word
    }

    func isEqual(to other: RecordName) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for index in 0..<Int(byteCount) where storage[index] != other.storage[index] {
            return false
        }
        return true
    }
}
