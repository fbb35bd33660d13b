/// The annotated example: every key with its explanation, commented out.
enum ExampleFile {
    static var text: String {
        var lines = introduction
        for setting in Setting.all {
            lines += ["", "# " + wrapped(setting.help).joined(separator: "\n# ")]
            let effect = setting.effect == .atReload ? "" : "; needs a restart"
            let list = setting.isRepeatable ? ", separated by commas" : ""
            let allowed =
                "Allowed: \(setting.expected)\(effect). Variable: \(setting.variable)\(list)"
            lines += ["# " + wrapped(allowed + ".").joined(separator: "\n# ")]
            if setting.isRepeatable {
                lines +=
                    ["#\(setting.key):"] + setting.example.map { "#  - \(YAMLText.quoted($0))" }
            } else {
                lines.append("#\(setting.key): \(YAMLText.quoted(setting.example[0]))")
            }
        }
        return (lines + policies).joined(separator: "\n") + "\n"
    }

    /// The section of that name.
    private static var policies: [String] {
        let about = """
            What some clients may do, by the network they are in, by their kind and by the folder they ask in. Of all \
            policies that hold for a request the one with the longest network prefix decides alone; then the longest \
            folder, then one that names kinds of clients, then the first. What a policy does not say is as above.
            """
        var lines = ["", "# " + wrapped(about).joined(separator: "\n# "), "#policies:"]
        for (index, setting) in Setting.policyKeys.enumerated() {
            let values = setting.example.map(YAMLText.quoted).joined(separator: ", ")
            let value = setting.isRepeatable ? "[\(values)]" : values
            lines.append("#  \(index == 0 ? "-" : " ") \(setting.key): \(value)")
        }
        lines += ["#", "# Keys of a policy:"]
        for setting in Setting.policyKeys {
            let text = "\(setting.key): \(setting.help) Allowed: \(setting.expected)."
            lines.append("# " + wrapped(text).joined(separator: "\n# "))
        }
        return lines
    }

    private static let introduction = [
        "# Configuration of bootstorm serve.",
        "#",
        "# Every key is a flag of the same name (bootstorm serve --help). Flags win over environment",
        "# variables, and these over this file. 'bootstorm check' checks it; 'systemctl reload bootstorm'",
        "# applies it without dropping a transfer. The values shown are the defaults, or examples where",
        "# there is no default.",
    ]

    /// Lines of at most 96 letters.
    private static func wrapped(_ text: String) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            let line = lines[lines.count - 1]
            if line.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if line.count + 1 + word.count <= 96 {
                lines[lines.count - 1] = line + " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
