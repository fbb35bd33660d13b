internal import TFTPLoad

/// The lines that bring a setting to servers and boot clients, each with its program.
struct TuneLines {
    let setting: TuneSetting

    var all: [(target: String, line: String)] {
        let (blksize, windowsize) = (setting.blksize, setting.windowsize)
        let pcd = "--pcd gEfiNetworkPkgTokenSpaceGuid"
        let ramdisk = "bcdedit /store BCD /set {ramdiskoptions}"
        return [
            (
                "bootstorm",
                "bootstorm serve FOLDER --blksize-max \(blksize) --windowsize-max \(windowsize)"
            ),
            ("U-Boot", "setenv tftpblocksize \(blksize); setenv tftpwindowsize \(windowsize)"),
            ("barebox", "global.tftp.windowsize=\(min(windowsize, 128))  (its blksize is 1432)"),
            (
                "edk2 (UEFI)",
                "build \(pcd).PcdTftpBlockSize=\(blksize) \(pcd).PcdPxeTftpWindowSize=\(windowsize)"
            ),
            ("Windows", "\(ramdisk) ramdisktftpblocksize \(blksize)"),
            ("", "\(ramdisk) ramdisktftpwindowsize \(windowsize)"),
            (
                "atftp",
                "atftp --option \"blksize \(blksize)\" --option \"windowsize \(windowsize)\" --get -r NAME HOST"
            ),
            ("curl", "curl --tftp-blksize \(blksize) -O tftp://HOST/NAME  (it knows no windows)"),
            ("iPXE", "cannot be set: it asks for blksize 1432 in lockstep"),
            ("GRUB", "cannot be set: it asks for blksize 1024 in lockstep"),
            ("PXELINUX", "cannot be set: it asks for blksize 1408 in lockstep"),
        ]
    }

    /// For a terminal.
    var text: [String] { all.map { padded($0.target, 13) + $0.line } }
}

/// `text` with spaces behind it, or in front of it, up to `width`.
func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
    let padding = String(repeating: " ", count: max(0, width - text.count))
    return left ? padding + text : text + padding
}
