import Testing

@testable import TFTPFetch

/// Which origin is queried when: numbers in and out.
@Suite struct OriginRaceTests {
    static func after(_ milliseconds: Int) -> Duration { .milliseconds(milliseconds) }

    func expectDue(
        _ race: inout OriginRace, at time: Duration, _ origins: [Int],
        _ location: SourceLocation = #_sourceLocation
    ) {
        let due = race.due(at: time)
        #expect(due == origins, sourceLocation: location)
    }

    @Test func theNextAtOnceWhereOneHasItNot() {
        var race = OriginRace([0, 1], askedAgain: [0, 1, 2, 4])
        expectDue(&race, at: .zero, [0])
        race.note(0, .absent, at: Self.after(20))
        expectDue(&race, at: Self.after(20), [1])
        race.note(1, .absent, at: Self.after(30))
        #expect(race.wake(after: Self.after(30)) == nil)
        #expect(!race.isUncertain)
    }

    @Test func theNextBesideOneThatIsLate() {
        var race = OriginRace([4, 2], askedAgain: [0, 1, 2, 4])
        expectDue(&race, at: .zero, [4])
        #expect(race.wake(after: .zero) == OriginRace.lateDuration)
        expectDue(&race, at: OriginRace.lateDuration, [2])
        #expect(race.late(at: OriginRace.lateDuration) == [4])
        // Both hang: each is asked once more, and then it is over.
        #expect(race.wake(after: OriginRace.lateDuration) == OriginRace.againDuration)
        expectDue(&race, at: OriginRace.againDuration, [4])
        expectDue(&race, at: Self.after(2400), [2])
        expectDue(&race, at: Self.after(5000), [])
        #expect(race.wake(after: Self.after(5000)) == OriginRace.allDuration)
        #expect(race.wake(after: OriginRace.allDuration) == nil)
        #expect(race.isUncertain)
    }

    @Test func oneThatIsBusyIsAskedAgain() {
        var race = OriginRace([0], askedAgain: [0, 1, 2, 4])
        expectDue(&race, at: .zero, [0])
        race.note(0, .busy(.seconds(1)), at: Self.after(100))
        #expect(race.wake(after: Self.after(100)) == Self.after(1100))
        expectDue(&race, at: Self.after(1000), [])
        expectDue(&race, at: Self.after(1100), [0])
        race.note(0, .busy(.seconds(60)), at: Self.after(1200))
        #expect(race.wake(after: Self.after(1200)) == nil)
        #expect(race.isUncertain)
    }

    /// One that breaks off is asked once more, behind the others.
    @Test func oneThatBreaksOffIsAskedAgain() {
        var race = OriginRace([0, 1], askedAgain: [0, 1])
        expectDue(&race, at: .zero, [0])
        race.note(0, .brokeOff, at: Self.after(10))
        expectDue(&race, at: Self.after(10), [1])
        race.note(1, .absent, at: Self.after(20))
        #expect(race.wake(after: Self.after(20)) == Self.after(10) + OriginRace.retryDuration)
        expectDue(&race, at: Self.after(10) + OriginRace.retryDuration, [0])
        race.note(0, .brokeOff, at: Self.after(600))
        #expect(race.wake(after: Self.after(600)) == nil)
        #expect(race.isUncertain)
    }

    /// TFTP repeats its packets itself: an origin by UDP is queried once.
    @Test func byUDPOnce() {
        var race = OriginRace([0], askedAgain: [])
        expectDue(&race, at: .zero, [0])
        #expect(race.wake(after: .zero) == OriginRace.allDuration)
        expectDue(&race, at: OriginRace.againDuration, [])
    }

    /// One that is busy costs the next one no time.
    @Test func theNextAtOnceWhereOneIsBusy() {
        var race = OriginRace([0, 1], askedAgain: [0, 1, 2, 4])
        _ = race.due(at: .zero)
        race.note(0, .busy(nil), at: Self.after(10))
        expectDue(&race, at: Self.after(10), [1])
        race.note(1, .failed, at: Self.after(20))
        #expect(race.wake(after: Self.after(20)) == Self.after(510))
    }

    @Test func noOrigins() {
        var race = OriginRace([], askedAgain: [0, 1, 2, 4])
        expectDue(&race, at: .zero, [])
        #expect(race.wake(after: .zero) == nil)
        #expect(!race.isUncertain)
    }
}
