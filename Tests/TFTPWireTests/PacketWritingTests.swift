import TFTPWire
import Testing

@Suite struct PacketWritingTests {
    @Test func headersAreBigEndian() {
        let data = [UInt8](capacity: 4) { output in
            Packet.writeDataHeader(block: BlockNumber(rawValue: 0x1234), to: &output)
        }
        let ack = [UInt8](capacity: 4) { output in
            Packet.writeAck(block: BlockNumber(rawValue: 0xFFFE), to: &output)
        }
        #expect(data == [0, 3, 0x12, 0x34])
        #expect(ack == [0, 4, 0xFF, 0xFE])
    }

    @Test func anErrorHasItsNUL() {
        let error = [UInt8](capacity: 100) { output in
            Packet.writeError(code: .fileNotFound, message: "no file", to: &output)
        }
        #expect(error == [0, 5, 0, 1] + [UInt8](wire: "no file|"))
    }

    @Test(arguments: 5...12)
    func anErrorIsCutToWhatFits(capacity: Int) {
        let error = [UInt8](capacity: capacity) { output in
            Packet.writeError(code: .diskFull, message: "abcd", to: &output)
        }
        let message = "abcd".prefix(capacity - Packet.errorByteCountMin)
        #expect(error == [0, 5, 0, 3] + [UInt8](wire: "\(message)|"))
    }

    @Test func anErrorIsCutAtANULInItsMessage() {
        let message = [UInt8](wire: "ab|cd")
        let error = [UInt8](capacity: 100) { output in
            Packet.writeError(code: .notDefined, message: message.span.bytes, to: &output)
        }
        #expect(error == [0, 5, 0, 0] + [UInt8](wire: "ab|"))
    }

    @Test func anOACKKeepsTheOrderOfTheRequest() {
        #expect(Options(wire: "TSIZE|00|BlkSize|01408|").wire == "tsize|0|blksize|1408|")
        #expect(Options(wire: "blksize|1432|tsize|0|").wire == "blksize|1432|tsize|0|")
        #expect(Options().wire == "")
    }

    @Test(arguments: [0, 1, 9, 10, 99, 100, 4_294_967_296, 10_000_000_000_000_000_000, .max])
    func sizesAreWrittenInFull(tsize: UInt64) {
        var options = Options()
        options.tsize = tsize
        #expect(options.wire == "tsize|\(tsize)|")
    }

    @Test func theLongestListTakesAsMuchAsIsPromised() {
        var options = Options()
        options.tsize = .max
        options.blksize = .max
        options.timeout = .max
        options.windowsize = .max
        options.offset = .max
        options.length = .max
        options.blksize2 = .max
        options.utimeout = .max
        options.rollover = .max
        options.msftwindow = .max
        #expect(options.wire.utf8.count == Options.byteCountMax)

        let name = [UInt8](wire: "file")
        let request = [UInt8](capacity: 400) { output in
            Packet.writeRequest(
                .rrq, filename: name.span.bytes, mode: .netascii, options: options, to: &output)
        }
        #expect(request.count == Packet.requestByteCountMax(filenameByteCount: name.count))
    }

    @Test func packetsAreWrittenBehindWhatIsThere() {
        let bytes = [UInt8](capacity: 9) { output in
            output.append(7)
            Packet.writeAck(block: BlockNumber(rawValue: 1), to: &output)
            Packet.writeDataHeader(block: BlockNumber(rawValue: 2), to: &output)
        }
        #expect(bytes == [7, 0, 4, 0, 1, 0, 3, 0, 2])
    }

    #if os(Linux)
        @Test func tooLittleRoomTraps() async {
            await #expect(processExitsWith: .failure) {
                _ = [UInt8](capacity: 3) { output in
                    Packet.writeAck(block: BlockNumber(rawValue: 1), to: &output)
                }
            }
            await #expect(processExitsWith: .failure) {
                _ = [UInt8](capacity: 4) { output in
                    Packet.writeError(code: .notDefined, message: "", to: &output)
                }
            }
        }
    #endif
}
