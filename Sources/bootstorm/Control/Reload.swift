internal import ArgumentParser

/// `bootstorm reload`: reloads the configuration of a running server.
struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reload the configuration of a running server.",
        discussion: """
            Running transfers go on. A configuration with errors is refused as a whole, and the old one stays.

            Example: bootstorm reload
            """)

    @OptionGroup var control: ControlOption

    func run() throws {
        try reportingControlErrors {
            let request = ControlRequest(verb: ControlRequest.Verb.reload.rawValue)
            guard let note = try control.answer(to: request).note else { throw ControlError.ended }
            StandardOutput.write("\(note)\n")
        }
    }
}
