internal import ArgumentParser
internal import FoundationEssentials

/// `bootstorm check`: says what is wrong with a configuration file.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file.",
        discussion: """
            Prints one line for each error, with file, line and what is allowed, and exits with 1 if there is any. \
            Key files that it names are read as well. The environment is not considered.

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
            do {
                _ = try ServeLaunch(arguments: ["--config", file], environment: [:]).parse()
                StandardOutput.write("\(file): no errors\n")
            } catch let errors as ConfigurationErrors {
                StandardError.write("\(errors)\n")
                isRight = false
            }
        }
        if !isRight { throw ExitCode.failure }
    }
}
