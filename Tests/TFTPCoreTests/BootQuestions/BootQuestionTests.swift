import TFTPWire
import Testing

@testable import TFTPCore

/// The hard cases of boot clients, by the numbers of docs/boot-clients.md. Each is put to the
/// transfer table and to a naive server, which fails it: a case that every server passes proves
/// nothing.
@Suite struct BootQuestionTests {
    private func ask(
        _ served: BootCase, naive habits: NaiveServer.Habits = .init(),
        _ isRight: (any BootServer) -> Bool
    ) {
        let server = TableServer(served)
        #expect(isRight(server), "\(server.log.suffix(20))")
        let naive = NaiveServer(served, habits)
        #expect(!isRight(naive), "the naive server is right as well: \(naive.log.suffix(20))")
    }

    @Test("Q1 EDK II asks for the size and leaves with ERROR 8")
    func q1() {
        let served = BootCase(byteCount: 1_000_000, blksize: 1468, windowsize: 4)
        ask(served, naive: .init(timeout: 1000, retriesMax: 10, endsAtError: false)) { server in
            server.wait(3)
            server.error(.optionNegotiation, isWrongBlock: false)
            server.wait(30_000)
            return server.log == ["OACK", "probe"] && server.sessionCount == 0
        }
    }

    @Test("Q2 EDK II acknowledges every unexpected block of a window")
    func q2() {
        let last: UInt64 = 4000
        let served = BootCase(byteCount: last * 512 - 1, blksize: 512, windowsize: 4)
        ask(served) { server in
            var client = WindowedClient(kind: .edk2, windowsize: 4, last: last)
            var (sentCount, lossCount) = (0, 0)
            server.ack(0)
            while server.outcome == nil && sentCount < 2 * Int(last) {
                let blocks = server.blocks
                server.forget()
                sentCount += blocks.count
                var acks: [UInt64] = []
                for (index, block) in blocks.enumerated() {
                    if (sentCount - index) % 100 == 0 {
                        lossCount += 1
                    } else if let ack = client.receive(block) {
                        acks.append(ack)
                    }
                }
                server.wait(blocks.isEmpty ? 10 : 1)
                for ack in acks where server.outcome == nil { server.ack(ack) }
            }
            return server.outcome == "done" && sentCount <= Int(last) + 4 * lossCount + 4
        }
    }

    @Test("Q3 GRUB never repeats its ACK of block 65535")
    func q3() {
        ask(BootCase(byteCount: 1024 * 70_000, blksize: 1024)) { server in
            server.advance(to: 65_534)
            server.wait(10_000)
            return server.blocks.contains(65_536)
        }
    }

    @Test("Q4 iPXE repeats its ACK of block 65535, and a second one would end its boot")
    func q4() {
        let served = BootCase(byteCount: 1432 * 70_000, blksize: 1432)
        ask(served, naive: .init(timeout: 100)) { server in
            server.advance(to: 65_534)
            server.wait(250)
            server.ack(65_535)
            return server.blocks == [65_536]
        }
    }

    @Test("Q5 U-Boot acknowledges the middle of a window after five seconds")
    func q5() {
        ask(BootCase(byteCount: 1468 * 200, blksize: 1468, windowsize: 16)) { server in
            server.advance(to: 16, windowsize: 16)
            server.wait(5000)
            server.forget()
            for _ in 0..<3 { server.ack(26) }
            server.wait(1)
            server.ack(42)
            return server.log == ["DATA 27-42", "DATA 43-58"]
        }
    }

    @Test("Q6 U-Boot does not tell of a gap at or above block 32768")
    func q6() {
        ask(BootCase(byteCount: 1468 * 40_000, blksize: 1468, windowsize: 16)) { server in
            server.advance(to: 32_768, windowsize: 16)
            server.wait(1000)
            return server.blocks.contains(32_770)
        }
    }

    @Test("Q7 U-Boot begins anew when an OACK comes after DATA")
    func q7() {
        ask(BootCase(byteCount: 5000)) { server in
            server.requestAgain()
            guard server.log == ["OACK", "OACK"] else { return false }
            server.ack(0)
            server.ack(1)
            server.forget()
            server.ack(0)
            server.wait(3000)
            return !server.log.contains("OACK") && server.blocks.allSatisfy { $0 == 2 }
        }
    }

    @Test("Q8 PXELINUX asks four times from one port")
    func q8() {
        ask(BootCase(byteCount: 5000, blksize: 1408)) { server in
            for pause in [110, 110, 165] as [UInt64] {
                server.wait(pause)
                server.requestAgain()
            }
            return server.log.count <= 4 && server.sessionCount == 1
        }
    }

    @Test("Q9 busybox asks four times from one port, without options")
    func q9() {
        ask(BootCase(byteCount: 5000, hasOptions: false)) { server in
            for pause in [100, 150, 225] as [UInt64] {
                server.wait(pause)
                server.requestAgain()
            }
            return server.log.count <= 4 && server.sessionCount == 1
        }
    }

    @Test("Q14 a Raspberry Pi leaves after the OACK and asks from another port")
    func q14() {
        let served = BootCase(byteCount: 2_000_000, blksize: 1024)
        ask(served, naive: .init(timeout: 1000, endsAtError: false)) { server in
            server.wait(1)
            server.error(.notDefined, isWrongBlock: false)
            server.wait(10_000)
            return server.log == ["OACK", "probe"] && server.sessionCount == 0
        }
    }

    @Test("Q15 GRUB is silent for twenty seconds")
    func q15() {
        ask(BootCase(byteCount: 1024 * 100, blksize: 1024)) { server in
            server.advance(to: 50)
            server.wait(20_000)
            guard server.outcome == nil, server.log.count <= 12 else { return false }
            server.ack(51)
            return server.log.last == "DATA 52"
        }
    }

    @Test("Q16 a client begins anew from the same port")
    func q16() {
        ask(BootCase(byteCount: 5000)) { server in
            server.advance(to: 5)
            server.requestAgain()
            server.ack(0)
            server.ack(1)
            return server.log == ["OACK", "DATA 1", "DATA 2"] && server.sessionCount == 1
        }
    }

    @Test("Q17 lwIP tells of a late duplicate with ERROR 5 and goes on")
    func q17() {
        ask(BootCase(byteCount: 5000)) { server in
            server.advance(to: 2)
            server.error(.unknownTransferID, isWrongBlock: true)
            server.ack(3)
            return server.log == ["DATA 4"] && server.outcome == nil
        }
    }

    @Test("Q18 a stranger's ACK")
    func q18() {
        ask(BootCase(byteCount: 5000)) { server in
            server.advance(to: 2)
            server.ackFromStranger(3)
            return server.log == ["ERROR 5"] && server.sessionCount == 1
        }
    }

    @Test("Q19 the answer comes from the address that was asked")
    func q19() {
        ask(BootCase(byteCount: 5000)) { $0.local == Download.address }
    }

    @Test("Q21 the last ACK is lost")
    func q21() {
        ask(BootCase(byteCount: 1000)) { server in
            server.advance(to: 1)
            server.wait(60_000)
            return server.outcome == "doneUnacknowledged"
        }
    }

    @Test("Q23 a file that fills its blocks ends with an empty one")
    func q23() {
        ask(BootCase(byteCount: 1024), naive: .init(forgetsEmptyBlock: true)) { server in
            for block: UInt64 in 0...2 { server.ack(block) }
            return server.blocks == [1, 2, 3]
        }
    }
}
