internal import ArgumentParser

/// The names of the commands, as a command line may spell them.
enum CommandNames {
    /// The argument parser takes a word that is no command for an argument too many; this says
    /// which command was probably meant.
    ///
    /// - Throws: for a word that stands where a command has to be, and is none.
    static func check(_ arguments: [String]) throws(ValidationError) {
        var command: any ParsableCommand.Type = Bootstorm.self
        for word in arguments {
            let commands = command.configuration.subcommands
            guard !commands.isEmpty, command.configuration.defaultSubcommand == nil,
                !word.hasPrefix("-"), word != "help"
            else { return }
            guard let next = commands.first(where: { $0._commandName == word }) else {
                let hint = Spelling.hint(for: word, among: commands.map { $0._commandName })
                throw ValidationError("Unknown command '\(word)': \(hint)")
            }
            command = next
        }
    }

    /// The words of `arguments` that name a command, such as `fleet status`.
    static func path(of arguments: [String]) -> String {
        var command: any ParsableCommand.Type = Bootstorm.self
        var words: [String] = []
        for word in arguments {
            let commands = command.configuration.subcommands
            guard let next = commands.first(where: { $0._commandName == word }) else { break }
            command = next
            words.append(word)
        }
        return words.joined(separator: " ")
    }
}
