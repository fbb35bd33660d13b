import TFTPCore
import Testing

@testable import TFTPReactor

struct ClosingSocketsTests {
    /// 131 sockets, some of which cannot be told to end.
    private final class Port {
        private let sockets = ClosingSockets(capacity: 131)
        private let disarmed = Column<UInt64>(repeating: 0, count: 3)

        func begin(_ index: Int) { sockets.begin(index) }
        func isLeaving(_ index: Int) -> Bool { sockets.contains(index) }
        func disarm(_ index: Int) { disarmed.setBit(index) }
        var nextUncancelled: Int? { sockets.nextUncancelled(except: disarmed) }
        func cancel(_ index: Int) { sockets.didCancel(index) }
        func takeClosable() -> Int? { sockets.takeClosable() }

        func end(_ index: Int, isSubmitted: Bool = true) -> ClosingSockets.Step {
            sockets.stepEnded(index, isSubmitted: isSubmitted)
        }
    }

    @Test(arguments: [0, 63, 64, 130])
    func leavesInThreeSteps(index: Int) {
        let port = Port()
        #expect(!port.isLeaving(index))
        port.begin(index)
        #expect(port.nextUncancelled == index)
        port.cancel(index)
        #expect(port.nextUncancelled == nil)
        #expect(port.isLeaving(index))
        #expect(port.end(index) == .close)
        #expect(!port.isLeaving(index))
    }

    /// Something that was queued for it would meet a closed socket, or another transfer's.
    @Test func isNotClosedBeforeTheKernelHasTakenEverything() {
        let port = Port()
        port.begin(70)
        port.cancel(70)
        #expect(port.takeClosable() == nil)
        #expect(port.end(70, isSubmitted: false) == .wait)
        #expect(port.isLeaving(70))
        #expect(port.takeClosable() == 70)
        #expect(!port.isLeaving(70))
        #expect(port.takeClosable() == nil)
    }

    @Test func aReceiveThatEndsByItselfIsArmedAgain() {
        let port = Port()
        port.begin(1)
        #expect(port.end(1) == .armAgain)
        #expect(port.isLeaving(1))
        port.disarm(1)
        #expect(port.nextUncancelled == nil)
    }
}
