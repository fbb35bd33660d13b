package import TFTPCore

/// A sweep over settings: which server, through what, and how long.
package struct TuneConfiguration: Sendable {
    package var server: Endpoint
    package var name: String
    /// What the file must be, where that is known: every byte is checked then.
    package var reference: Reference?
    /// Sends everything through a relay that does this. The way is an Ethernet then.
    package var impairment: Impairment?
    /// nil: what suits the path.
    package var blksizes: [Int]?
    package var windowsizes = TuneGrid.windowsizes
    /// How many clients at once, one load after the other.
    package var clientCounts = [1, 16]
    /// For the whole sweep.
    package var seconds = 60.0
    package var seed: UInt64 = 1
    /// At the end, compare the setting that is recommended with the default once more, in turn.
    package var verifies = false

    package init(server: Endpoint, name: String) {
        self.server = server
        self.name = name
    }
}

/// Why a sweep cannot start: one line that says what happened and what to do.
package enum TuneError: Error, CustomStringConvertible {
    case storm(StormError)
    case relay(RelayError)

    package var description: String {
        switch self {
        case .storm(let error): error.description
        case .relay(let error): "the relay \(error)"
        }
    }
}

/// What can be shown while a sweep runs.
package struct TuneProgress: Sendable {
    package var trial: TuneTrial
    package var trialCount: Int
    package var secondsLeft: Double
}
