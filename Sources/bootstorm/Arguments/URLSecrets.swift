internal import FoundationEssentials

/// Users and passwords of URLs that were given, which no message repeats.
///
/// They are looked up as they were given, so that the rest of a message stays what it is.
struct URLSecrets: Sendable {
    /// What is removed, and what takes its place.
    private let replacements: [(secret: String, substitute: String)]

    /// - Parameter texts: arguments or values; a URL may be any of them, valid or not.
    init(_ texts: some Sequence<String>) {
        replacements = texts.flatMap(URLSecrets.replacements(for:))
            .sorted { $0.secret.utf8.count > $1.secret.utf8.count }
    }

    /// Of the arguments and the environment that this process was started with.
    static let ofThisProcess = URLSecrets(
        ProcessArguments.all.dropFirst()
            + ProcessInfo.processInfo.environment
            .filter { $0.key.hasPrefix(Setting.variablePrefix) }.map(\.value))

    /// The text without them.
    func removed(from text: String) -> String {
        replacements.reduce(text) { $0.replacing($1.secret, with: $1.substitute) }
    }

    private static func replacements(
        for text: String
    ) -> [(secret: String, substitute: String)] {
        var rest = text[...]
        if rest.hasPrefix("--"), let equals = rest.firstIndex(of: "=") {
            rest = rest[rest.index(after: equals)...]
        }
        let scheme = rest.firstRange(of: "://")
        if let scheme { rest = rest[scheme.upperBound...] }
        // A password may have a slash in it that should have been written as %2F.
        guard let at = rest.lastIndex(of: "@") else { return [] }
        let user = String(rest[..<at])
        guard !user.isEmpty, scheme != nil || user.contains(":") else { return [] }
        var found = [("\(user)@", "")]
        // Where a URL is cut at its slashes, a part of the password may stand alone.
        for part in [user, String(user.prefix { $0 != "/" })] where part.contains(":") {
            found.append((part, "…"))
        }
        return found
    }
}
