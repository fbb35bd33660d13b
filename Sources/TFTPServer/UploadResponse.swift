internal import TFTPReactor

extension TFTPServer {
    /// What a `put` handler makes of a WRQ.
    ///
    ///     put: { upload in
    ///         guard upload.name.hasPrefix("crash/") else { return .refuse() }
    ///         return .redirect(to: "incoming/\(upload.client.address)", .overwrite)
    ///     }
    public struct UploadResponse: Sendable {
        enum Kind: Sendable {
            case store(name: String?, policy: Configuration.Upload?)
            case take(@Sendable (UploadBytes) async throws -> Void)
            case refuse(ErrorCode, String)
        }

        let kind: Kind

        /// Into the folder under the name that was asked for, by `Configuration.upload`: while that
        /// is `deny`, this is a refusal.
        public static let accept = UploadResponse(kind: .store(name: nil, policy: nil))

        /// Into the folder under the name that was asked for, whatever `Configuration.upload` says.
        public static func accept(_ policy: Configuration.Upload) -> UploadResponse {
            UploadResponse(kind: .store(name: nil, policy: policy))
        }

        /// Into the folder under another name.
        ///
        /// - Parameters:
        ///   - name: from the folder on. Nothing outside of it can be named; the directory must
        ///     exist.
        ///   - policy: nil is `Configuration.upload`.
        public static func redirect(
            to name: String, _ policy: Configuration.Upload? = nil
        ) -> UploadResponse { UploadResponse(kind: .store(name: name, policy: policy)) }

        /// Passes the bytes to `body` as they arrive.
        ///
        /// The client gets its last ACK when `body` has returned, so what it has done by then is
        /// what the client may rely on (RFC 1350 §6); it has a minute after the last byte for that.
        /// A slow `body` slows the client down. When it throws, the client gets ERROR 0; when the
        /// client ends the transfer or times out, `body` is cancelled. It may return before the
        /// end: the rest is received and discarded.
        public static func take(
            _ body: @escaping @Sendable (UploadBytes) async throws -> Void
        ) -> UploadResponse { UploadResponse(kind: .take(body)) }

        /// Refuses the upload with an ERROR.
        ///
        /// - Parameters:
        ///   - text: for the user at the client's screen; cut after 239 bytes of UTF-8.
        ///   - code: what the client goes by.
        public static func refuse(
            _ text: String = "Access violation", code: ErrorCode = .accessViolation
        ) -> UploadResponse { UploadResponse(kind: .refuse(code, text)) }
    }

    /// The bytes of an upload in order, in chunks of at most 64 KiB, netascii translated back. To
    /// be read once, by one task.
    ///
    /// The sequence ends with the upload. It throws `CancellationError` when the client has gone
    /// before.
    public struct UploadBytes: AsyncSequence, Sendable {
        let reader: UploadReader

        /// Begins to take the bytes.
        public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

        /// Takes chunk after chunk.
        public struct Iterator: AsyncIteratorProtocol {
            let reader: UploadReader

            /// The next chunk; nil after the last.
            ///
            /// - Throws: `CancellationError` when the client has gone.
            public mutating func next() async throws -> [UInt8]? { try await reader.next() }
        }
    }
}
