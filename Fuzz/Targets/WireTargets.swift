import TFTPWire

private func request(_ opcode: UInt8, _ words: String...) -> [UInt8] {
    [0, opcode] + words.flatMap { Array($0.utf8) + [0] }
}

private let optionWords = [
    "blksize\0", "windowsize\0", "timeout\0", "tsize\0", "offset\0", "length\0", "seal\0",
    "msftwindow\0", "multicast\0", "0\0", "8\0", "512\0", "65464\0", "65535\0", "65536\0",
    "4294967296\0", "18446744073709551615\0", "18446744073709551616\0", "-1\0", "+1\0", "BlkSize\0",
]

/// No byte of a datagram is lost or made up: the parts of a packet add up to it.
let packetTarget = FuzzTarget(
    "packet",
    corpus: [
        request(1, "boot/vmlinuz", "octet"), request(2, "up", "netascii", "tsize", "9"),
        request(1, "f", "OCTET", "blksize", "1468", "windowsize", "16"), request(1, "f", "mail"),
        [0, 3, 0, 1, 65, 66], [0, 3, 255, 255], [0, 4, 0, 1], [0, 5, 0, 1] + Array("no\0".utf8),
        [0, 6] + Array("blksize\0512\0".utf8),
    ],
    words: optionWords + ["octet\0", "netascii\0", "mail\0"]
) { input, hasMistake in
    let packet: Packet
    do throws(PacketError) {
        packet = try unsafe Packet(parsing: input.span.bytes)
    } catch {
        return nil
    }
    switch packet {
    case .request(let request):
        let modeByteCount = request.mode.map { $0.wireName.utf8CodeUnitCount }
        let known = 2 + request.filename.byteCount + 1 + 1 + request.options.byteCount
        let rest = input.count - known
        return rest == modeByteCount ?? max(0, rest) ? nil : "a request of another length"
    case .data(_, let payload):
        return input.count == 4 + payload.byteCount ? nil : "a payload of another length"
    case .ack: return input.count >= 4 ? nil : "an ACK that is too short"
    case .error(_, let message):
        // The canary wants a NUL behind the message, and nothing behind that.
        let isRight =
            hasMistake
            ? input.count == 5 + message.byteCount : input.count >= 4 + message.byteCount
        return isRight ? nil : "a message of another length"
    case .oack(let options):
        return input.count == 2 + options.byteCount ? nil : "options of another length"
    }
}

/// What is written of options is read back, and no more is granted than was asked for.
let optionTarget = FuzzTarget(
    "options",
    texts: [
        "blksize\01468\0windowsize\064\0tsize\00\0", "timeout\05\0offset\0100\0length\09\0",
        "BLKSIZE\0512\0blksize\08\0", "msftwindow\031416\0", "x\01\0tsize\0-1\0", "blksize",
    ],
    words: optionWords
) { input, hasMistake in
    var options = unsafe Options(parsing: input.span.bytes)
    if hasMistake && options.blksize == 0 { options.blksize = 1 << 16 }
    let limits = GrantLimits(windowByteCountMax: 1 << 20)
    for opcode in [Opcode.rrq, .wrq] {
        let grant = options.grant(
            limits: limits, byteCount: 1000, mode: .octet, opcode: opcode)
        if let problem = problem(of: grant, asked: options, limits) { return problem }
    }
    let parsed = unsafe Options(parsing: input.span.bytes)
    return isReadBack(options, as: parsed) ? nil : "read back otherwise"
}

private func problem(of grant: Grant, asked: Options, _ limits: GrantLimits) -> String? {
    // What is no blksize (below 8) is left out, and the default counts.
    let granted = grant.options
    if granted.blksize ?? 0 > asked.blksize ?? 0 || granted.blksize2 ?? 0 > asked.blksize2 ?? 0
        || UInt32(grant.blksize) != granted.blksize ?? granted.blksize2 ?? 512
    {
        return "blksize \(grant.blksize) granted"
    }
    if UInt32(grant.windowsize) > max(1, asked.windowsize ?? 1) {
        return "windowsize \(grant.windowsize) granted"
    }
    let part = grant.part(of: 1000)
    if part.upperBound > 1000 && (asked.offset ?? 0) <= 1000 { return "a part beyond the end" }
    let byteCount = Int(grant.windowsize) * Int(grant.blksize)
    if grant.windowsize > 1 && byteCount > 1 << 20 { return "a window of \(byteCount) bytes" }
    return nil
}

private func isReadBack(_ options: Options, as parsed: Options) -> Bool {
    let bytes = [UInt8](capacity: Packet.oackByteCountMax) {
        Packet.writeOACK(options, to: &$0)
    }
    guard bytes.count >= 2 else { return false }
    let again = unsafe Options(parsing: bytes.span.bytes.extracting(droppingFirst: 2))
    return again == parsed
}

/// What is translated to netascii and back is the same, in pieces of any size; and whatever comes
/// is decoded to no more than it was.
let netasciiTarget = FuzzTarget(
    "netascii",
    texts: ["\u{3}line\nline\r\n", "\u{1}\r\0\r\r\n\n\0", "\u{8}no end\r", "\u{2}\r", "\u{5}"],
    words: ["\r\n", "\r\0", "\r", "\n", "\0", "\r\r\n"]
) { input, hasMistake in
    let piece = 1 + Int(input.first ?? 0) % 64
    let text = Array(input.dropFirst())
    var encoder = NetasciiEncoder()
    let encoded = encoder.encodeAll(text)
    guard decoded(encoded, inPiecesOf: piece, finishes: true) == text else {
        return "another text comes back"
    }
    let whole = decoded(text, inPiecesOf: max(1, text.count), finishes: true)
    // The canary forgets a CR that the text ends with.
    guard whole == decoded(text, inPiecesOf: piece, finishes: !hasMistake) else {
        return "pieces of \(piece) bytes give another text"
    }
    return whole.count <= text.count ? nil : "the text has grown"
}

private func decoded(_ text: [UInt8], inPiecesOf count: Int, finishes: Bool) -> [UInt8] {
    var decoder = NetasciiDecoder()
    var result: [UInt8] = []
    var place = 0
    while place < text.count {
        let piece = text[place..<min(text.count, place + count)]
        var used = 0
        result += [UInt8](capacity: piece.count) {
            used = unsafe decoder.decode(Array(piece).span.bytes, into: &$0)
        }
        place += used
    }
    guard finishes else { return result }
    return result + [UInt8](capacity: 1) { decoder.finish(into: &$0) }
}
