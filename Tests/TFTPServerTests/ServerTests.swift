import Testing

/// Servers on loopback and clients that speak to them packet by packet.
///
/// One after the other: they share two cores with each other otherwise, and one of them counts what
/// all shards of the process allocate.
@Suite(
    .serialized, .timeLimit(.minutes(1)),
    .enabled("a server starts on this host") {
        let refusal = await TestServer.refusal.value
        return refusal?.contains("io_uring") != true
    })
struct ServerTests {
    @Test func theHostIsAskedOnce() async {
        #expect(await TestServer.refusal.value == nil)
    }
}
