internal import ArgumentParser
internal import FoundationEssentials

/// `bootstorm check`: says what is wrong with a configuration file.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file.",
        discussion: """
            Prints one line for each error, with file, line and what is allowed, and exits with 1 if there is any. \
            The files and folders that it names have to be there, and are read as well. The environment is not considered.

              bootstorm check /etc/bootstorm/bootstorm.yaml
              bootstorm check --example >bootstorm.yaml
            """)

    @Argument(help: "Files to check.", completion: .file(extensions: ["yaml", "yml"]))
    var files: [String] = [ServeLaunch.defaultPath]

    @Flag(help: "Print a file with every key explained and commented out.")
    var example = false

    func run() throws {
        guard !example else {
            StandardOutput.write(ExampleFile.text)
            return
        }
        var isRight = true
        for file in files {
            let errors = try Check.errors(in: file)
            if errors.isEmpty {
                StandardOutput.write("\(file): no errors\n")
            } else {
                StandardError.write("\(ConfigurationErrors(errors))\n")
                isRight = false
            }
        }
        if !isRight { throw ExitCode.failure }
    }

    /// All that is wrong in a file, and with the files and folders that it names, in the order of
    /// lines.
    static func errors(in path: String) throws -> [ConfigurationError] {
        var errors: [ConfigurationError] = []
        do {
            _ = try ServeLaunch(arguments: ["--config", path], environment: [:]).parse()
        } catch let found as ConfigurationErrors {
            errors = found.all
        }
        for error in NamedPaths(of: path).errors where !errors.contains(error) {
            let index = errors.firstIndex { $0.source.line ?? 0 > error.source.line ?? 0 }
            errors.insert(error, at: index ?? errors.endIndex)
        }
        return errors
    }
}
