internal import TFTPClient
internal import TFTPFetch
internal import TFTPSeal

/// A place that files can be fetched from.
protocol FileSource: Sendable {
    /// For the log.
    var text: String { get }

    /// What it has under `name`; nil when it has nothing, or nothing for us.
    func look(_ name: String) async throws -> FileVersion?

    /// Hands the bytes of `version` from `offset` on to `sink`, in order, to the end.
    ///
    /// - Parameter check: how the bytes before `offset` are known to be of the same content.
    /// - Throws: also when what comes turns out to be another version.
    func copy(
        _ name: String, _ version: FileVersion, from offset: UInt64, by check: ResumeCheck,
        to sink: (sending [UInt8]) async throws -> Void
    ) async throws

    /// The bytes of `version` in `range`, all at once.
    ///
    /// - Throws: also where the source sends whole files only.
    func part(_ name: String, _ version: FileVersion, _ range: Range<UInt64>) async throws
        -> [UInt8]
}

/// A TFTP server, another node among them.
struct TFTPSource: FileSource {
    let client: TFTPClient
    let server: TFTPClient.Server
    /// What stands before every name.
    var folder = ""
    /// Queries are sealed with these keys, and unencrypted answers are ignored.
    var sealKeys: SealKeys?
    /// How long it may be silent.
    var patience = TFTPSource.patience

    static let patience = Duration.seconds(2)
    /// What is asked for without options, which take two packets more.
    private static let smallByteCountMax = 16 << 10

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
        String(decoding: try await bytes(of: name, byteCountMax: byteCountMax), as: UTF8.self)
    }

    /// A few bytes that it has under `name`, in as few packets as can be: mostly they fit into one.
    ///
    /// - Throws: `TFTPClient.Failure`.
    func bytes(of name: String, byteCountMax: Int) async throws -> [UInt8] {
        var options = options
        options.windowsize = nil
        options.negotiates = sealKeys != nil || byteCountMax > TFTPSource.smallByteCountMax
        let download = try await client.get(
            name, from: server, options: options, sizeMax: byteCountMax)
        return download.bytes
    }

    /// Begins to get the file, and leaves it at that.
    func look(_ name: String) async throws -> FileVersion? {
        let monitor = TFTPClient.Monitor()
        var options = options
        // A small window: the content would all be sent before the server is told to stop.
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
        _ name: String, _ version: FileVersion, from offset: UInt64, by _: ResumeCheck,
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
        // A file of unknown size that ends before that was another file.
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
