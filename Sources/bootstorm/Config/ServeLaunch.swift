internal import ArgumentParser
internal import FoundationEssentials
internal import TFTPServer

/// Where a server's configuration comes from, so that it can be read again: the arguments, the
/// environment and the file.
struct ServeLaunch: Sendable {
    let arguments: ServeArguments
    let environment: [String: String]

    /// What a program is told by: its arguments without its own name, and the environment.
    init(arguments: [String], environment: [String: String]) {
        self.arguments = ServeArguments(arguments)
        self.environment = environment
    }

    /// Is read where no other file is named, if it exists.
    static let defaultPath = "/etc/bootstorm/bootstorm.yaml"

    /// The configuration file; nil where there is none.
    var path: String? {
        if let path = arguments.config ?? environment[ConfigurationEnvironment.fileVariable] {
            return path
        }
        let path = ServeLaunch.defaultPath
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }

    /// A configuration that has been read and found to be right.
    struct Loaded: Sendable {
        let file: ConfigurationFile?
        let settings: LayeredSettings
        /// The arguments of `serve` that come to the same.
        let arguments: [String]
        /// Variables of the environment that set nothing.
        let unknownVariables: [String]

        /// What flags say, and the sections of the file.
        func configuration(of serve: Serve) throws -> TFTPServer.Configuration {
            var configuration = try serve.server()
            configuration.policies = file?.policies ?? []
            configuration.isReloadable = file != nil
            configuration.reloadsNames = file != nil || !serve.names.files.isEmpty
            return configuration
        }
    }

    /// Reads everything again. What flags say is not judged here but by `serve`.
    func load() throws(ConfigurationErrors) -> Loaded {
        var errors: [ConfigurationError] = []
        var file: ConfigurationFile?
        do throws(ConfigurationErrors) {
            file = try path.map { path throws(ConfigurationErrors) in
                try ConfigurationFile(path: path)
            }
        } catch {
            errors += error.all
        }
        let variables: ConfigurationEnvironment
        do throws(ConfigurationErrors) {
            variables = try ConfigurationEnvironment(environment)
        } catch {
            throw ConfigurationErrors(errors + error.all)
        }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
        let settings = LayeredSettings(environment: variables, file: file)
        return Loaded(
            file: file, settings: settings, arguments: arguments.expanded(with: settings),
            unknownVariables: variables.unknown)
    }

    /// Reads everything and parses it as `serve` does.
    ///
    /// - Throws: `ConfigurationErrors`, or what ArgumentParser says of the user's own flags.
    func parse() throws -> (serve: Serve, loaded: Loaded) {
        let loaded = try load()
        do {
            let serve = try ServeLaunch.parsed(loaded.arguments)
            if let problem = try loaded.configuration(of: serve).problem {
                throw ValidationError(problem)
            }
            return (serve, loaded)
        } catch {
            throw blame(error, loaded) ?? error
        }
    }

    private static func parsed(_ arguments: [String]) throws -> Serve {
        let command = try Bootstorm.parseAsRoot(["serve"] + arguments)
        guard let serve = command as? Serve else { throw CleanExit.helpRequest(Serve.self) }
        return serve
    }

    /// Values that are allowed one by one may contradict each other. The message then names flags;
    /// it is told of the key in the file or the variable that it is about.
    private func blame(_ error: any Error, _ loaded: Loaded) -> ConfigurationErrors? {
        guard !loaded.settings.values.isEmpty else { return nil }
        let text = Bootstorm.message(for: error)
        let about = loaded.settings.values.first { value in
            text.contains("--\(value.key) ") || value.texts.contains { text.isAbout(path: $0) }
        }
        // Flags alone are judged by their own message.
        if about == nil, (try? ServeLaunch.parsed(arguments.given)) == nil { return nil }
        let source = about?.source ?? loaded.settings.values[0].source.whole
        return ConfigurationErrors([
            ConfigurationError(source: source, message: ServeLaunch.message(for: error))
        ])
    }

    /// What a command says of an error, with keys in place of flags.
    static func message(for error: any Error) -> String {
        Bootstorm.message(for: error).replacing("--", with: "")
    }
}

extension ConfigurationError.Source {
    /// The file without a line.
    fileprivate var whole: ConfigurationError.Source {
        if case .file(let path, _, _) = self { return .file(path, line: nil) }
        return self
    }
}

extension String {
    /// Whether a message begins with the path of the file that it is about.
    fileprivate func isAbout(path: String) -> Bool {
        !path.isEmpty && ["\(path):", "\(path) ", "'\(path)'"].contains { hasPrefix($0) }
    }
}
