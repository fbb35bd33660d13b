package import TFTPCore
package import TFTPMetrics
package import TFTPStore
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
    /// The options that the client asked for, in the order of the request.
    package var asked = Options()
    /// The options that were granted, in the order of the request.
    package var options: Options
    package var milliseconds: UInt32
    package var retransmissionCount: UInt32
    /// The ERROR that ended it, from either side; meaningful with `refused`, `failed`, `probe`,
    /// `aborted`.
    package var errorCode: ErrorCode
    /// Why this end answered ERROR.
    package var reason = RefusalReason.none
    /// The transfer has only begun, and `outcome` means nothing yet.
    package var isStart = false
    /// Whether the log has a line of it. It is counted all the same.
    package var isLogged = true
    /// Of a transfer that begins: nanoseconds since the request.
    package var waitedNanoseconds: UInt64 = 0
    package var fingerprint: Fingerprint
    package var name: RecordName
    /// What the store said of a request that was refused.
    package var failure: StoreFailure?
}

/// The name that was asked for, cut to what a record has room for.
package struct RecordName: BitwiseCopyable, Sendable {
    package static let capacity = 239
    var storage = InlineArray<239, UInt8>(repeating: 0)
    package private(set) var byteCount: UInt8 = 0
    package private(set) var isCut = false

    package init() {}

    package init(_ bytes: RawSpan) {
        let count = min(bytes.byteCount, RecordName.capacity)
        for index in 0..<count {
            // In bounds: `count` is at most the span's own.
            storage[index] = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        }
        byteCount = UInt8(count)
        isCut = count < bytes.byteCount
    }

    package subscript(index: Int) -> UInt8 { storage[index] }

    package var bytes: RawSpan {
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

    package func isEqual(to other: RecordName) -> Bool {
        guard byteCount == other.byteCount else { return false }
        for index in 0..<Int(byteCount) where storage[index] != other.storage[index] {
            return false
        }
        return true
    }
}

extension TransferRecord {
    /// Of a refused request; what is unknown is left at its default.
    init(refused flow: Flow, isUpload: Bool) {
        self.init(
            outcome: .refused, isUpload: isUpload, mode: .octet, peer: flow.peer,
            local: flow.local, byteCount: 0, blksize: 512, windowsize: 1,
            options: Options(), milliseconds: 0, retransmissionCount: 0, errorCode: .notDefined,
            fingerprint: .other, name: RecordName())
    }
}
