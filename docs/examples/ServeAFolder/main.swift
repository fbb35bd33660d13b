import Logging
import ServiceLifecycle
import TFTPServer

// Serves a folder until SIGTERM or SIGINT, and lets running transfers finish then.
//
//     ServeAFolder /srv/tftp :6969
var configuration = TFTPServer.Configuration(root: CommandLine.arguments[1])
configuration.listen = [try TFTPServer.ListenAddress(CommandLine.arguments[2])]
configuration.drain = .seconds(10)

let logger = Logger(label: "tftp")
let server = TFTPServer(configuration, logger: logger)

Task {
    for address in try await server.waitUntilListening() { logger.info("listening on \(address)") }
    notifyReady()
}

let group = ServiceGroup(
    services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
try await group.run()
