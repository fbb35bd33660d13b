import Testing

@testable import TFTPReactor

@Suite struct MailboxTests {
    @Test func takesInTheOrderInWhichWasPut() {
        let mailbox = Mailbox<Int>(capacity: 8)
        defer { mailbox.destroy() }
        var random = SystemRandomNumberGenerator()
        var (put, taken) = (0, 0)
        for _ in 0..<10_000 {
            for _ in 0..<Int.random(in: 0...9, using: &random) {
                let isFull = put - taken == 8
                #expect(mailbox.put(put) == !isFull)
                if !isFull { put += 1 }
            }
            for _ in 0..<Int.random(in: 0...9, using: &random) {
                #expect(mailbox.take() == (taken < put ? taken : nil))
                if taken < put { taken += 1 }
            }
            #expect(mailbox.isEmpty == (taken == put))
        }
    }

    @Test func takesInOrderFromAnotherThread() async {
        let mailbox = Mailbox<Int>(capacity: 4)
        defer { mailbox.destroy() }
        let count = 100_000
        let putter = Task.detached {
            for number in 0..<count {
                while !mailbox.put(number) { await Task.yield() }
            }
        }
        var isInOrder = true
        for number in 0..<count {
            var element = mailbox.take()
            while element == nil {
                await Task.yield()
                element = mailbox.take()
            }
            isInOrder = isInOrder && element == number
        }
        await putter.value
        #expect(isInOrder)
    }

    /// Memory of a long queue that is mostly empty is not touched, and so is not the server's.
    @Test func aQuietQueueUsesItsFirstPlaces() {
        let mailbox = Mailbox<Int>(capacity: 1024)
        defer { mailbox.destroy() }
        for place in 0..<1024 { unsafe mailbox.elements[place] = -1 }
        for number in 0..<5000 {
            #expect(mailbox.put(number))
            #expect(mailbox.put(number))
            #expect(mailbox.take() == number)
            #expect(mailbox.take() == number)
        }
        let untouched = (2..<1024).allSatisfy { unsafe mailbox.elements[$0] == -1 }
        #expect(untouched)
    }
}
