import Testing

@testable import TFTPPeer

/// What is shown of origins, and how their answers are waited for.
@Suite(.timeLimit(.minutes(1))) struct WebInboxTests {
    /// A timer that fires between the look and the wait ends that wait, and no other one.
    @Test func aTimerThatIsQuicker() async {
        let inbox = WebInbox()
        let turn = inbox.nextTurn()
        inbox.expire(turn)
        let isNew = await withCheckedContinuation { inbox.wait($0, turn) }
        #expect(!isNew)
        let next = inbox.nextTurn()
        inbox.expire(turn)
        inbox.cancel()
        let isChanged = await withCheckedContinuation { inbox.wait($0, next) }
        #expect(isChanged)
    }

    /// What is wrong with an origin is said without its password.
    @Test(arguments: [
        "ftp://me:secret@host/", "http://me:secret@host:99999/", "https://me:se/secret@host/?q",
        "me:secret@host", "tftp://me:secret@/",
    ])
    func noPassword(text: String) {
        let error = #expect(throws: PeerNode.InvalidOrigin.self) { try PeerNode.Origin(text) }
        #expect(error.map { !"\($0)".contains("secret") } ?? false)
    }
}
