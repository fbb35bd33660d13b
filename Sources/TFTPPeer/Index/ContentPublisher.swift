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
        case refused(path: String, status: Int)
        case unreachable(String)
        /// The file has been written to while it was published.
        case changed(path: String)

        /// One line.
        public var description: String {
            switch self {
            case .invalidDestination(let text): "'\(text)' is not a bucket"
            case .unreadable(let path): "'\(path)' cannot be read"
            case .invalidName(let name): "no client can ask for '\(name)'"
            case .refused(let path, let status): "'\(path)' is refused with status \(status)"
            case .changed(let path): "'\(path)' changes while it is published; publish it again"
            case .unreachable(let text): "the bucket cannot be written to: \(text)"
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
        let root = URL(filePath: folder, directoryHint: .isDirectory)
        var files: [SetIndex.File] = []
        var sentCount = 0
        for name in try ContentPublisher.names(in: root) {
            let (file, isSent) = try await put(root.appending(path: name), name)
            files.append(file)
            if isSent { sentCount += 1 }
        }
        let text = SetIndex(set: set, files: files).text
        let signed = try key.map { try Signature.sign(text, with: $0) } ?? text
        try await put(Array(signed.utf8), to: SetIndex.path(of: set))
        return (files.count, sentCount)
    }

    private static func names(in root: URL) throws -> [String] {
        guard let paths = try? FileManager.default.subpathsOfDirectory(atPath: root.path) else {
            throw Failure.unreadable(path: root.path)
        }
        var names: [String] = []
        for name in paths {
            var status = stat()
            guard unsafe lstat(root.appending(path: name).path, &status) == 0,
                status.st_mode & S_IFMT == S_IFREG
            else { continue }
            guard PeerName.isFile(name), !name.contains("\n") else {
                throw Failure.invalidName(name)
            }
            names.append(name)
        }
        return names.sorted()
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
            guard !FileManager.default.fileExists(atPath: place.path) else { return (file, false) }
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
            if try await client.has(url, size: file.size, in: bucket) { return (file, false) }
            let chunks = FileChunks(path: path, file: file)
            try await send(
                .stream(chunks, length: .known(Int64(file.size))), "\(file.digest)", to: url,
                target, client, bucket)
        }
        return (file, true)
    }

    private func put(_ bytes: [UInt8], to name: String) async throws {
        switch target {
        case .folder(let root):
            try write(to: root.appending(path: name)) { try Data(bytes).write(to: $0) }
        case .web(let base, let client, let bucket):
            try await send(
                .bytes(ByteBuffer(bytes: bytes)), "\(Digest(of: bytes))", to: try url(base, name),
                name, client, bucket)
        }
    }

    private func url(_ base: WebURL, _ name: String) throws -> WebURL {
        guard let url = base.appending(name, encoder: S3Bucket.encoded) else {
            throw Failure.invalidName(name)
        }
        return url
    }

    private func send(
        _ body: HTTPClientRequest.Body, _ digest: String, to url: WebURL, _ name: String,
        _ client: WebClient, _ bucket: String
    ) async throws {
        let status: Int
        do {
            status = try await client.put(url, body, digest: digest, in: bucket)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure.unreachable("\(SourceFailure(error))")
        }
        guard (200..<300).contains(status) else {
            throw Failure.refused(path: name, status: status)
        }
    }

    /// Beside its name first, so that a web server never has half of it.
    private func write(to place: URL, _ body: (URL) throws -> Void) throws {
        try FileManager.default.createDirectory(
            at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
        let hidden = place.deletingLastPathComponent().appending(
            path: ".\(place.lastPathComponent).\(UInt64.random(in: 0...UInt64.max))")
        do {
            try body(hidden)
            guard unsafe rename(hidden.path, place.path) == 0 else {
                throw Errno(rawValue: errno)
            }
        } catch {
            try? FileManager.default.removeItem(at: hidden)
            throw error
        }
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

    /// The status of a PUT that is signed as S3 wants it.
    fileprivate func put(
        _ url: WebURL, _ body: HTTPClientRequest.Body, digest: String, in bucket: String
    ) async throws -> Int {
        var request = HTTPClientRequest(url: url.text)
        request.method = .PUT
        request.body = body
        request.headers = signed("PUT", url, digest, bucket)
        let response = try await client.execute(request, timeout: WebClient.putDuration)
        return Int(response.status.code)
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
