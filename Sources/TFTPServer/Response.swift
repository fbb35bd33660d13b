internal import TFTPReactor
internal import TFTPStore
internal import TFTPWire

extension TFTPServer {
    /// What a `get` handler makes of an RRQ.
    ///
    ///     { request in
    ///         switch request.name {
    ///         case "motd": .text("hello, \(request.client.address)\n")
    ///         case "log": .stream { writer in
    ///             for await line in lines { try await writer.write(line.utf8) }
    ///         }
    ///         case "secret": .refused("not for you")
    ///         default: .file
    ///         }
    ///     }
    public struct Response: Sendable {
        enum Kind: Sendable {
            case file
            case bytes([UInt8], key: String?)
            case stream(size: UInt64?, key: String?, @Sendable (Writer) async throws -> Void)
            case refused(ErrorCode, String)
        }

        let kind: Kind

        /// What the folder has under the name that was asked for, as if there were no handler.
        public static let file = Response(kind: .file)

        /// ERROR 1, "File not found".
        public static let notFound = Response(kind: .refused(.fileNotFound, "File not found"))

        /// Refuses the request with an ERROR.
        ///
        /// - Parameters:
        ///   - text: for the user at the client's screen; cut after 239 bytes of UTF-8.
        ///   - code: what boot loaders go by.
        public static func refused(
            _ text: String = "Access violation", code: ErrorCode = .accessViolation
        ) -> Response { Response(kind: .refused(code, text)) }

        /// These bytes, and their number as `tsize`.
        ///
        /// They are copied into the server's memory for images, once for a request, and leave it
        /// when the transfer has ended. Half of that memory is for what handlers supply: a request
        /// that finds it taken gets ERROR 0 "Server busy, try again", and a line in the log says
        /// so.
        ///
        /// - Parameters:
        ///   - bytes: the content, all of it.
        ///   - key: requests answered with the same key share one copy, and it stays as long as
        ///     there is room. It must name the content, not the file: put a version, a hash or an
        ///     ETag in it.
        public static func bytes(_ bytes: some Sequence<UInt8>, key: String? = nil) -> Response {
            Response(kind: .bytes(Array(bytes), key: key))
        }

        /// A text in UTF-8; as `bytes` else.
        public static func text(_ text: String, key: String? = nil) -> Response {
            bytes(text.utf8, key: key)
        }

        /// Streams what `body` writes while it is being written.
        ///
        /// `body` runs at most 8 MiB ahead of what the client has acknowledged, less if memory is
        /// short, and 1 MiB until the first acknowledgement; `write` waits meanwhile. `body` is
        /// cancelled when the client ends the transfer or times out, when a client waits for the
        /// next bytes for longer than `Configuration.handlerTimeout`, and when it has not returned
        /// within that time after the last byte. When it throws, the client gets ERROR 0 in place
        /// of the rest.
        ///
        /// Each stream takes 2 MiB of the half of `Configuration.cacheSize` that is for handlers. A
        /// request that finds none left gets ERROR 0 "Server busy, try again", and the log says so.
        ///
        /// - Parameters:
        ///   - size: number of bytes. Without it the client gets no `tsize` (RFC 2349), which GRUB
        ///     and Windows require, and the content ends at 4 GiB. With it, more or fewer bytes are
        ///     an error.
        ///   - key: as with `bytes`: if content with this key is present or on its way, `body` is
        ///     not called. Shared content is kept as a whole. Content with a `size` is shared only
        ///     if it fits into the free part of the half of `cacheSize` that is for handlers; else
        ///     each client gets a stream of its own. If content without a `size` turns out not to
        ///     fit, `write` throws `WriteError.noRoomToShare`, and clients get ERROR 0. Give the
        ///     size, or no key.
        ///   - body: writes the content, from its beginning on, and returns when it has written
        ///     all.
        public static func stream(
            size: UInt64? = nil, key: String? = nil,
            _ body: @escaping @Sendable (Writer) async throws -> Void
        ) -> Response { Response(kind: .stream(size: size, key: key, body)) }

        /// The chunks of `content`, one after the other, sent on as they come; see the other
        /// `stream`.
        public static func stream<Content: AsyncSequence & Sendable>(
            size: UInt64? = nil, key: String? = nil, _ content: Content
        ) -> Response where Content.Element: Sequence<UInt8> {
            stream(size: size, key: key) { writer in
                for try await chunk in content { try await writer.write(chunk) }
            }
        }
    }

    /// Takes the content of a stream.
    public struct Writer: Sendable {
        let supply: SupplyWriter
        let count: WrittenCount

        /// Hands the next bytes over, and returns when the server has room for more.
        ///
        /// Chunks of 64 KiB and more cost the least. One task at a time.
        ///
        /// - Throws: `CancellationError` if no client waits for the rest, or the body has returned
        ///   already; `WriteError` if the server cannot take these bytes, which ends the transfer.
        ///   Rethrow both.
        public func write(_ bytes: some Sequence<UInt8>) async throws {
            let bytes = Array(bytes)
            count.add(bytes.count)
            do {
                try await supply.write(bytes)
            } catch let error as SupplyError {
                throw WriteError(error) ?? CancellationError()
            }
        }
    }

    /// Why the server rejects the rest of a stream. The log says it too.
    public enum WriteError: Error, Hashable, CustomStringConvertible {
        /// The stream was to have a `size`, and this is beyond it.
        case moreThanAnnounced
        /// Content without a `size` ends at 4 GiB.
        case tooLarge
        /// Content with a key and without a `size` is more than can be kept: at most half of
        /// `Configuration.cacheSize`, less what is being sent of other handlers' content.
        case noRoomToShare

        init?(_ error: SupplyError) {
            switch error {
            case .unwanted: return nil
            case .moreThanAnnounced: self = .moreThanAnnounced
            case .tooLarge: self = .tooLarge
            case .noRoomToShare: self = .noRoomToShare
            }
        }

        /// One line that says what to do.
        public var description: String {
            switch self {
            case .moreThanAnnounced: "more bytes were written than announced"
            case .tooLarge: "a stream without a size is limited to 4 GiB"
            case .noRoomToShare:
                "a stream with a key and without a size does not fit into the free part of half of"
                    + " the cache; give it a size, or no key, or the server a larger cache"
            }
        }
    }
}
