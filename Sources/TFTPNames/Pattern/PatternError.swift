/// Why an expression is not accepted.
package enum PatternError: Error, Equatable, Sendable {
    /// The syntax is wrong: what, and at which byte of the expression.
    case syntax(String, at: Int)
    /// It is valid elsewhere, but not supported here.
    case unsupported(String, at: Int)
    /// Longer than `NamePattern.byteCountMax`, or more instructions, groups or levels than allowed.
    case tooLarge
    /// The C library's word.
    case library(String)
}

extension PatternError: CustomStringConvertible {
    /// One line, to stand behind the expression.
    package var description: String {
        switch self {
        case .syntax(let what, let offset): "\(what) at byte \(offset + 1)"
        case .unsupported(let what, let offset): "\(what) at byte \(offset + 1) is not supported"
        case .tooLarge: "the expression is too large"
        case .library(let text): text
        }
    }
}
