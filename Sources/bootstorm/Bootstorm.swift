internal import ArgumentParser

/// A TFTP server for the moment when every machine boots at once.
@main
struct Bootstorm: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bootstorm",
        abstract: "A TFTP server for the moment when every machine boots at once.",
        version: "0.1.0",
        subcommands: [
            Serve.self, Check.self, Import.self, Publish.self, Rollback.self, Get.self, Put.self,
            SealKeyCommand.self,
            Bench.self, Tune.self, RelayCommand.self, List.self, Peers.self, SignKey.self,
            Fleet.self,
        ])

    static func main() async {
        occupyStandardFiles()
        do {
            var command = try ServeLaunch.parseCommand()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: error)
        }
    }
}
