import TFTPLoad
import TFTPWire
import WireSupport

/// The latest ACK, ERROR or request of an effect, and the result, in words: `accept 3 ack 3 done`.
///
/// An accepted block that is the last has a dot behind it; a request from a new port has a plus.
extension MachineTable.Effect {
    var words: String {
        var words: [String] = []
        if let accept { words.append("accept \(accept.block)\(accept.isLast ? "." : "")") }
        if let ack { words.append("ack \(ack.rawValue)") }
        if let error { words.append("error \(error.code.rawValue)") }
        if let request { words.append(request.fromNewPort ? "request+" : "request") }
        if let result { words.append(result.words) }
        return words.joined(separator: " ")
    }
}

extension BootResult {
    var words: String {
        switch self {
        case .done: "done"
        case .failed(let failure): "failed \(failure)"
        }
    }
}

extension [UInt8] {
    /// The text behind the opcode, with `|` for NUL.
    var wireText: String {
        String(decoding: self[2...].map { $0 == 0 ? UInt8(ascii: "|") : $0 }, as: UTF8.self)
    }
}

/// One machine, machine 5, and its clock.
struct Bench: ~Copyable {
    var table: MachineTable
    /// Not 0, so that nothing is right by chance.
    var now: UInt64 = 3_000_000_000
    let machine = 5
    private(set) var lastEffect = MachineTable.Effect.none

    init(_ profile: ClientProfile) {
        table = MachineTable(capacity: 8, now: now)
        _ = table.addProfile(.plain())
        let index = table.addProfile(profile)
        lastEffect = table.start(machine, profile: index, now: now)
    }

    init(_ kind: ClientKind) { self.init(ClientProfile(kind)) }

    mutating func pass(milliseconds: UInt64) { now += milliseconds * 1_000_000 }

    func request(_ name: String = "boot/a") -> [UInt8] {
        let name = Array(name.utf8)
        return [UInt8](capacity: MachineTable.packetByteCountMax) {
            table.writeRequest(machine, name: name.span.bytes, into: &$0)
        }
    }

    mutating func oack(_ text: String) -> String {
        let bytes = [UInt8](wire: text)
        return note(
            table.stepOACK(
                machine, options: Options(parsing: bytes.span.bytes),
                flaws: OACKFlaws(scanning: bytes.span.bytes), now: now))
    }

    /// DATA of this number; full, if not told otherwise.
    mutating func data(_ number: UInt16, _ byteCount: Int? = nil) -> String {
        note(
            table.stepData(
                machine, block: BlockNumber(rawValue: number),
                byteCount: byteCount ?? table.blksize(of: machine), now: now))
    }

    mutating func error(_ code: UInt16) -> String {
        note(table.stepError(machine, code: ErrorCode(rawValue: code), now: now))
    }

    /// Sleeps until the deadline.
    ///
    /// - Returns: The milliseconds slept and what came, or nil if there is no deadline.
    mutating func timeOut() -> (milliseconds: UInt64, words: String)? {
        let start = now
        while let nanoseconds = table.nanosecondsUntilDeadline(now: now) {
            now += nanoseconds
            guard let expired = table.popExpired(now: now) else { continue }
            precondition(expired == machine)
            let words = note(table.stepTimeout(machine, now: now))
            return ((now - start) / 1_000_000, words)
        }
        return nil
    }

    /// What comes at the end when nothing more arrives.
    mutating func lastWords() -> String {
        var words = ""
        while let timeOut = timeOut() { words = timeOut.words }
        return words
    }

    /// Answers everything up to the load with what a good server grants.
    mutating func reachLoad() {
        while !isInLastStage {
            let stage = table.stage(of: machine)
            let mayMiss = table.kind(of: machine) == .rpi && stage == 0
            _ = mayMiss ? error(1) : oack(requestedOptions.granted(tsize: 100_000_000))
            precondition(table.stage(of: machine) == stage + 1)
        }
    }

    /// A load that is under way: the OACK is accepted.
    mutating func beginLoad(tsize: UInt64 = 1_000_000_000) {
        reachLoad()
        let asked = requestedOptions
        if asked.isEmpty {
            _ = data(1)
        } else {
            _ = oack(asked.granted(tsize: tsize))
        }
    }

    var requestedOptions: Options {
        let bytes = request()
        guard let packet = try? Packet(parsing: bytes.span.bytes),
            case .request(let request) = packet
        else { return Options() }
        return Options(parsing: request.options)
    }

    private var isInLastStage: Bool {
        let profile = ClientProfile(table.kind(of: machine))
        return table.stage(of: machine) == profile.stageCount - 1
    }

    private mutating func note(_ effect: MachineTable.Effect) -> String {
        lastEffect = effect
        return effect.words
    }
}

extension Options {
    /// The text of an OACK that grants all of these.
    func granted(tsize: UInt64) -> String {
        var granted = self
        if granted.tsize != nil { granted.tsize = tsize }
        let bytes = [UInt8](capacity: Packet.oackByteCountMax) {
            Packet.writeOACK(granted, to: &$0)
        }
        return bytes.wireText
    }
}
