import TFTPWire
import Testing

/// Random datagrams against models written without spans, by seed.
@Suite struct WireFuzzTests {
    static let seeds = 0..<32 as Range<UInt64>

    @Test(arguments: seeds)
    func whateverArrivesDecodesAsTheModelDoes(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let datagram = randomDatagram(using: &generator)
            let decoded = Decoded(datagram)
            guard decoded == modelDecode(datagram), keepsItsSize(decoded, datagram) else {
                Issue.record("seed \(seed): \(datagram) gives \(decoded)")
                return
            }
        }
    }

    @Test(arguments: seeds)
    func whateverStandsInOptionsIsReadAsTheModelDoes(seed: UInt64) {
        let failure = firstDifference(seed: seed) { Options(parsing: $0.span.bytes) }
        #expect(failure == nil)
    }

    /// The fuzzer must be able to fail: three parsers with a mistake each are found out.
    @Test func aParserWithAMistakeIsFoundOut() {
        let tailIsTaken = { (bytes: [UInt8]) in Options(parsing: (bytes + [0]).span.bytes) }
        let leadingNULIsAName = { (bytes: [UInt8]) in
            bytes.first == 0 ? Options() : Options(parsing: bytes.span.bytes)
        }
        let lastWins = { (bytes: [UInt8]) in modelOptions(bytes, lastWins: true) }
        for mistake in [tailIsTaken, leadingNULIsAName, lastWins] {
            let failures = Self.seeds.compactMap { firstDifference(seed: $0, parse: mistake) }
            #expect(!failures.isEmpty)
        }
    }

    @Test(arguments: seeds)
    func whatIsWrittenIsReadBack(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let options = randomOptions(using: &generator)
            let filename = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 1...255, using: &generator)
            }
            let mode = Bool.random(using: &generator) ? TransferMode.octet : .netascii
            let opcode = Bool.random(using: &generator) ? Opcode.rrq : .wrq
            let capacity = Packet.requestByteCountMax(filenameByteCount: filename.count)
            let request = [UInt8](capacity: capacity) { output in
                Packet.writeRequest(
                    opcode, filename: filename.span.bytes, mode: mode, options: options,
                    to: &output)
            }
            let oack = [UInt8](capacity: Packet.oackByteCountMax) { output in
                Packet.writeOACK(options, to: &output)
            }
            let optionBytes = Array(oack.dropFirst(2))
            let expected = Decoded.request(
                opcode, filename: filename, mode: mode, options: optionBytes)
            guard Decoded(request) == expected, Decoded(oack) == .oack(options: optionBytes),
                Options(parsing: optionBytes.span.bytes) == options,
                optionBytes.count == options.byteCount
            else {
                Issue.record("seed \(seed): \(options.wire)")
                return
            }
        }
    }

    @Test(arguments: seeds)
    func errorsAreReadBackAsFarAsTheyFit(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let message = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                UInt8.random(in: 1...255, using: &generator)
            }
            let code = UInt16.random(in: 0...10, using: &generator)
            let capacity = Int.random(in: 5...50, using: &generator)
            let datagram = [UInt8](capacity: capacity) { output in
                Packet.writeError(
                    code: ErrorCode(rawValue: code), message: message.span.bytes, to: &output)
            }
            let expected = Decoded.error(code, message: Array(message.prefix(capacity - 5)))
            guard Decoded(datagram) == expected else {
                Issue.record("seed \(seed): \(datagram)")
                return
            }
        }
    }
}

/// No byte is lost: what a packet was taken apart into adds up to the datagram.
private func keepsItsSize(_ decoded: Decoded, _ datagram: [UInt8]) -> Bool {
    switch decoded {
    case .request(_, let filename, let mode, let options):
        let rest = datagram.count - 2 - filename.count - 1 - options.count - 1
        return mode == .octet ? rest == 5 : mode == .netascii ? rest == 8 : rest >= 0
    case .data(_, let payload): return datagram.count == 4 + payload.count
    case .ack: return datagram.count >= 4
    case .error(_, let message): return datagram.count >= 4 + message.count
    case .oack(let options): return datagram.count == 2 + options.count
    case .failure: return true
    }
}

/// Option bytes that `parse` and the model read differently, or nil after 500 tries.
private func firstDifference(seed: UInt64, parse: ([UInt8]) -> Options) -> [UInt8]? {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<500 {
        let bytes = randomOptionBytes(using: &generator)
        if parse(bytes) != modelOptions(bytes) { return bytes }
    }
    return nil
}

/// What option bytes should mean, said a second time with strings.
private func modelOptions(_ bytes: [UInt8], lastWins: Bool = false) -> Options {
    var tokens = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
    var options = Options()
    while true {
        tokens = tokens.drop { $0.isEmpty }
        guard tokens.count >= 2 else { return options }
        let name = String(decoding: tokens.removeFirst(), as: UTF8.self)
        let value = String(decoding: tokens.removeFirst(), as: UTF8.self)
        let known = Options.Name.allCases.first { "\($0)" == name.lowercased() }
        let isDecimal = value.utf8.count <= 20 && value.allSatisfy { "0123456789".contains($0) }
        guard let known, isDecimal, let number = UInt64(value) else { continue }
        if lastWins || options[known] == nil { options.set(known, to: number) }
    }
}

/// Words that come near to options, so that random lists are often right and often almost.
private let words = [
    "blksize", "BLKSIZE", "windowsize", "timeout", "tsize", "TSize", "msftwindow", "multicast",
    "offset", "Length", "blksiz", "blksize2", "UTimeout", "rollover", "blksizer", "10000", "", "",
    "0", "1", "512", "1468", "65464", "65536", "4294967296",
    "-1", "+1", " 1",
    "1 ", "18446744073709551615", "18446744073709551616", "000000000000000000000",
].map { Array($0.utf8) }

private func randomOptionBytes(using generator: inout SeededGenerator) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 0...10, using: &generator) {
        bytes += words.randomElement(using: &generator)! + [0]
    }
    mutate(&bytes, using: &generator)
    return bytes
}

private func randomDatagram(using generator: inout SeededGenerator) -> [UInt8] {
    var datagram: [UInt8] = [0, .random(in: 0...7, using: &generator)]
    switch Int.random(in: 0...2, using: &generator) {
    case 0:
        let mode = ["octet", "OCTET", "netascii", "NetAscii", "mail", ""]
        datagram += Array("file".utf8) + [0]
        datagram += Array(mode.randomElement(using: &generator)!.utf8) + [0]
        datagram += randomOptionBytes(using: &generator)
    case 1:
        datagram += (0..<Int.random(in: 0...64, using: &generator)).map { _ in
            UInt8.random(in: 0...255, using: &generator)
        }
    default:
        datagram += randomOptionBytes(using: &generator)
    }
    mutate(&datagram, using: &generator)
    return datagram
}

/// In half of the cases a byte is changed or the end is cut off.
private func mutate(_ bytes: inout [UInt8], using generator: inout SeededGenerator) {
    guard !bytes.isEmpty else { return }
    switch Int.random(in: 0...3, using: &generator) {
    case 0:
        bytes[.random(in: bytes.indices, using: &generator)] =
            [0, 0x20, 0x31, 0x61, 0xFF].randomElement(using: &generator)!
    case 1:
        bytes.removeLast(.random(in: 0...bytes.count, using: &generator))
    default:
        break
    }
}

/// Any options in any order, with values near all limits.
func randomOptions(using generator: inout SeededGenerator) -> Options {
    var options = Options()
    let values: [UInt64] = [
        0, 1, 5, 7, 8, 255, 256, 512, 1468, 9999, 10_000, 31416, 65464, 65465, 65536, .max,
    ]
    let names = Options.Name.allCases.shuffled(using: &generator)
    for name in names.prefix(.random(in: 0...names.count, using: &generator)) {
        options.set(name, to: values.randomElement(using: &generator)!)
    }
    return options
}
