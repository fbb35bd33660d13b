internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPServer

/// `--control`, for commands that ask a running server.
struct ControlOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Control socket of the server. (default: /run/bootstorm/control.sock, else in $XDG_RUNTIME_DIR)",
            valueName: "path"))
    var control: String?

    func validate() throws {
        if let control, control.isEmpty {
            throw ValidationError("--control needs a path, for instance \(ControlPath.system).")
        }
    }

    /// Connects, asks, and hands each line of the answer to `body` until it returns false or the
    /// server has no more.
    ///
    /// - Parameter secondsMax: how long the server may be silent; nil: for ever.
    /// - Throws: `ControlError`.
    func ask(
        _ request: ControlRequest, secondsMax: Int? = nil, _ body: (ControlReply) throws -> Bool
    ) throws {
        let path = control ?? ControlPath.usual(isServer: false) ?? ControlPath.system
        var socket = try ControlSocket.connect(to: path)
        defer { socket.end() }
        if let secondsMax { socket.limit(seconds: secondsMax) }
        guard socket.write(line: Array(try JSONEncoder().encode(request))) else {
            throw ControlError.ended
        }
        while let line = socket.readLine() {
            let reply = try JSONDecoder().decode(ControlReply.self, from: Data(line))
            if let error = reply.error { throw ControlError.refused(error) }
            guard try body(reply) else { return }
        }
    }

    /// A server that reads a large configuration again takes seconds.
    private static let answerSecondsMax = 30

    /// The only line of an answer.
    func answer(to request: ControlRequest) throws -> ControlReply {
        var answer: ControlReply?
        try ask(request, secondsMax: ControlOption.answerSecondsMax) { reply in
            answer = reply
            return false
        }
        guard let answer else { throw ControlError.ended }
        return answer
    }
}

/// Runs what talks to a server; what goes wrong is one line, and exit code 1.
func reportingControlErrors<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as ControlError {
        StandardError.write("bootstorm: \(error)\n")
        throw ExitCode.failure
    } catch is DecodingError {
        StandardError.write("bootstorm: the server's answer is not of this version of bootstorm\n")
        throw ExitCode.failure
    }
}
