import Foundation
import Testing

/// A real TFTP client, as its package installs it.
enum Client {
    case curl
    case tftpHPA
    case atftp
    case busybox

    /// Why the tests of a client are skipped where it is not installed.
    var isMissing: Comment { "\(program) is not installed" }

    var isInstalled: Bool {
        guard FileManager.default.isExecutableFile(atPath: executable.path) else { return false }
        return self != .tftpHPA || Client.isTFTPOfHPA
    }

    var executable: URL { URL(filePath: "/usr/bin/\(program)") }

    /// The arguments that come first always.
    var prefix: [String] {
        switch self {
        // Without the configuration file and the proxy of the user that runs the tests.
        case .curl: ["--disable", "--silent", "--show-error", "--noproxy", "*"]
        case .busybox: ["tftp"]
        case .tftpHPA, .atftp: []
        }
    }

    private var program: String {
        switch self {
        case .curl: "curl"
        case .tftpHPA: "tftp"
        case .atftp: "atftp"
        case .busybox: "busybox"
        }
    }

    /// Whether /usr/bin/tftp is the one of tftp-hpa: other packages install a client of that name
    /// with other arguments.
    private static let isTFTPOfHPA: Bool = {
        guard let program = try? Data(contentsOf: Client.tftpHPA.executable) else { return false }
        return program.range(of: Data("tftp-hpa".utf8)) != nil
    }()
}
