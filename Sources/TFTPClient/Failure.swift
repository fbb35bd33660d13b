internal import SystemPackage
internal import TFTPCore
internal import TFTPServing
internal import TFTPWire

extension TFTPClient {
    /// Why a transfer failed. The description is one line that says what happened and what to do.
    public enum Failure: Error, Hashable, Sendable {
        /// The server has no file of that name (ERROR 1).
        case notFound(name: String)
        /// The server refused with another ERROR (RFC 1350 Appendix). The message is the server's.
        case refused(code: UInt16, message: String)
        /// The server was silent for this duration.
        case timedOut(Stage, after: Duration)
        /// The server's host reports that nothing listens on the port (any more): ICMP port
        /// unreachable.
        case unreachable(Stage)
        /// The server granted what was not asked for (RFC 2347).
        case negotiationFailed(String)
        /// The server does not seal transfers, or an attacker on the path has removed the seal from
        /// the request.
        case notSealed
        /// The server refuses the seal with an unencrypted ERROR, which an attacker may have
        /// forged.
        case sealRefused(code: UInt16, message: String)
        /// The server does not know the options `offset` and `length`: it would send the file from
        /// its beginning. Nothing was delivered.
        case rangeIgnored
        /// There was no room for the file: here, at `path`, or where `path` is nil at the server
        /// (ERROR 3).
        case diskFull(path: String?)
        /// The content is not what its SHA-256 says; both as hexadecimal digits.
        case verificationFailed(expected: String, actual: String)
        /// The file has more bytes than may be taken.
        case tooLarge(sizeMax: UInt64)
        /// The file had another number of bytes than the server's `tsize` said.
        case wrongSize(announced: UInt64, received: UInt64)
        /// The server sent what no server may.
        case protocolViolation(String)
        /// The server took block 0 after 65535 late, when it seemed to wait for 1: the file there
        /// may be wrong.
        case unclearRollover
        /// All was sent, but the last ACK never came: the file may be complete at the server, or
        /// not.
        case unacknowledged
        /// A local file cannot be opened, read, written or renamed.
        case file(path: String, problem: String)
        /// What was put had another size at the end than in the beginning.
        case sourceChanged(path: String)
        /// No content came to be sent for longer than `Options.sourcePatience`.
        case sourceStalled(after: Duration)
        /// The host's name is not known.
        case unknownHost(String)
        /// What was given is not the address of a server.
        case invalidServer(String)
        /// A request cannot carry the name.
        case invalidName(String)
        /// The options exclude each other, or are out of their range.
        case invalidOptions(String)
        /// This number of transfers of this client are under way already.
        case tooManyTransfers(max: Int)
        /// The system refused what is needed: a ring, a thread, a socket, a way to the server.
        case system(String)
        /// The client was closed.
        case closed

        /// What the server left out.
        public enum Stage: Hashable, Sendable {
            /// Any answer to the request.
            case request
            /// What follows after this number of bytes.
            case transfer(byteCount: UInt64)
        }
    }
}

extension TFTPClient.Failure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notFound(let name):
            return
                "the server has no file \(PrintableName.quoted(name)). Check the name; most servers mind the case."
        case .refused(let code, let message):
            return "the server refuses: \(text(of: code, message)). Ask the server's administrator."
        case .timedOut(.request, let time):
            return "no answer within \(seconds(time)). Check address, port and firewall."
        case .timedOut(.transfer(let byteCount), let time):
            return """
                the server fell silent for \(seconds(time)) after \(byteCount) bytes. Try again, with a smaller blksize \
                or windowsize if it happens again.
                """
        case .unreachable(.request):
            return
                "nothing listens at that port. Check the address, the port, and whether the server runs."
        case .unreachable(.transfer(let byteCount)):
            return "the server has ended after \(byteCount) bytes. Try again when it runs."
        case .negotiationFailed(let problem):
            return "the server's OACK is wrong: \(problem). Try without options."
        case .notSealed:
            return """
                the server answers without a seal. Give it the key; if it has the key, look for an attacker on the path.
                """
        case .sealRefused(let code, let message):
            return """
                the server refuses the seal: \(text(of: code, message)). Check that it seals, and has the same key under the \
                same ID.
                """
        case .rangeIgnored:
            return "the server cannot send a part of a file. Get the whole file."
        case .diskFull(let path?):
            return "no room left for \(path). Make room, or write somewhere else."
        case .diskFull(nil):
            return "the server has no room for the file (ERROR 3). Make room there."
        case .verificationFailed(let expected, let actual):
            return
                "SHA-256 is \(actual), not \(expected). No file was kept; get it from its source again."
        case .tooLarge(let sizeMax):
            return
                "the file is larger than the \(sizeMax) bytes that may be taken. Raise the limit if it should be."
        case .wrongSize(let announced, let received):
            return received > announced
                ? "the server announced \(announced) bytes and sends more. The file may be growing: try again."
                : "the server announced \(announced) bytes and sent \(received). The file may have changed: try again."
        case .protocolViolation(let problem):
            return "the server breaks the protocol: \(problem). Try without options."
        case .unclearRollover:
            return """
                whether the server counts on with 0 or 1 after block 65535 is not clear, and the file there may be wrong. \
                Try again, with a larger blksize.
                """
        case .unacknowledged:
            return
                "the server never acknowledged the last block. Look whether the file is complete there."
        case .file(let path, let problem):
            return "\(path): \(problem)."
        case .sourceChanged(let path):
            return
                "\(path) changed while it was being sent. Retry once the file is no longer being modified."
        case .sourceStalled(let time):
            return "the source delivered no content for \(seconds(time)). Check the source."
        case .unknownHost(let host):
            return "no such host: \(host). Check the name, or give an address."
        case .invalidServer(let text):
            return "invalid server address '\(text)'. Give HOST, HOST:PORT or [ADDRESS]:PORT."
        case .invalidName(let name):
            return """
                "\(name)" is not a valid file name: 1 to \(ClientRequest.nameByteCountMax) bytes, no NUL.
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
        message.isEmpty ? "ERROR \(code)" : "ERROR \(code) \(PrintableName.quoted(message))"
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
        case .unsealed: self = .notSealed
        case .sealRefused(let code, let message):
            self = .sealRefused(code: code.rawValue, message: message)
        case .noAnswer(let time): self = .timedOut(.request, after: .milliseconds(time))
        case .silence(let time, let byteCount):
            self = .timedOut(.transfer(byteCount: byteCount), after: .milliseconds(time))
        case .unreachable(nil): self = .unreachable(.request)
        case .unreachable(let byteCount?):
            self = .unreachable(.transfer(byteCount: byteCount))
        case .unclearRollover: self = .unclearRollover
        case .unacknowledged: self = .unacknowledged
        case .negotiation(.ignored): self = .rangeIgnored
        case .negotiation(let error): self = .negotiationFailed(error.text)
        case .overlongBlock(let byteCount, let blksize):
            self = .protocolViolation("a block of \(byteCount) bytes where \(blksize) were agreed")
        case .tooLarge(let byteCountMax): self = .tooLarge(sizeMax: byteCountMax)
        case .wrongSize(let announced, let byteCount):
            self = .wrongSize(announced: announced, received: byteCount)
        case .sourceStalled(let time): self = .sourceStalled(after: .milliseconds(time))
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
        case .ignored(let name): "\(name) is left out"
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
