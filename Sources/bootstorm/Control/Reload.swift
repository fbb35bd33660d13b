internal import ArgumentParser

/// `bootstorm reload`: has a running server read its configuration again.
struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Have a running server read its configuration again.",
        discussion: """
            Transfers that run go on. A configuration with errors is refused as a whole, and the old one stays.

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
