/// Why a file of rules is not accepted: each has the line, counted from 1.
package struct RuleFileError: Error, Equatable, Sendable {
    package let line: Int
    package let problem: Problem

    package enum Problem: Equatable, Sendable {
        case expression(String, PatternError)
        case noExpression
        case unknownOperation(Character)
        /// Two operations that exclude each other.
        case conflict(String, String)
        case tooManyRules
        case lineTooLong
        case notAPair
        case unknownKey(String, allowed: [String])
        case invalidValue(key: String, value: String, allowed: String)
        case missing(String)
        case invalidReplacement(String)
        case notAList
        /// The text is not what a file of rules is written in.
        case syntax(String)
    }

    package init(line: Int, _ problem: Problem) {
        self.line = line
        self.problem = problem
    }
}

extension RuleFileError: CustomStringConvertible {
    /// One line, to stand behind the name of the file.
    package var description: String { "line \(line): \(text)" }

    private var text: String {
        switch problem {
        case .expression(let text, let error): "invalid expression '\(text)': \(error)"
        case .noExpression: "the rule has no expression"
        case .unknownOperation(let letter): "unknown operation '\(letter)'"
        case .conflict(let one, let other): "'\(one)' and '\(other)' exclude each other"
        case .tooManyRules: "more than \(NameLimits.rulesMax) rules"
        case .lineTooLong: "the line is too long"
        case .notAPair: "the line is not an expression and a replacement"
        case .unknownKey(let key, let allowed):
            "unknown key '\(key)'; allowed are \(allowed.joined(separator: ", "))"
        case .invalidValue(let key, let value, let allowed):
            "invalid value '\(value)' of '\(key)'; allowed: \(allowed)"
        case .missing(let key): "'\(key)' is missing"
        case .invalidReplacement(let text): "invalid replacement: \(text)"
        case .notAList: "rules are a list"
        case .syntax(let text): text
        }
    }
}
