import TFTPServer

/// What a host boots. `serial` stands for whatever you know of it: a database, a file, an inventory
/// service.
func script(for host: Substring, serial: Int) -> String {
    """
    #!ipxe
    set hostname node-\(host)
    set console ttyS0,115200n8
    echo Booting ${hostname} on ${net0/mac}, serial \(serial)
    kernel http://boot.example.net/vmlinuz hostname=${hostname} console=${console} ip=dhcp quiet
    initrd http://boot.example.net/initrd.img
    boot || shell

    """
}

// Hosts ask for cfg/NAME and get a script of their own; everything else comes from the folder.
//
//     PerHostConfigs /srv/tftp :6969
var configuration = TFTPServer.Configuration(root: CommandLine.arguments[1])
configuration.listen = [try TFTPServer.ListenAddress(CommandLine.arguments[2])]

let server = TFTPServer(configuration) { request in
    guard request.name.hasPrefix("cfg/") else { return .file }
    let host = request.name.dropFirst(4)
    return .text(script(for: host, serial: host.utf8.reduce(7) { $0 &* 31 &+ Int($1) }))
}
try await server.run()
