internal import ArgumentParser
internal import Glibc
internal import TFTPClient

/// The flags that `get` and `put` share.
struct TransferOptions: ParsableArguments {
    @Option(
        help: .init(
            "blksize to request, 8 to 65464; 'auto' is the largest that the path carries unfragmented.",
            valueName: "bytes"))
    var blksize = BlksizeArgument.auto

    @Option(
        help: .init(
            "windowsize to request, 1 to 65535 (default: 16, or fewer where blocks are large).",
            valueName: "blocks"))
    var windowsize: UInt16?

    @Option(
        help: .init(
            "Time before an unanswered packet is repeated, 1 to 255 (default: measured).",
            valueName: "seconds"))
    var timeout: UInt8?

    @Option(help: .init("Maximum silence of the server.", valueName: "seconds"))
    var patience = 10.0

    @Flag(help: "Transfer text with CR LF line ends (mode netascii).")
    var netascii = false

    @Flag(help: "Request no options: blocks of 512 bytes, each acknowledged.")
    var noOptions = false

    @OptionGroup var seal: SealKeyOption

    @Option(
        help: .init(
            "Repeat a transfer that timed out or was cut off, up to this number of times.",
            valueName: "count"))
    var retry = 0

    @Option(
        help: .init(
            "Wait until the server answers, up to this time, for instance while a device starts.",
            valueName: "seconds"))
    var wait = 0.0

    @Option(
        help: .init(
            "Maximum rate, for instance 500K; the first half megabyte is not slowed down.",
            valueName: "bytes/s"))
    var rate: ByteCount?

    @Option(
        help: .init("Network interface to use, for instance eth1.", valueName: "name"))
    var interface: String?

    @Flag(
        help: "Write a JSON object a file to standard output, with what was transferred or why not."
    )
    var json = false

    @Flag(help: "Print every packet on standard error.")
    var trace = false

    @Flag(help: "Print errors only.")
    var quiet = false

    /// Whether anything is asked for that shapes a transfer.
    var isSpecial: Bool {
        blksize.value != .automatic || windowsize != nil || timeout != nil || netascii || noOptions
            || trace || rate != nil || interface != nil
    }

    /// What the library accepts. `Duration.seconds` traps on values that are not finite or do not
    /// fit.
    static let patienceRange = 0.001...3600.0

    /// What the library is asked for; names what is wrong with it.
    func options() throws -> TFTPClient.Options {
        guard TransferOptions.patienceRange.contains(patience) else {
            throw ValidationError("--patience is 0.001 to 3600.")
        }
        guard (0...1000).contains(retry) else { throw ValidationError("--retry is 0 to 1000.") }
        guard (0...86_400).contains(wait) else { throw ValidationError("--wait is 0 to 86400.") }
        var options = TFTPClient.Options()
        options.blksize = blksize.value
        options.windowsize = windowsize
        options.timeout = timeout
        options.patience = .seconds(patience)
        options.negotiates = !noOptions
        options.mode = netascii ? .netascii : .octet
        options.sealKeys = try seal.keys()
        if let rate, rate.value < 1024 {
            throw ValidationError("--rate is 1K (1024 bytes a second) at least.")
        }
        options.rateMax = rate.map { UInt64($0.value) }
        options.interface = interface
        if trace { options.trace = { StandardError.write("\(timeOfDay()) \($0)\n") } }
        if let problem = options.problem { throw ValidationError("\(problem).") }
        return options
    }
}

/// `auto`, or a number of bytes.
struct BlksizeArgument: ExpressibleByArgument {
    var value: TFTPClient.Options.Blksize

    static let auto = BlksizeArgument(value: .automatic)

    init(value: TFTPClient.Options.Blksize) { self.value = value }

    init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else if let count = UInt16(argument) {
            value = .bytes(count)
        } else {
            return nil
        }
    }

    var defaultValueDescription: String { "auto" }
}

/// `12:01:02.345678`, as tcpdump begins its lines.
private func timeOfDay() -> String {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    var local = unsafe tm()
    unsafe localtime_r(&time.tv_sec, &local)
    let fields = unsafe [local.tm_hour, local.tm_min, local.tm_sec].map { padded(Int($0), 2) }
    return fields.joined(separator: ":") + "." + padded(time.tv_nsec / 1000, 6)
}

private func padded(_ value: Int, _ count: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, count - digits.count)) + digits
}

/// What the process exits with, by what went wrong.
enum TransferExit {
    static let failed: Int32 = 1
    static let notFound: Int32 = 2
    static let unreachable: Int32 = 4
    static let verificationFailed: Int32 = 6
    static let notSealed: Int32 = 11

    /// Each with its line for the help.
    static let codes: [(code: Int32, meaning: String)] = [
        (0, "done"), (1, "other failure"), (2, "the server has no such file"),
        (3, "the server refused the request"), (4, "timed out, or nothing listens there"),
        (5, "disk full, here or at the server"),
        (6, "wrong SHA-256, or no trusted signature"),
        (7, "the two ends cannot agree on options"),
        (8, "the server violates the protocol, or its size is wrong"), (9, "local file error"),
        (10, "unknown host"), (11, "the server does not seal, or refuses the seal"),
        (64, "wrong usage"), (130, "interrupted"),
    ]

    static let help =
        "Exit codes of get, put, ls and peers; other commands have 0, 1 for any failure, 64 and 130:\n"
        + codes.map { "  \($0.code)  \($0.meaning)" }.joined(separator: "\n")

    static func code(_ error: any Error) -> Int32 {
        if error is CancellationError { return 130 }
        guard let failure = error as? TFTPClient.Failure else { return failed }
        switch failure {
        case .notFound: return notFound
        case .refused: return 3
        case .timedOut, .unreachable, .unacknowledged: return unreachable
        case .diskFull: return 5
        case .verificationFailed: return verificationFailed
        case .negotiationFailed, .rangeIgnored: return 7
        case .protocolViolation, .wrongSize, .unclearRollover: return 8
        case .file, .sourceChanged: return 9
        case .unknownHost: return 10
        case .notSealed, .sealRefused: return notSealed
        case .invalidServer, .invalidName, .invalidOptions: return 64
        case .tooLarge, .sourceStalled, .tooManyTransfers, .system, .closed: return failed
        }
    }
}
