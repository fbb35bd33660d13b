internal import SystemPackage
internal import TFTPShard
internal import TFTPWire

extension TFTPClient {
    /// Why a transfer failed. The description is one line that says what happened and what to do.
    public enum Failure: Error, Hashable, Sendable {
        /// The server has no file of that name (ERROR 1).
        case notFound(name: String)
        /// The server refused with another ERROR (RFC 1350 Appendix). The message is the server's.
        case refused(code: UInt16, message: String)
        /// The server was silent for so long.
        case timedOut(Stage, after: Duration)
        /// The server granted what was not asked for (RFC 2347).
        case negotiationFailed(String)
        /// There was no room for the file: here, at `path`, or where `path` is nil at the server (ERROR 3).
        case diskFull(path: String?)
        /// The content is not what its SHA-256 says; both as hexadecimal digits.
        case verificationFailed(expected: String, actual: String)
        /// The file has more bytes than may be taken.
        case tooLarge(sizeMax: UInt64)
        /// The file had another number of bytes than the server's `tsize` said.
        case wrongSize(announced: UInt64, received: UInt64)
        /// The server sent what no server may.
        case protocolViolation(String)
        /// All was sent, but the last ACK never came: the file may be complete at the server, or not.
        case unacknowledged
        /// A file here can not be opened, read, written or renamed.
        case file(path: String, problem: String)
        /// What was put had another size at the end than in the beginning.
        case sourceChanged(path: String)
        /// No content came for longer than the patience.
        case sourceStalled
        /// The host's name is not known.
        case unknownHost(String)
        /// What was given is no server.
        case invalidServer(String)
        /// The name is none that a request can carry.
        case invalidName(String)
        /// The options exclude each other, or are out of their range.
        case invalidOptions(String)
        /// So many transfers of this client are under way already.
        case tooManyTransfers(max: Int)
        /// The system refused what is needed: a ring, a thread, a socket, a way to the server.
        case system(String)
        /// The client was closed.
        case closed

        /// What the server left out.
        public enum Stage: Hashable, Sendable {
            /// Any answer to the request.
            case request
            /// What follows after so many bytes.
            case transfer(byteCount: UInt64)
        }
    }
}

extension TFTPClient.Failure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notFound(let name):
            return "the server has no file \"\(name)\". Check the name; most servers mind the case."
        case .refused(let code, let message):
            return "the server refuses: \(text(of: code, message)). Ask who runs it."
        case .timedOut(.request, let time):
            return "no answer within \(seconds(time)). Check address, port and firewall."
        case .timedOut(.transfer(let byteCount), let time):
            return """
                the server fell silent for \(seconds(time)) after \(byteCount) bytes. Try again, with a smaller blksize \
                or windowsize if it happens again.
                """
        case .negotiationFailed(let problem):
            return "the server's OACK is wrong: \(problem). Try without options."
        case .diskFull(let path?):
            return "no room left for \(path). Make room, or write somewhere else."
        case .diskFull(nil):
            return "the server has no room for the file (ERROR 3). Make room there."
        case .verificationFailed(let expected, let actual):
            return
                "SHA-256 is \(actual), not \(expected). The file was not kept; get it from its source again."
        case .tooLarge(let sizeMax):
            return
                "the file is larger than the \(sizeMax) bytes that may be taken. Raise the limit if it should be."
        case .wrongSize(let announced, let received):
            return received > announced
                ? "the server announced \(announced) bytes and sends more. The file may be growing: try again."
                : "the server announced \(announced) bytes and sent \(received). The file may have changed: try again."
        case .protocolViolation(let problem):
            return "the server breaks the protocol: \(problem). Try without options."
        case .unacknowledged:
            return
                "the server never acknowledged the last block. Look whether the file is complete there."
        case .file(let path, let problem):
            return "\(path): \(problem)."
        case .sourceChanged(let path):
            return "\(path) changed while it was being sent. Send it again when it rests."
        case .sourceStalled:
            return "no content came to be sent. Look at where it comes from."
        case .unknownHost(let host):
            return "there is no host \"\(host)\". Check the name, or give an address."
        case .invalidServer(let text):
            return "'\(text)' is no server. Give HOST, HOST:PORT or [ADDRESS]:PORT."
        case .invalidName(let name):
            return """
                "\(name)" is no name for a file: 1 to \(ClientRequest.nameByteCountMax) bytes, no NUL.
                """
        case .invalidOptions(let problem):
            return "\(problem)."
        case .tooManyTransfers(let max):
            return "\(max) transfers are under way already. Wait for one, or allow more."
        case .system(let problem):
            return problem
        case .closed:
            return "the client was closed."
        }
    }

    private func text(of code: UInt16, _ message: String) -> String {
        message.isEmpty ? "ERROR \(code)" : "ERROR \(code) \"\(message)\""
    }

    private func seconds(_ time: Duration) -> String {
        let milliseconds = Int((time / .milliseconds(1)).rounded())
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }
}

extension TFTPClient.Failure {
    /// - Parameter name: what was asked for.
    init(_ failure: ClientFailure, name: String) {
        switch failure {
        case .refused(.fileNotFound, _): self = .notFound(name: name)
        case .refused(.diskFull, _): self = .diskFull(path: nil)
        case .refused(let code, let message): self = .refused(code: code.rawValue, message: message)
        case .noAnswer(let time): self = .timedOut(.request, after: .milliseconds(time))
        case .silence(let time, let byteCount):
            self = .timedOut(.transfer(byteCount: byteCount), after: .milliseconds(time))
        case .unacknowledged: self = .unacknowledged
        case .negotiation(let error): self = .negotiationFailed(error.text)
        case .overlongBlock(let byteCount, let blksize):
            self = .protocolViolation("a block of \(byteCount) bytes where \(blksize) were agreed")
        case .tooLarge(let byteCountMax): self = .tooLarge(sizeMax: byteCountMax)
        case .wrongSize(let announced, let byteCount):
            self = .wrongSize(announced: announced, received: byteCount)
        case .sourceStalled: self = .sourceStalled
        case .tooManyTransfers(let max): self = .tooManyTransfers(max: max)
        case .system(let errno): self = .system(errno.text)
        case .cancelled, .closed: self = .closed
        }
    }
}

extension NegotiationError {
    fileprivate var text: String {
        switch self {
        case .unasked(let name): "\(name) was not asked for"
        case .raised(let name): "\(name) is larger than was asked"
        case .changed(let name): "\(name) is another than was asked"
        case .outOfRange(let name): "\(name) is out of its range"
        }
    }
}

extension Errno {
    /// What to do about a socket or a send that the system refused.
    fileprivate var text: String {
        switch self {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
            "no socket: \(self). Raise 'ulimit -n', or run fewer transfers at once."
        case .networkUnreachable, .noRouteToHost:
            "no way to the server: \(self). Check the address and the routes."
        case .notPermitted, .permissionDenied:
            "the request was not let out: \(self). Check the firewall."
        default: "the system refuses: \(self)."
        }
    }
}
