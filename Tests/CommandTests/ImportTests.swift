import Testing

@testable import bootstorm

/// What other servers' configurations come to.
struct ImportTests {
    private func values(_ result: ImportedConfiguration, _ key: String) -> [String] {
        result.values(of: key)
    }

    /// The file that Debian's package of tftpd-hpa installs.
    @Test func debianTFTPDHPA() throws {
        let result = HPAImport.configuration(
            ofFile: """
                # /etc/default/tftpd-hpa

                TFTP_USERNAME="tftp"
                TFTP_DIRECTORY="/srv/tftp"
                TFTP_ADDRESS=":69"
                TFTP_OPTIONS="--secure"

                """)
        #expect(values(result, "root") == ["/srv/tftp"])
        #expect(values(result, "listen") == [":69"])
        // Without --create, in.tftpd writes files that exist and are world-writable.
        #expect(values(result, "upload") == ["existing"])
        try isRight(result)
    }

    /// The line that Debian's package of atftpd makes of its default answers.
    @Test func debianATFTPD() throws {
        let result = ATFTPImport.configuration(
            ofFile: """
                ## Options for atftpd:
                OPTIONS="--tftpd-timeout 300 --retry-timeout 5 --mcast-port 1758 \
                --mcast-addr 239.239.239.0-255 --mcast-ttl 1 --maxthread 100 --verbose=5 /srv/tftp"

                """)
        #expect(values(result, "root") == ["/srv/tftp"])
        #expect(values(result, "log-level") == ["info"])
        #expect(result.refusedOptions == [])
        // Six flags have nothing to take their place here, and each is named.
        for flag in [
            "--tftpd-timeout", "--retry-timeout", "--mcast-port", "--mcast-addr", "--mcast-ttl",
            "--maxthread",
        ] {
            #expect(result.notes.contains { $0.hasPrefix("\(flag) ") }, "\(flag)")
        }
        try isRight(result)
    }

    /// Settings that a converter names must exist, or the user loses them.
    @Test func theNamesOfSettings() throws {
        let hpa = HPAImport.configuration(ofArguments: ["-s", "-p", "-m", "map", "/srv/tftp"])
        #expect(values(hpa, "serve-unreadable") == ["true"])
        #expect(values(hpa, "map-hpa") == ["map"])
        let atftpd = ATFTPImport.configuration(
            ofFile: "OPTIONS=\"--daemon --pcre /etc/patterns /srv/tftp\"")
        #expect(values(atftpd, "pcre") == ["/etc/patterns"])
        let dnsmasq = DnsmasqImport.configuration(
            of: DnsmasqImport.options(ofArguments: [
                "--enable-tftp", "--tftp-root=/srv/tftp", "--tftp-unique-root=mac",
            ]))
        #expect(values(dnsmasq, "unique-root") == ["mac"])
        for result in [hpa, atftpd, dnsmasq] {
            #expect(!result.notes.contains { $0.contains("cannot be set") }, "\(result.notes)")
        }
    }

    @Test func everyFlagOfTFTPDHPA() throws {
        let result = HPAImport.configuration(ofArguments: [
            "-4", "-l", "-L", "-a", "10.0.0.1:6969", "-c", "-s", "-u", "tftp", "-U", "022", "-p",
            "-P", "/run/t.pid", "-t", "900", "-T", "1000000", "-m", "/etc/tftpd.map", "-v", "-v",
            "--verbosity", "2", "-r", "blksize", "-r", "tsize", "-B1468", "-R", "4096:8191", "-V",
            "/srv/tftp",
        ])
        #expect(values(result, "root") == ["/srv/tftp"])
        #expect(values(result, "listen") == ["10.0.0.1:6969"])
        #expect(values(result, "blksize-max") == ["1468"])
        #expect(values(result, "ports") == ["4096-8191"])
        #expect(values(result, "upload") == ["overwrite"])
        #expect(result.refusedOptions == ["blksize", "tsize"])
        for flag in ["--timeout 900", "--retransmit 1000000", "--pidfile /run/t.pid"] {
            #expect(result.notes.contains { $0.hasPrefix("\(flag): ") }, "\(flag)")
        }
        try isRight(result)
    }

    /// Long flags may be cut short, and unknown ones are named.
    @Test func gettingOptions() {
        let result = HPAImport.configuration(ofArguments: [
            "--sec", "--blocksize=1400", "--ver", "--nonsense", "-x", "--", "/srv",
        ])
        #expect(values(result, "root") == ["/srv"])
        #expect(values(result, "blksize-max") == ["1400"])
        // --ver is the beginning of three names.
        for word in ["--ver", "--nonsense", "-x"] {
            #expect(result.notes.contains { $0.hasPrefix("\(word): ") }, "\(word)")
        }
    }

    @Test func familiesOfAddresses() {
        func listen(_ words: String...) -> [String] {
            HPAImport.configuration(ofArguments: words + ["/s"]).values(of: "listen")
        }
        #expect(listen() == [])
        #expect(listen("-4") == ["0.0.0.0:69"])
        #expect(listen("-6") == ["[::]:69"])
        #expect(listen("-4", "-a", ":6969") == ["0.0.0.0:6969"])
        #expect(listen("-a", "[::1]:69") == ["[::1]:69"])
        #expect(listen("-a", "host.example.net:69") == [])
    }

    @Test func inetdLines() {
        let text = """
            # tftp dgram udp wait root /x /x /old
            tftp dgram udp4 wait nobody /usr/sbin/tcpd /usr/sbin/in.tftpd -s /srv/tftp
            """
        #expect(HPAImport.configuration(ofFile: text).values(of: "root") == ["/srv/tftp"])
        let other = "tftp dgram udp4 wait nobody /usr/sbin/tcpd in.tftpd --no-blksize /srv/boot"
        let result = ATFTPImport.configuration(ofFile: other)
        #expect(result.values(of: "root") == ["/srv/boot"])
    }

    @Test func everyFlagOfDnsmasq() throws {
        let options = DnsmasqImport.options(
            ofFile: """
                # dnsmasq.conf
                port=0
                enable-tftp=eth0,eth1
                tftp-root="/var/lib/tftp root"   # with a blank
                tftp-root=/srv/lab,eth1
                tftp-no-fail
                tftp-secure
                tftp-max=200
                tftp-mtu=1500
                tftp-no-blocksize
                tftp-port-range=4000,5000
                quiet-tftp
                listen-address=10.0.0.1,fd00::1
                dhcp-range=10.0.0.50,10.0.0.150,12h
                dhcp-boot=pxelinux.0#not a comment
                """)
        let result = DnsmasqImport.configuration(of: options)
        #expect(values(result, "root") == ["/var/lib/tftp root"])
        #expect(values(result, "blksize-max") == ["1468"])
        #expect(values(result, "ports") == ["4000-5000"])
        #expect(values(result, "listen") == ["10.0.0.1:69", "[fd00::1]:69"])
        #expect(result.refusedOptions == ["blksize"])
        for line in [
            "tftp-root=/srv/lab,eth1", "tftp-no-fail", "tftp-secure", "tftp-max=200",
            "3 options of DNS and DHCP",
        ] {
            #expect(result.notes.contains { $0.hasPrefix("\(line): ") }, "\(line)")
        }
        try isRight(result)
    }

    @Test func dnsmasqWithoutTFTP() {
        let result = DnsmasqImport.configuration(
            of: DnsmasqImport.options(ofArguments: ["--port=0", "-u", "nobody", "-i", "eth0"]))
        #expect(result.notes.contains { $0.hasPrefix("no enable-tftp: ") })
        #expect(result.notes.contains { $0.hasPrefix("no tftp-root: ") })
        #expect(result.notes.contains { $0.hasPrefix("interface eth0: ") })
    }

    @Test func unitsAndVariables() {
        let unit = "[Service]\nExecStart=/usr/sbin/in.tftpd -s '/srv/a b'\nUser=tftp\n"
        #expect(HPAImport.configuration(ofFile: unit).values(of: "root") == ["/srv/a b"])
        let xinetd = "service tftp\n{\n  server_args = -s /srv/tftp\n  user = root\n}\n"
        #expect(HPAImport.configuration(ofFile: xinetd).values(of: "root") == ["/srv/tftp"])
        let variables = "INTFTPD_PATH=\"/t\"\nINTFTPD_OPTS=\"-R 4096:5000 -s ${INTFTPD_PATH}\"\n"
        let result = HPAImport.configuration(ofFile: variables)
        #expect(result.values(of: "root") == ["/t"])
        #expect(result.values(of: "ports") == ["4096-5000"])
    }

    @Test(arguments: [
        ("a b", ["a", "b"]), ("  a\tb ", ["a", "b"]), ("'a b' c", ["a b", "c"]),
        ("\"a 'b'\"", ["a 'b'"]), ("a\\ b", ["a b"]), ("''", [""]), ("", []),
        ("--x=\"1 2\"3", ["--x=1 23"]), ("'a\\b'", ["a\\b"]),
    ])
    func shellWords(line: String, words: [String]) {
        #expect(ShellWords.split(line) == words)
    }

    /// The file that is written is one that `check` finds no error in.
    private func isRight(_ result: ImportedConfiguration) throws {
        _ = try ConfigurationFile(path: "imported", text: result.yaml(of: "a test"))
    }
}
