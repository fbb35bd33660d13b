package import TFTPWire

/// What clients may write.
package enum UploadPolicy: String, Sendable, CaseIterable, BitwiseCopyable {
    case deny
    /// New names only.
    case create
    /// Names that exist; each file is replaced in one step.
    case existing
    /// Any name; a file of that name is replaced in one step.
    case overwrite
}

/// What one request may have. Copied into the request, so that a transfer keeps what it began with.
package struct RequestPolicy: Equatable, Sendable, BitwiseCopyable {
    /// Whether files may be read.
    package var allowsRead = true
    /// What may be written.
    package var upload = UploadPolicy.deny
    /// Whether plain requests are refused.
    package var requiresSeal = false
    /// Options that are treated as if they had not been asked for.
    package var refused = OptionSelection()
    /// The largest blksize to grant, 8...65464.
    package var blksizeMax: UInt16 = 65464
    /// The largest windowsize to grant, at least 1.
    package var windowsizeMax: UInt16 = 65535
    /// Bytes; a longer upload is refused.
    package var uploadByteCountMax: UInt64 = 1 << 40

    package init() {}
}

/// Some of the options that Bootstorm knows.
package struct OptionSelection: Equatable, Sendable, BitwiseCopyable {
    private var bits: UInt16 = 0

    package init() {}

    package init(_ names: [Options.Name]) {
        for name in names { insert(name) }
    }

    package mutating func insert(_ name: Options.Name) { bits |= 1 << UInt16(name.rawValue) }

    package func contains(_ name: Options.Name) -> Bool {
        bits & 1 << UInt16(name.rawValue) != 0
    }

    package var isEmpty: Bool { bits == 0 }
}

extension Options {
    /// As if the client had not asked for these.
    mutating func remove(_ refused: OptionSelection) {
        guard !refused.isEmpty else { return }
        // From behind, because what is taken out moves the rest forward.
        for index in (0..<count).reversed() {
            if let name = order[index], refused.contains(name) { set(name, to: nil) }
        }
    }
}

/// Some of the kinds of clients.
package struct KindSelection: Equatable, Sendable, BitwiseCopyable {
    private var bits: UInt64

    /// Every kind.
    package static let all = KindSelection(bits: .max)

    private init(bits: UInt64) { self.bits = bits }

    package init(_ kinds: [Fingerprint]) {
        bits = kinds.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
    }

    package func contains(_ kind: Fingerprint) -> Bool { bits & 1 << UInt64(kind.rawValue) != 0 }

    package var isAll: Bool { bits == .max }
}
