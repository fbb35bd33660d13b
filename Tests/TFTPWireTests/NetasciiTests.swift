import TFTPWire
import Testing

private let cr: UInt8 = 0x0D
private let lf: UInt8 = 0x0A

@Suite struct NetasciiTests {
    static let alphabet = [cr, lf, 0, UInt8(ascii: "a")]

    @Test(
        arguments: [
            ([], []), ([lf], [cr, lf]), ([cr], [cr, 0]), ([cr, lf], [cr, 0, cr, lf]),
            ([0], [0]), ([cr, 0], [cr, 0, 0]), ([97, lf, lf, 97], [97, cr, lf, cr, lf, 97]),
        ] as [([UInt8], [UInt8])])
    func linesEndInTwoBytesOnTheWire(file: [UInt8], wire: [UInt8]) {
        #expect(encode([file], capacity: 100) == [wire])
        #expect(decode([wire], capacity: 100) == file)
    }

    @Test(
        arguments: [
            ([cr], [cr]), ([cr, 97], [cr, 97]), ([cr, cr], [cr, cr]), ([cr, cr, lf], [cr, lf]),
            ([cr, cr, 0], [cr, cr]), ([lf], [lf]), ([cr, 0, cr], [cr, cr]), ([0, lf], [0, lf]),
        ] as [([UInt8], [UInt8])])
    func aCarriageReturnByItselfIsKept(wire: [UInt8], file: [UInt8]) {
        #expect(decode([wire], capacity: 100) == file)
    }

    @Test func everySmallFileComesBack() {
        var wrong: [[UInt8]] = []
        withEveryString(of: Self.alphabet, countMax: 7) { file in
            let wire = encode([file], capacity: 100).flatMap { $0 }
            if wire != modelOnWire(file) || decode([wire], capacity: 100) != file {
                wrong.append(file)
            }
        }
        #expect(wrong == [])
    }

    /// Goal: block boundaries do not show. Method: every small file, cut into pieces in every way,
    /// into blocks of each small size; and the same for the wire, whether or not it is well formed.
    @Test func everySplitGivesTheSame() {
        var wrong: [[UInt8]] = []
        withEveryString(of: Self.alphabet, countMax: 5) { bytes in
            let encoded = modelOnWire(bytes)
            let decoded = modelInFile(bytes)
            for pieces in everySplit(of: bytes) {
                for capacity in 1...3 {
                    let blocks = encode(pieces, capacity: capacity)
                    let areFull = blocks.dropLast().allSatisfy { $0.count == capacity }
                    if blocks.flatMap({ $0 }) != encoded || !areFull { wrong.append(bytes) }
                    if decode(pieces, capacity: capacity) != decoded { wrong.append(bytes) }
                }
            }
        }
        #expect(wrong == [])
    }

    /// A repeat of a block starts from a copy of the state before it.
    @Test func aCopiedStateMakesTheSameBlockAgain() {
        let file: [UInt8] = [lf, cr, lf]
        var encoder = NetasciiEncoder()
        let first = [UInt8](capacity: 1) { output in
            #expect(encoder.encode(file.span.bytes, into: &output) == 1)
        }
        #expect(first == [cr])
        #expect(encoder.hasPending)
        for _ in 0..<2 {
            var again = encoder
            let second = [UInt8](capacity: 3) { output in
                let used = again.encode(file.span.bytes.extracting(droppingFirst: 1), into: &output)
                #expect(used == 1)
            }
            #expect(second == [lf, cr, 0])
            #expect(!again.hasPending)
        }
    }

    @Test func aFullOutputUsesNothing() {
        var encoder = NetasciiEncoder()
        var decoder = NetasciiDecoder()
        let source = [cr, lf]
        let written = [UInt8](capacity: 0) { output in
            #expect(encoder.encode(source.span.bytes, into: &output) == 0)
            #expect(decoder.decode(source.span.bytes, into: &output) == 0)
        }
        #expect(written == [])
        #expect(encoder == NetasciiEncoder())
        #expect(decoder == NetasciiDecoder())
    }

    @Test func theStateIsOneByte() {
        #expect(MemoryLayout<NetasciiEncoder>.size == 1)
        #expect(MemoryLayout<NetasciiDecoder>.size == 1)
    }
}

/// The blocks of at most `capacity` bytes that `pieces` of a file become.
private func encode(_ pieces: [[UInt8]], capacity: Int) -> [[UInt8]] {
    var encoder = NetasciiEncoder()
    var blocks: [[UInt8]] = []
    var rest = pieces[...]
    var used = 0
    repeat {
        blocks.append(
            [UInt8](capacity: capacity) { output in
                repeat {
                    let source = (rest.first ?? [])[used...]
                    used += encoder.encode(source.span.bytes, into: &output)
                    if used < rest.first?.count ?? 0 { break }
                    rest = rest.dropFirst()
                    used = 0
                } while !rest.isEmpty
            })
    } while !rest.isEmpty || encoder.hasPending
    return blocks
}

/// The file that `pieces` from the wire become, written out in parts of at most `capacity` bytes.
private func decode(_ pieces: [[UInt8]], capacity: Int) -> [UInt8] {
    var decoder = NetasciiDecoder()
    var file: [UInt8] = []
    for piece in pieces {
        var used = 0
        while used < piece.count {
            file += [UInt8](capacity: capacity) { output in
                let source = piece[used...]
                used += decoder.decode(source.span.bytes, into: &output)
            }
        }
    }
    file += [UInt8](capacity: 1) { output in decoder.finish(into: &output) }
    return decoder.hasPending ? [] : file
}

private func modelOnWire(_ file: [UInt8]) -> [UInt8] {
    file.flatMap { $0 == lf ? [cr, lf] : $0 == cr ? [cr, 0] : [$0] }
}

private func modelInFile(_ wire: [UInt8]) -> [UInt8] {
    var file: [UInt8] = []
    var offset = 0
    while offset < wire.count {
        let pair = Array(wire[offset...].prefix(2))
        if pair == [cr, lf] || pair == [cr, 0] {
            file.append(pair == [cr, lf] ? lf : cr)
            offset += 2
        } else {
            file.append(wire[offset])
            offset += 1
        }
    }
    return file
}

/// Every way of cutting `bytes` into pieces that are not empty.
private func everySplit(of bytes: [UInt8]) -> [[[UInt8]]] {
    guard bytes.count >= 2 else { return [[bytes]] }
    return (0..<(1 << (bytes.count - 1))).map { cuts in
        var pieces: [[UInt8]] = [[bytes[0]]]
        for (index, byte) in bytes.dropFirst().enumerated() {
            if cuts & (1 << index) != 0 { pieces.append([]) }
            pieces[pieces.count - 1].append(byte)
        }
        return pieces
    }
}
