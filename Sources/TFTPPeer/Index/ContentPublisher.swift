internal import AsyncHTTPClient
internal import FoundationEssentials
internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import SystemPackage
internal import TFTPFetch
internal import TFTPStore

internal import struct Crypto.SHA256

/// Puts a folder where nodes fetch it by digest: `blobs/sha256/HEX` for each content and
/// `index/SET` for the whole, in a folder that a web server has, or in a bucket. Contents that are
/// there already are not sent again; the index comes last.
public struct ContentPublisher: Sendable {
    /// Where to.
    public enum Destination: Sendable {
        case folder(String)
        /// `s3://BUCKET[/PREFIX]`.
        case bucket(String)
    }

    /// Why a folder is not published.
    public enum Failure: Error, Hashable, CustomStringConvertible {
        case invalidDestination(String)
        case unreadable(path: String)
        /// A name that no line of an index can have, or no client may ask for.
        case invalidName(String)
        /// The bucket cannot be read or written to.
        case unusable(place: String, reason: String)
        /// There is a snapshot of that name that has other content.
        case exists(set: String)
        /// A symbolic link that does not lead to a file of the folder.
        case invalidLink(String)
        /// Neither a file nor a folder nor a link.
        case notFile(String)
        /// A name in there is not UTF-8.
        case notText(folder: String)
        /// The file has been written to while it was published.
        case changed(path: String)

        /// One line.
        public var description: String {
            switch self {
            case .invalidDestination(let text): "'\(text)' is not a bucket"
            case .unreadable(let path): "'\(path)' cannot be read"
            case .invalidName(let name): "no client can ask for '\(name)'"
            case .unusable(let place, let reason): "\(place) cannot be written to: \(reason)"
            case .exists(let set):
                "there is a snapshot '\(set)' already, with other content, and none is ever changed; give another name"
            case .invalidLink(let name):
                "the link '\(name)' does not lead to a file of the folder; put the file in its place"
            case .notFile(let name): "'\(name)' is not a file, folder or link; remove it"
            case .notText(let folder): "a name in '\(folder)' is not UTF-8; rename it"
            case .changed(let path): "'\(path)' changes while it is published; publish it again"
            }
        }
    }

    private enum Target: Sendable {
        case folder(URL)
        /// `bucket`: as it was given, by which its credential is found.
        case web(WebURL, WebClient, bucket: String)
    }

    private let target: Target
    private let key: PeerNode.SigningKey?

    /// - Parameter key: what the index is signed with.
    public init(
        _ destination: Destination, access: PeerNode.OriginAccess, key: PeerNode.SigningKey?
    ) throws {
        self.key = key
        switch destination {
        case .folder(let path): target = .folder(URL(filePath: path, directoryHint: .isDirectory))
        case .bucket(let text):
            guard let bucket = S3Bucket(text) else { throw Failure.invalidDestination(text) }
            target = .web(try bucket.url(access), try WebClient(access), bucket: text)
        }
    }

    /// Publishes `folder` under the name of a snapshot.
    ///
    /// - Returns: how many files it has, and how many contents were sent.
    public func publish(_ folder: String, as set: String) async throws -> (files: Int, sent: Int) {
        guard SnapshotLayout.isName(set) else { throw Failure.invalidName(set) }
        let source = try PublishedFolder(folder)
        let root = URL(filePath: source.path, directoryHint: .isDirectory)
        var files: [SetIndex.File] = []
        var sentCount = 0
        for name in try source.names() {
            let (file, isSent) = try await put(root.appending(path: name), name)
            files.append(file)
            if isSent { sentCount += 1 }
        }
        let index = SetIndex(set: set, files: files)
        let signed = try key.map { try Signature.sign(index.text, with: $0) } ?? index.text
        try await put(Array(signed.utf8), index)
        return (files.count, sentCount)
    }

    /// Reads a file to its end.
    ///
    /// - Parameter sink: takes its pieces.
    /// - Returns: what has been read.
    private static func read(
        _ path: URL, _ name: String, _ sink: ([UInt8]) throws -> Void = { _ in }
    ) throws -> SetIndex.File {
        guard let opened = try? LocalFile(reading: path.path) else {
            throw Failure.unreadable(path: path.path)
        }
        var hash = SHA256()
        var size: UInt64 = 0
        while true {
            let piece = try opened.read(upToCount: FileChunks.byteCount)
            if piece.isEmpty { break }
            hash.update(data: piece)
            size += UInt64(piece.count)
            try sink(piece)
        }
        return SetIndex.File(name: name, size: size, digest: Digest(Array(hash.finalize())))
    }

    /// Puts the content of a file where its digest says, unless it is there.
    ///
    /// - Returns: what has been put, and whether it had to be sent.
    private func put(_ path: URL, _ name: String) async throws -> (SetIndex.File, isSent: Bool) {
        let file = try ContentPublisher.read(path, name)
        let target = SetIndex.path(of: file.digest)
        switch self.target {
        case .folder(let root):
            let place = root.appending(path: target)
            // A shorter one was left by a power failure.
            guard ContentPublisher.size(of: place) != file.size else { return (file, false) }
            try write(to: place) { hidden in
                // What is copied is hashed, for the file may have been written to since.
                guard let copy = try? LocalFile(writing: hidden.path) else {
                    throw Failure.unreadable(path: hidden.path)
                }
                let copied = try ContentPublisher.read(path, name) { try copy.write($0) }
                guard copied == file else { throw Failure.changed(path: path.path) }
            }
        case .web(let base, let client, let bucket):
            let url = try url(base, target)
            let isThere = try await attempt(base, bucket) {
                try await client.has(url, size: file.size, in: bucket)
            }
            if isThere { return (file, false) }
            let chunks = FileChunks(path: path, file: file)
            try await send(
                .stream(chunks, length: .known(Int64(file.size))), "\(file.digest)", to: url, base,
                client, bucket)
        }
        return (file, true)
    }

    /// Puts an index where its name says, unless there is another one: what nodes have fetched by a
    /// name stays what they get by it.
    private func put(_ bytes: [UInt8], _ index: SetIndex) async throws {
        let name = SetIndex.path(of: index.set)
        switch target {
        case .folder(let root):
            let place = root.appending(path: name)
            if let old = FileManager.default.contents(atPath: place.path) {
                try ContentPublisher.compare(Array(old), with: index)
            }
            // What it names has to survive a power failure that it survives.
            for folder in ["blobs/sha256", "blobs", ""] {
                try? ContentPublisher.synchronise(root.appending(path: folder))
            }
            try write(to: place) { try Data(bytes).write(to: $0) }
        case .web(let base, let client, let bucket):
            let url = try url(base, name)
            let old = try await attempt(base, bucket) {
                try await client.content(url, SetIndex.byteCountMax, in: bucket)
            }
            if let old { try ContentPublisher.compare(old, with: index) }
            try await send(
                .bytes(ByteBuffer(bytes: bytes)), "\(Digest(of: bytes))", to: url, base, client,
                bucket, isNew: old == nil)
        }
    }

    /// A signature may be another one.
    private static func compare(_ old: [UInt8], with index: SetIndex) throws(Failure) {
        guard SetIndex(String(decoding: old, as: UTF8.self)) == index else {
            throw .exists(set: index.set)
        }
    }

    private static func size(of file: URL) -> UInt64? {
        var status = stat()
        guard unsafe stat(file.path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return UInt64(status.st_size)
    }

    private func url(_ base: WebURL, _ name: String) throws -> WebURL {
        guard let url = base.appending(name, encoder: S3Bucket.encoded) else {
            throw Failure.invalidName(name)
        }
        return url
    }

    /// - Parameter isNew: there is to be nothing of that name, where the service can tell.
    private func send(
        _ body: HTTPClientRequest.Body, _ digest: String, to url: WebURL, _ base: WebURL,
        _ client: WebClient, _ bucket: String, isNew: Bool = false
    ) async throws {
        let (status, code) = try await attempt(base, bucket) {
            try await client.put(url, body, digest: digest, isNew: isNew, in: bucket)
        }
        guard !(200..<300).contains(status) else { return }
        if isNew, status == 412 || status == 409 {
            throw Failure.exists(set: String(url.path.split(separator: "/").last ?? ""))
        }
        let isDenied = [301, 400, 401, 403, 404].contains(status)
        throw unusable(
            base, bucket, isDenied ? .denied(status: status, code: code) : .status(status))
    }

    private func attempt<Value: Sendable>(
        _ base: WebURL, _ bucket: String, _ body: () async throws -> Value
    ) async throws -> Value {
        do {
            return try await body()
        } catch let failure as Failure {
            throw failure
        } catch {
            throw unusable(base, bucket, SourceFailure(error))
        }
    }

    private func unusable(
        _ base: WebURL, _ bucket: String, _ failure: SourceFailure
    ) -> Failure {
        .unusable(place: "'\(bucket)' (\(base.text))", reason: "\(failure)")
    }

    /// Beside its name first, so that a web server never has half of it.
    private func write(to place: URL, _ body: (URL) throws -> Void) throws {
        try FileManager.default.createDirectory(
            at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        let hidden = place.deletingLastPathComponent().appending(
            path: ".\(place.lastPathComponent).\(UInt64.random(in: 0...UInt64.max))")
        do {
            try body(hidden)
            try ContentPublisher.synchronise(hidden)
            guard unsafe rename(hidden.path, place.path) == 0 else {
                throw Errno(rawValue: errno)
            }
            try ContentPublisher.synchronise(place.deletingLastPathComponent())
        } catch {
            try? FileManager.default.removeItem(at: hidden)
            throw error
        }
    }
}

extension ContentPublisher {
    /// Returns when a file, or the names in a folder, would survive a power failure.
    private static func synchronise(_ place: URL) throws {
        let descriptor = unsafe open(place.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Errno(rawValue: errno) }
    }
}

/// A file, a MiB at a time, to its end; it fails there if it is not the file that was announced.
private struct FileChunks: AsyncSequence, Sendable {
    let path: URL
    let file: SetIndex.File

    static let byteCount = 1 << 20

    func makeAsyncIterator() -> Iterator {
        Iterator(opened: try? LocalFile(reading: path.path), path: path.path, file: file)
    }

    struct Iterator: AsyncIteratorProtocol {
        let opened: LocalFile?
        let path: String
        let file: SetIndex.File
        private var hash = SHA256()
        private var byteCount: UInt64 = 0

        init(opened: LocalFile?, path: String, file: SetIndex.File) {
            (self.opened, self.path, self.file) = (opened, path, file)
        }

        mutating func next() async throws -> ByteBuffer? {
            guard let opened else {
                throw ContentPublisher.Failure.unreadable(path: path)
            }
            let piece = try opened.read(upToCount: FileChunks.byteCount)
            hash.update(data: piece)
            byteCount += UInt64(piece.count)
            let isRight =
                piece.isEmpty
                ? Array(hash.finalize()) == file.digest.bytes : byteCount <= file.size
            guard isRight else { throw ContentPublisher.Failure.changed(path: path) }
            return piece.isEmpty ? nil : ByteBuffer(bytes: piece)
        }
    }
}

extension WebClient {
    private static let putDuration = TimeAmount.hours(1)
    private static let errorByteCountMax = 64 << 10

    /// The status of a PUT that is signed as S3 wants it, and the service's word for an error.
    fileprivate func put(
        _ url: WebURL, _ body: HTTPClientRequest.Body, digest: String, isNew: Bool,
        in bucket: String
    ) async throws -> (status: Int, code: String?) {
        var request = HTTPClientRequest(url: url.text)
        request.method = .PUT
        request.body = body
        request.headers = signed("PUT", url, digest, bucket)
        // A service that does not know the condition takes the index as well (RFC 9110 §13.1.2).
        if isNew { request.headers.add(name: "If-None-Match", value: "*") }
        let response = try await client.execute(request, timeout: WebClient.putDuration)
        guard response.status.code >= 300 else { return (Int(response.status.code), nil) }
        let text = try? await response.body.collect(upTo: WebClient.errorByteCountMax)
        return (
            Int(response.status.code), text.flatMap { S3Bucket.errorCode(String(buffer: $0)) }
        )
    }

    /// What a bucket has there; nil for nothing, or nothing that may be read.
    fileprivate func content(
        _ url: WebURL, _ byteCountMax: Int, in bucket: String
    ) async throws -> [UInt8]? {
        var request = HTTPClientRequest(url: url.text)
        request.headers = signed("GET", url, "\(Digest(of: []))", bucket)
        let response = try await client.execute(request, timeout: .seconds(60))
        guard response.status == .ok else { return nil }
        return Array(buffer: try await response.body.collect(upTo: byteCountMax))
    }

    /// Whether there is something of that size.
    fileprivate func has(_ url: WebURL, size: UInt64, in bucket: String) async throws -> Bool {
        var request = HTTPClientRequest(url: url.text)
        request.method = .HEAD
        request.headers = signed("HEAD", url, "\(Digest(of: []))", bucket)
        let response = try await client.execute(request, timeout: .seconds(30))
        return response.status == .ok
            && response.headers.first(name: "Content-Length").flatMap { UInt64($0) } == size
    }

    private func signed(
        _ method: String, _ url: WebURL, _ digest: String, _ bucket: String
    ) -> HTTPHeaders {
        var fields = HTTPHeaders(access.fields.map { ($0.name, $0.value) })
        guard case .s3(let key) = access.credential(for: bucket)?.kind else { return fields }
        let signed = key.fields(
            for: url, method: method, digest: digest, region: access.s3Region, at: Date())
        for field in signed { fields.replaceOrAdd(name: field.name, value: field.value) }
        return fields
    }
}
