import Foundation
import Logging
import Metrics
import TFTPServer

// Serves a folder with settings from the command line and prints every second what they do: the
// rate, the transfers by outcome, and the blocks that had to be sent again.
//
//     Tuning /srv/tftp :6969 1468 16
let arguments = CommandLine.arguments
MetricsSystem.bootstrap(Tally.shared)

var configuration = TFTPServer.Configuration(root: arguments[1])
configuration.listen = [try TFTPServer.ListenAddress(arguments[2])]
if arguments.count > 3 { configuration.blksizeMax = UInt16(arguments[3]) ?? 65464 }
if arguments.count > 4 { configuration.windowsizeMax = UInt16(arguments[4]) ?? 65535 }

var logger = Logger(label: "tftp")
logger.logLevel = .warning
let server = TFTPServer(configuration, logger: logger)

let printing = Task {
    while true {
        try await Task.sleep(for: .seconds(1))
        if let line = Tally.shared.line() { print(line) }
        fflush(nil)
    }
}
try await server.run()
printing.cancel()
