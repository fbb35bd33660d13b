internal import TFTPClient
internal import TFTPSeal

/// A place that files can be fetched from.
protocol FileSource: Sendable {
    /// For the log.
    var text: String { get }

    /// What it has under `name`; nil when it has nothing, or nothing for us.
    func look(_ name: String) async throws -> FileVersion?

    /// Hands the bytes of `version` from `offset` on to `sink`, in order, to the end.
    ///
    /// - Throws: also when what comes turns out to be another version.
    func copy(
        _ name: String, _ version: FileVersion, from offset: UInt64,
        to sink: (sending [UInt8]) async throws -> Void
    ) async throws

    /// The bytes of `version` in `range`, all at once.
    ///
    /// - Throws: also where the source sends whole files only.
    func part(_ name: String, _ version: FileVersion, _ range: Range<UInt64>) async throws
        -> [UInt8]
}

/// Why a source is left for another.
enum SourceFailure: Error, CustomStringConvertible {
    case anotherVersion
    case status(Int)
    /// By the number of a `URLError`.
    case web(Int)
    case noRange
    case noSize
    case wrongChunk(Int)
    case tooLarge(UInt64)
    case tooLargeWithoutRanges(UInt64)
    case tooLargeWithoutVersion(UInt64)

    var description: String {
        switch self {
        case .anotherVersion: "it has another version by now"
        case .status(let code): "it answers with status \(code)"
        case .web(-1001): "it does not answer in time"
        case .web(-1003): "there is no such host"
        case .web(-1004): "nobody listens there"
        case .web(let code): "the connection fails (URLError \(code))"
        case .noRange: "it does not send the range that was asked for"
        case .noSize: "it does not say how large the file is"
        case .wrongChunk(let index): "chunk \(index) is not what the manifest says"
        case .tooLarge(let size): "\(size) bytes are more than any file may have"
        case .tooLargeWithoutRanges(let size):
            "it sends no ranges, and \(size) bytes are too many to take at once"
        case .tooLargeWithoutVersion(let size):
            "it sends neither ETag nor Last-Modified, and \(size) bytes are too many to take at once"
        }
    }
}

/// A TFTP server, another node among them.
struct TFTPSource: FileSource {
    let client: TFTPClient
    let server: TFTPClient.Server
    /// What stands before every name.
    var folder = ""
    /// It is asked under a seal, and nothing is taken from it in the plain.
    var sealKeys: SealKeys?
    /// How long it may be silent.
    var patience = TFTPSource.patience

    static let patience = Duration.seconds(2)

    var text: String { "tftp://\(server)/\(folder)" }

    private var options: TFTPClient.Options {
        var options = TFTPClient.Options()
        options.patience = patience
        options.windowsize = 64
        options.sealKeys = sealKeys
        return options
    }

    /// A short text that it has under `name`, wherever files are.
    ///
    /// - Throws: `TFTPClient.Failure`.
    func text(of name: String, byteCountMax: Int) async throws -> String {
        var options = options
        options.windowsize = nil
        let download = try await client.get(
            name, from: server, options: options, sizeMax: byteCountMax)
        return String(decoding: download.bytes, as: UTF8.self)
    }

    /// Begins to get the file, and leaves it at that.
    func look(_ name: String) async throws -> FileVersion? {
        let monitor = TFTPClient.Monitor()
        var options = options
        // A small window: all of it comes before the server hears that it was enough.
        options.windowsize = nil
        let chunks = client.chunks(
            folder + name, from: server, options: options, monitor: monitor)
        do {
            var iterator = chunks.makeAsyncIterator()
            let first = try await iterator.next()
            if first == nil { return .plain(size: 0) }
            return .plain(size: monitor.summary?.byteCount ?? monitor.progress?.totalByteCount)
        } catch TFTPClient.Failure.notFound {
            return nil
        } catch TFTPClient.Failure.refused(let code, _) where code == 2 {
            // An access violation: nothing for us.
            return nil
        }
    }

    func copy(
        _ name: String, _ version: FileVersion, from offset: UInt64,
        to sink: (sending [UInt8]) async throws -> Void
    ) async throws {
        guard offset <= version.size ?? .max else { throw SourceFailure.anotherVersion }
        if offset > 0, let size = version.size {
            do {
                return try await copy(name, offset..<size, of: size, to: sink)
            } catch TFTPClient.Failure.rangeIgnored {
                // What is here already is left out below.
            }
        }
        let monitor = TFTPClient.Monitor()
        var passed: UInt64 = 0
        let chunks = client.chunks(
            folder + name, from: server, options: options, monitor: monitor)
        for try await chunk in chunks {
            if let size = version.size, let told = monitor.progress?.totalByteCount, told != size {
                throw SourceFailure.anotherVersion
            }
            let end = passed + UInt64(chunk.count)
            guard end <= version.size ?? .max else { throw SourceFailure.anotherVersion }
            defer { passed = end }
            guard end > offset else { continue }
            let left = offset > passed ? Int(offset - passed) : 0
            try await sink(left == 0 ? chunk : Array(chunk.dropFirst(left)))
        }
        // What ends before that was another file, where no size says so.
        guard passed >= offset, passed == version.size ?? passed else {
            throw SourceFailure.anotherVersion
        }
    }

    func part(_ name: String, _ version: FileVersion, _ range: Range<UInt64>) async throws
        -> [UInt8]
    {
        var bytes: [UInt8] = []
        try await copy(name, range, of: version.size) { bytes += $0 }
        return bytes
    }

    /// A part of a file.
    ///
    /// - Parameter size: of the whole file, if it is to be compared.
    /// - Throws: `TFTPClient.Failure.rangeIgnored` where the server sends whole files only.
    func copy(
        _ name: String, _ range: Range<UInt64>, of size: UInt64? = nil,
        to sink: (sending [UInt8]) async throws -> Void
    ) async throws {
        guard !range.isEmpty else { return }
        let monitor = TFTPClient.Monitor()
        var options = options
        options.offset = range.lowerBound
        options.length = UInt64(range.count)
        var passed = 0
        let chunks = client.chunks(
            folder + name, from: server, options: options, monitor: monitor)
        for try await chunk in chunks {
            passed += chunk.count
            guard passed <= range.count else { throw SourceFailure.anotherVersion }
            try await sink(chunk)
        }
        guard passed == range.count, size == nil || monitor.summary?.tsize ?? size == size else {
            throw SourceFailure.anotherVersion
        }
    }
}
