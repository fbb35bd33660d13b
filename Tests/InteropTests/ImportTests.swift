import Foundation
import Testing

extension InteropTests {
    /// Configurations of other servers as guides show them: what `bootstorm import` makes of each
    /// serves the names that the original served.
    struct Imports {
        /// `ROOT` stands for a folder of the test's own.
        struct Example: Sendable, CustomTestStringConvertible {
            let title: String
            let server: String
            let text: String
            /// Further files in the same folder, by name.
            var others: [String: String] = [:]
            /// What is in the folder.
            let files: [String]
            /// Names as clients ask for them, and the file that each has to get.
            let served: [(name: String, file: String)]
            /// Names that get an ERROR.
            var refused: [String] = ["missing"]

            var testDescription: String { title }
        }

        static let examples = tftpdHPA + atftpd + dnsmasq

        private static let tftpdHPA = [
            Example(
                title: "Debian's default file of tftpd-hpa", server: "tftpd-hpa",
                text: """
                    # /etc/default/tftpd-hpa

                    TFTP_USERNAME="tftp"
                    TFTP_DIRECTORY="ROOT"
                    TFTP_ADDRESS=":69"
                    TFTP_OPTIONS="--secure"
                    """,
                files: ["pxelinux.0", "pxelinux.cfg/default"],
                served: [
                    ("pxelinux.0", "pxelinux.0"), ("/pxelinux.0", "pxelinux.0"),
                    ("pxelinux.cfg/default", "pxelinux.cfg/default"),
                ],
                refused: ["pxelinux.cfg/01-52-54-00-00-00-01", "../etc/passwd"]),
            Example(
                title: "a lab that takes uploads", server: "tftpd-hpa",
                text: """
                    TFTP_USERNAME=tftp
                    TFTP_DIRECTORY=ROOT
                    TFTP_ADDRESS=0.0.0.0:69
                    TFTP_OPTIONS="--secure --create --verbose --blocksize 1468"
                    """,
                files: ["router/startup.cfg"],
                served: [("router/startup.cfg", "router/startup.cfg")]),
            Example(
                title: "full paths", server: "tftpd-hpa",
                text: "TFTP_DIRECTORY='ROOT'\nTFTP_OPTIONS='-l -v -p'\n",
                files: ["boot/vmlinuz"],
                served: [("boot/vmlinuz", "boot/vmlinuz")]),
            Example(
                title: "xinetd", server: "tftpd-hpa",
                text: """
                    service tftp
                    {
                        socket_type  = dgram
                        protocol     = udp
                        wait         = yes
                        user         = root
                        server       = /usr/sbin/in.tftpd
                        server_args  = -s ROOT -B 1380
                        disable      = no
                        per_source   = 11
                        flags        = IPv4
                    }
                    """,
                files: ["images/pxeboot/vmlinuz"],
                served: [("/images/pxeboot/vmlinuz", "images/pxeboot/vmlinuz")]),
            Example(
                title: "a systemd unit", server: "tftpd-hpa",
                text: """
                    [Unit]
                    Description=Tftp Server

                    [Service]
                    ExecStart=/usr/sbin/in.tftpd -c -p -s ROOT
                    StandardInput=socket
                    """,
                files: ["grub2/grub.cfg"], served: [("grub2/grub.cfg", "grub2/grub.cfg")]),
        ]

        private static let atftpd = [
            Example(
                title: "Debian's default file of atftpd", server: "atftpd",
                text: """
                    ## Options for atftpd:
                    OPTIONS="--tftpd-timeout 300 --retry-timeout 5 --mcast-port 1758 --mcast-addr 239.239.239.0-255 \
                    --mcast-ttl 1 --maxthread 100 --verbose=5 ROOT"
                    """,
                files: ["linux.bin"],
                served: [("linux.bin", "linux.bin"), ("/linux.bin", "linux.bin")]),
            Example(
                title: "inetd", server: "atftpd",
                text: "tftp dgram udp4 wait nobody /usr/sbin/tcpd in.tftpd --no-tsize ROOT\n",
                files: ["a/b"], served: [("a/b", "a/b"), ("//a/b", "a/b")]),
            Example(
                title: "variables of a sysconfig file", server: "atftpd",
                text: "ATFTPD_OPTIONS=\"--daemon --user nobody\"\nATFTPD_DIRECTORY=\"ROOT\"\n",
                files: ["x"], served: [("x", "x")]),
        ]

        private static let dnsmasq = [
            Example(
                title: "a proxy for Raspberry Pis", server: "dnsmasq",
                text: """
                    port=0
                    dhcp-range=192.168.1.255,proxy
                    log-dhcp
                    enable-tftp
                    tftp-root=ROOT
                    pxe-service=0,"Raspberry Pi Boot"
                    """,
                files: ["bootcode.bin", "5eb2a8f1/config.txt"],
                served: [
                    ("bootcode.bin", "bootcode.bin"),
                    ("5eb2a8f1/config.txt", "5eb2a8f1/config.txt"),
                ],
                refused: ["5eb2a8f1/start4.elf"]),
            Example(
                title: "a folder of files", server: "dnsmasq",
                text: "# all is elsewhere\nconf-dir=FOLDER/dnsmasq.d,*.conf\n",
                others: [
                    "dnsmasq.d/tftp.conf": "enable-tftp=lo\ntftp-root=ROOT\ntftp-no-fail\n",
                    "dnsmasq.d/dhcp.conf": "dhcp-boot=lpxelinux.0\n",
                    "dnsmasq.d/old.bak": "tftp-root=/nowhere\n",
                ],
                files: ["lpxelinux.0"], served: [("lpxelinux.0", "lpxelinux.0")]),
            Example(
                title: "one port and short blocks", server: "dnsmasq",
                text: """
                    enable-tftp
                    tftp-root="ROOT"
                    tftp-single-port    # for the firewall
                    tftp-mtu=1400
                    tftp-max=500
                    dhcp-match=set:efi,option:client-arch,7
                    dhcp-boot=tag:efi,grubx64.efi
                    """,
                files: ["grubx64.efi", "grub/grub.cfg"],
                served: [("grubx64.efi", "grubx64.efi"), ("/grub/grub.cfg", "grub/grub.cfg")]),
        ]

        @Test(arguments: examples)
        func servesTheSameNames(_ example: Example) async throws {
            let folder = FileManager.default.temporaryDirectory
                .appending(path: "bootstorm-import-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: folder) }
            let root = folder.appending(path: "root")
            for name in example.files {
                try write("content of \(name)", to: root.appending(path: name))
            }
            for (name, text) in example.others {
                try write(filled(text, folder, root), to: folder.appending(path: name))
            }
            let original = folder.appending(path: "original.conf")
            try write(filled(example.text, folder, root), to: original)
            let configuration = folder.appending(path: "bootstorm.yaml")
            let imported = try await run(
                folder, ["import", example.server, original.path], to: configuration)
            #expect(imported == 0)
            // The users of other servers need not be on this host.
            let text = try String(contentsOf: configuration, encoding: .utf8)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            try write(
                lines.filter { !$0.hasPrefix("user:") && !$0.hasPrefix("group:") }
                    .joined(separator: "\n"),
                to: configuration)
            #expect(try await run(folder, ["check", configuration.path]) == 0)
            try await serve(configuration, folder) { port in
                for (name, file) in example.served {
                    let got = try await fetch(name, port, folder)
                    #expect(got == "content of \(file)", "\(name)")
                }
                for name in example.refused {
                    #expect(try await fetch(name, port, folder) == nil, "\(name)")
                }
            }
        }

        private func filled(_ text: String, _ folder: URL, _ root: URL) -> String {
            text.replacing("ROOT", with: root.path).replacing("FOLDER", with: folder.path)
        }

        private func write(_ text: String, to file: URL) throws {
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }

        /// Runs the program to its end. What it prints to standard output goes to `file`.
        private func run(
            _ folder: URL, _ arguments: [String], to file: URL? = nil
        ) async throws -> Int32 {
            let output = file ?? folder.appending(path: "stdout")
            let child = try ChildProcess(
                URL(filePath: "/bin/sh"),
                ["-c", "out=$1; shift; exec \"$@\" >\"$out\"", "sh", output.path]
                    + [Bootstorm.executable.path] + arguments,
                output: folder.appending(path: "run.out"))
            return try await child.exitStatus(within: .seconds(30))
        }

        /// On a port of its own, whatever the configuration says.
        private func serve(
            _ configuration: URL, _ folder: URL, _ body: (UInt16) async throws -> Void
        ) async throws {
            let child = try ChildProcess(
                Bootstorm.executable,
                ["serve", "--config", configuration.path, "--listen", "127.0.0.1:0"],
                output: folder.appending(path: "server.out"))
            defer { child.kill() }
            try await body(try await Bootstorm.port(listening: child))
        }

        /// nil if the server has no such file.
        private func fetch(_ name: String, _ port: UInt16, _ folder: URL) async throws -> String? {
            let file = folder.appending(path: "got")
            try? FileManager.default.removeItem(at: file)
            let status = try await run(
                folder, ["get", "tftp://127.0.0.1:\(port)/\(name)", "-o", file.path])
            guard status == 0 else { return nil }
            return try String(contentsOf: file, encoding: .utf8)
        }
    }
}
