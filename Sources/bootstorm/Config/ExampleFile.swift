/// The annotated example: every key with its explanation, commented out.
enum ExampleFile {
    static var text: String {
        var lines = introduction
        for setting in Setting.all {
            lines += ["", "# " + wrapped(setting.help).joined(separator: "\n# ")]
            let effect = setting.effect == .atReload ? "" : "; needs a restart"
            let variable = "\(setting.variable)\(setting.isRepeatable ? ", parted by commas" : "")"
            let allowed = "Allowed: \(setting.expected)\(effect). Variable: \(variable)"
            lines += ["# " + wrapped(allowed + ".").joined(separator: "\n# ")]
            if setting.isRepeatable {
                lines +=
                    ["#\(setting.key):"] + setting.example.map { "#  - \(YAMLText.quoted($0))" }
            } else {
                lines.append("#\(setting.key): \(YAMLText.quoted(setting.example[0]))")
            }
        }
        return lines.joined(separator: "\n") + "\n"
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
