internal import ArgumentParser
internal import TFTPWire

extension ClientPolicies {
    /// The policies with what `--client-policy` was given, in order; `list` among them changes
    /// nothing.
    init(overrides: [String]) throws {
        self.init()
        for text in overrides where text != "list" {
            do throws(ClientPolicyError) {
                try override(text)
            } catch {
                throw ValidationError("--client-policy \(text): \(error.explanation)")
            }
        }
    }
}

extension ClientPolicyError {
    fileprivate var explanation: String {
        switch self {
        case .malformed: "expected KIND:key=value, or list."
        case .unknownKind(let kind):
            "unknown client '\(kind)'; one of all, \(ClientPolicies.kindNames.joined(separator: ", "))."
        case .unknownKey(let key):
            "unknown key '\(key)'; one of \(ClientPolicies.keyNames.joined(separator: ", "))."
        case .invalidValue(let value, let allowed): "'\(value)' is not \(allowed)."
        }
    }
}
