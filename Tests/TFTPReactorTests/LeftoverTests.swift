import CLinux
import Testing

/// Which files a killed server has left, whatever the clock was set to meanwhile.
struct LeftoverTests {
    private static let day: Int64 = 86_400_000_000_000
    private static let started = 1_764_000_000_000_000_000 as Int64

    @Test func whatWasThereBefore() {
        let now = Self.started + 1
        #expect(clinux_was_there(Self.started - 1, Self.started, now))
        #expect(clinux_was_there(Self.started - Self.day, Self.started, now))
    }

    @Test func whatHasComeSince() {
        #expect(!clinux_was_there(Self.started, Self.started, Self.started))
        #expect(!clinux_was_there(Self.started + 1, Self.started, Self.started + 2))
        // The clock is set a day ahead after the start, and an upload begins.
        let tomorrow = Self.started + Self.day
        #expect(!clinux_was_there(tomorrow, Self.started, tomorrow + 1))
    }

    /// The clock is a day behind at the start, so what is left seems to come yet.
    @Test func aClockThatWasSetBack() {
        #expect(clinux_was_there(Self.started + Self.day, Self.started, Self.started + 1))
    }
}
