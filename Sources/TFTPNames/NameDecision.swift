package import TFTPWire

/// The result for a requested name.
package enum NameDecision: Equatable, Sendable {
    /// Files to look for, in order; the first that exists is served. At least one.
    case files([NameCandidate])
    /// Content made for the client, from the template at `path` with these variables.
    case template(path: String, variables: [String: String])
    case refused(NameRefusal)
}

/// One place where a file may be.
package struct NameCandidate: Hashable, Sendable {
    /// The root to look in: an index of the server's roots; nil for all of them, in order.
    package var root: Int?
    /// The name within it.
    package var name: [UInt8]
    /// Looked for only where none of the names before it exists, not even as a folder.
    package var isSubstitute: Bool

    package init(root: Int? = nil, name: [UInt8], isSubstitute: Bool = false) {
        self.root = root
        self.name = name
        self.isSubstitute = isSubstitute
    }
}

/// Why a request is refused by rules.
package struct NameRefusal: Equatable, Sendable {
    package var code: ErrorCode
    /// For the client; nil for the usual text of the code.
    package var message: String?
    package var cause: Cause

    package enum Cause: Equatable, Sendable {
        /// By a rule; its line in the file.
        case rule(line: Int)
        /// The rules went on for too long: more steps, restarts or evaluated rules than allowed.
        case tooManySteps(line: Int)
        /// A name became too long.
        case tooLong(line: Int)
        /// The name holds `/../`, which atftpd refuses.
        case goesUp
        /// A jump leads nowhere.
        case noLabel(line: Int)
    }

    package init(_ cause: Cause, code: ErrorCode = .accessViolation, message: String? = nil) {
        self.cause = cause
        self.code = code
        self.message = message
    }
}

/// A rule that had an effect, for `map-test` and the log at its finest level.
package struct NameStep: Equatable, Sendable {
    /// The line of the rule in its file, or its number where there is no file.
    package var line: Int
    package var event: Event

    package enum Event: Equatable, Sendable {
        case matched
        case rewritten([UInt8])
        /// What the rule wanted does not exist, so it did nothing (tftp-hpa's `E`).
        case undone
        /// Whether the rule matches takes too many steps to find out, so it did nothing.
        case exhausted
        case restarted
        case jumped(String)
        case stopped
        case refused
        case template(String)
        case root(String)
    }

    package init(line: Int, _ event: Event) {
        self.line = line
        self.event = event
    }
}

/// Inputs of a decision other than name, direction and mode: they decide how long and for which
/// clients it may be kept.
package struct NameDependencies: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The client's address.
    package static let client = NameDependencies(rawValue: 1)
    /// What may change while the client stays: MAC, serial, hosts.
    package static let host = NameDependencies(rawValue: 2)
    /// Whether files exist.
    package static let files = NameDependencies(rawValue: 4)
    /// The address that was asked.
    package static let server = NameDependencies(rawValue: 8)
    /// The client's kind.
    package static let kind = NameDependencies(rawValue: 16)
}

/// Bounds of names and rules.
package enum NameLimits {
    package static let rulesMax = 4096
    /// A name in and between rules, in bytes.
    package static let nameByteCountMax = 4096
    /// Steps of all expressions for one request.
    package static let stepsMax = 20_000
    package static let restartsMax = 64
    package static let candidatesMax = 8
    package static let messageByteCountMax = 200
    package static let variablesMax = 64
}
