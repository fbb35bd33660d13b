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
            #expect(result.notes.contains { $0.text.hasPrefix("\(flag) ") }, "\(flag)")
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
            #expect(!result.notes.contains { $0.text.contains("cannot be set") }, "\(result.notes)")
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
            #expect(result.notes.contains { $0.text.hasPrefix("\(flag): ") }, "\(flag)")
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
            #expect(result.notes.contains { $0.text.hasPrefix("\(word): ") }, "\(word)")
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
            #expect(result.notes.contains { $0.text.hasPrefix("\(line): ") }, "\(line)")
        }
        try isRight(result)
    }

    @Test func dnsmasqWithoutTFTP() {
        let result = DnsmasqImport.configuration(
            of: DnsmasqImport.options(ofArguments: ["--port=0", "-u", "nobody", "-i", "eth0"]))
        #expect(result.notes.contains { $0.text.hasPrefix("no enable-tftp: ") })
        #expect(result.notes.contains { $0.text.hasPrefix("no tftp-root: ") })
        #expect(result.notes.contains { $0.text.hasPrefix("interface=eth0: ") })
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

    // MARK: Lines that are not taken over

    /// All notes with their places.
    private func notes(_ result: ImportedConfiguration) -> [String] {
        result.notes.map(\.description)
    }

    private func dnsmasq(_ text: String) -> ImportedConfiguration {
        DnsmasqImport.configuration(of: DnsmasqImport.options(ofFile: text, path: "d"))
    }

    /// dnsmasq serves the last folder alone.
    @Test func severalRootsOfDnsmasq() throws {
        let result = dnsmasq("enable-tftp\ntftp-root=/a\ntftp-root=/b\ntftp-root=/c,eth1\n")
        #expect(values(result, "root") == ["/b"])
        #expect(notes(result)[0] == "d:2: tftp-root=/a: tftp-root=/b takes its place")
        #expect(notes(result)[1].hasPrefix("d:4: tftp-root=/c,eth1: run another server"))
        try isRight(result)
    }

    /// dnsmasq answers on both, whichever is named first; blanks may be around commas.
    @Test func addressesAndInterfacesOfDnsmasq() throws {
        let result = dnsmasq(
            "enable-tftp\ntftp-root=/a\nlisten-address=127.0.0.1 , 10.9.8.7\ninterface=eth0\n")
        #expect(values(result, "listen") == ["127.0.0.1:69", "10.9.8.7:69"])
        #expect(notes(result)[0].hasPrefix("d:4: interface=eth0: add the address of eth0 to "))
        try isRight(result)
    }

    @Test func flagsOfDnsmasqWithBlanks() {
        let options = DnsmasqImport.options(ofArguments: [
            "-k", "--port", "0", "--log-facility", "-", "--enable-tftp", "--tftp-root", "/srv",
            "--tftp-port-range", "40000,40010", "--listen-address", "127.0.0.1",
        ])
        let result = DnsmasqImport.configuration(of: options)
        #expect(values(result, "root") == ["/srv"])
        #expect(values(result, "ports") == ["40000-40010"])
        #expect(values(result, "listen") == ["127.0.0.1:69"])
    }

    /// In dnsmasq a client with a folder of its own sees no other one.
    @Test func foldersOfOtherClients() {
        let result = dnsmasq("enable-tftp\ntftp-root=/a\ntftp-unique-root=mac\n")
        #expect(notes(result)[0].hasPrefix("d:3: tftp-unique-root=mac: a name that"))
    }

    /// The access list must not be lost.
    @Test func xinetd() throws {
        let result = HPAImport.configuration(
            ofFile: """
                defaults
                {
                    no_access = 10.9.0.0
                }
                service tftp
                {
                    socket_type = dgram
                    user        = tftp
                    server_args = -s /var/lib/tftpboot
                    server_args += --create
                    disable     = yes
                    per_source  = 11
                    flags       = IPv4 NODELAY
                    only_from   = 10.0.0.0/8 192.168.1.0
                    only_from   += boot.example
                    bind        = 10.0.0.1
                    port        = 6969
                }
                """, path: "x")
        #expect(values(result, "root") == ["/var/lib/tftpboot"])
        #expect(values(result, "upload") == ["overwrite"])
        #expect(values(result, "user") == ["tftp"])
        #expect(values(result, "listen") == ["10.0.0.1:6969"])
        #expect(values(result, "allow-read") == ["10.0.0.0/8", "192.168.1.0/24"])
        #expect(values(result, "allow-write") == ["10.0.0.0/8", "192.168.1.0/24"])
        #expect(values(result, "deny-read") == ["10.9.0.0/16"])
        let notes = notes(result)
        for text in [
            "x:11: disable = yes: ", "x:12: per_source = 11: ", "x:13: flags = NODELAY: ",
            "x:15: only_from = boot.example: ", "x:3: no_access and only_from: ",
        ] {
            #expect(notes.contains { $0.hasPrefix(text) }, "\(text)")
        }
        try isRight(result)
    }

    @Test func linesOfDefaultsFiles() throws {
        let result = HPAImport.configuration(
            ofFile: """
                RUN_DAEMON="yes"
                TFTP_OPTIONS="--secure \\
                  --create
                  --blocksize 1400"
                garbage here
                TFTP_DIRECTORY=/srv/old
                TFTP_DIRECTORY=/srv/tftp # the new one
                """, path: "t")
        #expect(values(result, "root") == ["/srv/tftp"])
        #expect(values(result, "upload") == ["overwrite"])
        #expect(values(result, "blksize-max") == ["1400"])
        #expect(
            notes(result) == [
                "t:1: RUN_DAEMON=yes: is not taken over",
                "t:6: TFTP_DIRECTORY=/srv/old: a later line sets it again",
                "t:5: garbage here: is not a NAME=VALUE line",
            ])
        try isRight(result)
    }

    /// A file without a setting comes to no configuration, rather than to one that takes uploads.
    @Test func aFileOfSomethingElse() {
        for result in [
            ATFTPImport.configuration(ofFile: "garbage here\n", path: "a"),
            HPAImport.configuration(ofFile: "garbage here\n", path: "a"),
        ] {
            #expect(result.settings == [])
            #expect(notes(result) == ["a:1: garbage here: is not a NAME=VALUE line"])
        }
    }

    @Test func unitsAndInetdTellWhatIsLost() {
        let unit = HPAImport.configuration(
            ofFile: """
                [Service]
                EnvironmentFile=/etc/x
                ExecStart=/usr/sbin/in.tftpd -s \\
                    $OPTIONS /srv/tftp
                IPAddressDeny=any
                """, path: "u")
        #expect(values(unit, "root") == ["/srv/tftp"])
        for text in ["u:2: EnvironmentFile=", "u:3: $OPTIONS: ", "u:5: IPAddressDeny=any: "] {
            #expect(notes(unit).contains { $0.hasPrefix(text) }, "\(text)")
        }
        let inetd = HPAImport.configuration(
            ofFile: "tftp dgram udp wait root /usr/sbin/tcpd in.tftpd -s /srv/tftp\n", path: "i")
        #expect(notes(inetd).contains { $0.hasPrefix("i:1: /usr/sbin/tcpd: hosts.allow") })
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
