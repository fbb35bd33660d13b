public import SystemPackage
internal import TFTPCore
internal import TFTPReactor
internal import TFTPWire

/// A TFTP client: gets files from servers and puts files there (RFC 1350, 2347, 2348, 2349, 7440).
///
///     let client = try TFTPClient()
///     let server = try TFTPClient.Server("10.0.0.1")
///     let download = try await client.get("boot/vmlinuz", from: server)
///     print(download.bytes.count, download.summary)
///
/// All transfers of a client share one thread and run at once, each from a port of its own. A
/// transfer asks for the largest blocks that the path takes and for windows of them, and goes along
/// with whatever the server grants; `Options` asks for something else.
///
/// Every method that transfers throws `TFTPClient.Failure`, `CancellationError` when its task was
/// cancelled (the server gets an ERROR then, and the transfer is gone at once), or the error of a
/// sequence that it was given.
public final class TFTPClient: Sendable {
    let reactor: ClientReactor

    /// Starts the client's thread.
    ///
    /// - Parameter transfersMax: transfers at once, 1...4096; one more fails with
    ///   `Failure.tooManyTransfers`. Each takes a file descriptor and half a megabyte of memory
    ///   while it runs.
    /// - Throws: `Failure.system` where the kernel has no io_uring for this process.
    public init(transfersMax: Int = 256) throws(Failure) {
        guard ClientReactor.transfersMaxRange.contains(transfersMax) else {
            throw .invalidOptions("transfersMax is 1 to 4096")
        }
        do throws(StartError) {
            reactor = try ClientReactor(transfersMax: transfersMax)
        } catch {
            throw .system(error.description)
        }
    }

    /// Ends every transfer that runs, which throw `Failure.closed`, and the client's thread.
    /// Happens by itself when the last reference goes.
    public func close() { reactor.close() }

    // MARK: Get

    /// Gets a file into memory.
    ///
    /// - Parameters:
    ///   - name: what the file is called at the server, as the server spells it.
    ///   - server: the server to get it from.
    ///   - options: further options of the transfer.
    ///   - sizeMax: bytes; a larger file fails with `Failure.tooLarge`, at the beginning if the
    ///     server tells its size.
    ///   - monitor: shows the progress.
    public func get(
        _ name: String, from server: Server, options: Options = Options(),
        sizeMax: Int = 1 << 30, monitor: Monitor? = nil
    ) async throws -> Download {
        var options = options
        options.sizeMax = min(options.sizeMax, UInt64(max(0, sizeMax)))
        let exchange = try await begin(.rrq, name, server, options, byteCount: nil, monitor)
        var bytes: [UInt8] = []
        let summary = unsafe try await exchange.receive { piece in
            if bytes.isEmpty, let byteCount = exchange.announcedByteCount {
                // The size that a server announces is not trusted for an allocation.
                bytes.reserveCapacity(min(byteCount, 64 << 20))
            }
            unsafe bytes.append(contentsOf: piece)
        }
        return Download(bytes: bytes, summary: summary)
    }

    /// Gets a file into a file.
    ///
    /// What arrives is written to a temporary file in the same folder, which is renamed to `path`
    /// when it is complete and verified. Until then, and after a failure, `path` is unchanged. A
    /// path that is not a regular file (a pipe, `/dev/null`) is written in place.
    public func get(
        _ name: String, from server: Server, to path: FilePath, options: Options = Options(),
        monitor: Monitor? = nil
    ) async throws -> Summary {
        try await onOwnThread {
            let file = try self.telling(monitor) { try NewFile(at: path) }
            let exchange = try await self.begin(
                .rrq, name, server, options, byteCount: nil, monitor)
            let summary = unsafe try await exchange.receive { piece in
                if file.isStream { monitor?.note(.output) }
                try unsafe file.write(piece)
            }
            try file.commit()
            return summary
        }
    }

    /// Gets a file into an open one, from where it stands on: standard output, a pipe, a socket.
    ///
    /// What arrives before a failure has been written.
    public func get(
        _ name: String, from server: Server, to file: FileDescriptor,
        options: Options = Options(), monitor: Monitor? = nil
    ) async throws -> Summary {
        try await onOwnThread {
            let file = NewFile(descriptor: file)
            let exchange = try await self.begin(
                .rrq, name, server, options, byteCount: nil, monitor)
            return unsafe try await exchange.receive { piece in
                monitor?.note(.output)
                try unsafe file.write(piece)
            }
        }
    }

    /// Gets a file as it arrives, piece by piece.
    ///
    /// The transfer begins when the first element is requested. A slow reader slows the server
    /// down, within the server's patience (seconds, for most servers), and nothing is lost. The
    /// file is complete only when `next` returns nil; the elements before a failure are the
    /// beginning of the file.
    public func chunks(
        _ name: String, from server: Server, options: Options = Options(), monitor: Monitor? = nil
    ) -> Chunks {
        Chunks(client: self, name: name, server: server, options: options, monitor: monitor)
    }

    // MARK: Put

    /// Puts bytes under a name.
    ///
    /// Returns when the server has acknowledged all of them.
    public func put(
        _ bytes: [UInt8], as name: String, to server: Server, options: Options = Options(),
        monitor: Monitor? = nil
    ) async throws -> Summary {
        let exchange = try await begin(
            .wrq, name, server, options, byteCount: UInt64(bytes.count), monitor)
        return try await exchange.send { writer in
            try await writer.write(bytes)
        }
    }

    /// Puts a file under a name.
    ///
    /// - Throws: among others `Failure.file` if the file cannot be read, and
    ///   `Failure.sourceChanged` if its size at the end differs from its size at the beginning.
    public func put(
        contentsOf path: FilePath, as name: String, to server: Server,
        options: Options = Options(), monitor: Monitor? = nil
    ) async throws -> Summary {
        try await onOwnThread {
            let source = try self.telling(monitor) { try FileSource(path) }
            defer { source.close() }
            return try await self.put(
                source, as: name, to: server, options: options, monitor: monitor)
        }
    }

    /// Puts the rest of an open file from its current position: standard input, a pipe, a socket.
    ///
    /// The file stays open. If it is not a regular file, the server is not told the size, and
    /// content may come as slowly as the server or `Options.sourcePatience` allows.
    public func put(
        contentsOf file: FileDescriptor, as name: String, to server: Server,
        options: Options = Options(), monitor: Monitor? = nil
    ) async throws -> Summary {
        try await onOwnThread {
            let source = try self.telling(monitor) { try FileSource(descriptor: file) }
            return try await self.put(
                source, as: name, to: server, options: options, monitor: monitor)
        }
    }

    private func put(
        _ source: FileSource, as name: String, to server: Server, options: Options,
        monitor: Monitor?
    ) async throws -> Summary {
        var source = source
        source.monitor = monitor
        let exchange = try await begin(
            .wrq, name, server, options, byteCount: source.byteCount, monitor,
            readsAfterAnswer: source.isStream)
        return try await exchange.send { writer in
            try await writer.write(source)
        }
    }

    /// Puts what a sequence produces, piece by piece, under a name. The server is not told the
    /// size.
    ///
    /// The sequence is read only when there is room. If it throws, the server gets an ERROR and the
    /// error is rethrown. Its pieces may come as slowly as the server or `Options.sourcePatience`
    /// allows; if the transfer ends first, the task that reads it is cancelled.
    public func put<Content: AsyncSequence & SendableMetatype>(
        _ content: sending Content, as name: String, to server: Server,
        options: Options = Options(),
        monitor: Monitor? = nil
    ) async throws -> Summary
    where
        Content.Element: Collection<UInt8> & SendableMetatype,
        Content.AsyncIterator: SendableMetatype
    {
        let exchange = try await begin(.wrq, name, server, options, byteCount: nil, monitor)
        return try await exchange.send(content)
    }
}
