"""Configurations of other servers in the manner of guides, for `tools/differ import`."""

from dataclasses import dataclass, field

R, W, PRIVATE = 0o644, 0o666, 0o600

# What the start script of each server makes of /etc/default, a word each line.
VARIABLES = {
    "tftpd-hpa": '--user "$TFTP_USERNAME" --address "$TFTP_ADDRESS" $TFTP_OPTIONS "$TFTP_DIRECTORY"',
    "atftpd": "$OPTIONS",
}


@dataclass
class Case:
    title: str
    server: str
    # The first is the configuration. ROOT stands for the folder that is served, and FOLDER for the
    # one that it is in.
    files: dict
    # File modes; a text is the target of a symbolic link.
    tree: dict
    # Asked for besides the names of the tree.
    names: list = field(default_factory=list)
    # The server's arguments, where the configuration is not a file of variables.
    command: list = field(default_factory=list)
    open_folders: bool = False
    # Names are served besides those that the other server serves; the guide says which.
    serves_more: bool = False
    # Names that begin so are served by the other server, and here they are not yet.
    refused_here: str = ""


PXELINUX = {"pxelinux.0": R, "ldlinux.c32": R, "pxelinux.cfg/default": R, "pxelinux.cfg/7F000001": R}


def defaults(options, directory="ROOT", username="tftp", address=":69"):
    return (f'# /etc/default/tftpd-hpa\n\nTFTP_USERNAME="{username}"\nTFTP_DIRECTORY="{directory}"\n'
            f'TFTP_ADDRESS="{address}"\nTFTP_OPTIONS="{options}"\n')


HPA = [
    Case("tftpd-hpa: Debian's default file", "tftpd-hpa", {"tftpd-hpa": defaults("--secure")},
         {**PXELINUX, "private": PRIVATE, "open": W, "link": "pxelinux.0", "absolute": "/pxelinux.0",
          "outward": "FOLDER/secret"}),
    Case("tftpd-hpa: uploads of switches", "tftpd-hpa",
         {"tftpd-hpa": defaults("--secure --create --verbose", address="0.0.0.0:69")},
         {"firmware.bin": R, "backup/switch1.cfg": W, "closed": PRIVATE},
         names=["backup/switch2.cfg", "new.cfg", "nowhere/new.cfg"], open_folders=True),
    Case("tftpd-hpa: permissions of its user decide", "tftpd-hpa",
         {"tftpd-hpa": defaults("-s -c -p -U 027", username="nobody")},
         {"a": R, "group-only": 0o640, "backup/old": W, "closed": PRIVATE, "write-only": 0o622},
         names=["backup/new"], open_folders=True),
    Case("tftpd-hpa: full paths", "tftpd-hpa", {"tftpd-hpa": defaults("-v")},
         {"boot/vmlinuz": R, "boot/initrd.img": R, "private": PRIVATE},
         names=["ROOT", "ROOT/boot", "ROOTother", "boot/../boot/vmlinuz"],
         serves_more=True),
    Case("tftpd-hpa: Windows images", "tftpd-hpa",
         {"tftpd-hpa": defaults("-s -m FOLDER/tftpd.rules -v"), "tftpd.rules": """
# Windows separates folders by backslashes, and names the boot store in any case.
rg \\\\ /
ri ^/?boot/bcd$ Boot/BCD
ri ^/?boot/fonts/(.*)$ Boot/Fonts/\\1
r ^bootmgfw.efi Boot/bootmgfw.efi
"""},
         {"Boot/BCD": R, "Boot/Fonts/wgl4_boot.ttf": R, "Boot/bootmgfw.efi": R, "Boot/boot.sdi": R},
         names=["\\Boot\\BCD", "\\boot\\bcd", "boot\\fonts\\wgl4_boot.ttf", "bootmgfw.efi", "\\Boot\\boot.sdi",
                "/BOOT/BCD"]),
    Case("tftpd-hpa: rules by address", "tftpd-hpa",
         {"tftpd-hpa": defaults("--secure --map-file FOLDER/map"), "map": """
# Each machine has its own folder, by address; everything else is below images/.
re ^boot.cfg$ hosts/\\i/boot.cfg
re ^serial.cfg$ hosts/\\x.cfg
a [.]key$
rs ^/?v1/ images/old/
r ^/tftpboot/ /
~e ^[a-z0-9/.]+$ none
r ^img/ images/
"""},
         {"hosts/127.0.0.1/boot.cfg": R, "hosts/7F000001.cfg": R, "images/a.img": R, "images/old/a.img": R,
          "host.key": R},
         names=["boot.cfg", "serial.cfg", "img/a.img", "/tftpboot/images/a.img", "v1/a.img", "/v1/a.img", "UPPER"]),
    Case("tftpd-hpa: inetd", "tftpd-hpa",
         {"inetd.conf": "# services\ntftp dgram udp wait nobody /usr/sbin/tcpd /usr/sbin/in.tftpd -s -c ROOT\n"},
         {**PXELINUX, "config/router": W}, names=["config/other"], command=["-s", "-c", "ROOT"]),
    Case("tftpd-hpa: a unit", "tftpd-hpa",
         {"tftp.service": "[Unit]\nDescription=Tftp Server\nRequires=tftp.socket\n\n[Service]\n"
                          "ExecStart=/usr/sbin/in.tftpd -r blksize -s ROOT\nStandardInput=socket\n"},
         {"grub2/grub.cfg": R, "grub2/x86_64-efi/normal.mod": R}, command=["-r", "blksize", "-s", "ROOT"]),
    Case("tftpd-hpa: two folders", "tftpd-hpa",
         {"tftpd-hpa": 'TFTP_OPTIONS="-v"\nTFTP_DIRECTORY="ROOT/one ROOT/two"\n'},
         {"one/a": R, "two/b": R, "two/a": R}, names=["a", "b", "/a", "/b"], command=["-v", "ROOT/one", "ROOT/two"],
         serves_more=True, refused_here="ROOT/two/"),
]

ATFTPD = [
    Case("atftpd: Debian's default file", "atftpd",
         {"atftpd": '## Uncomment the following line to use inetd\n#USE_INETD=true\n'
                    'OPTIONS="--port 69 --tftpd-timeout 300 --retry-timeout 5 --mcast-port 1758 '
                    '--mcast-addr 239.239.239.0-255 --mcast-ttl 1 --maxthread 100 --verbose=5 ROOT"\n'},
         {**PXELINUX, "private": PRIVATE, "open": W, "link": "pxelinux.0", "outward": "FOLDER/secret"}),
    Case("atftpd: patterns", "atftpd",
         {"atftpd": 'USE_INETD=false\nOPTIONS="--daemon --pcre FOLDER/patterns --maxthread 200 ROOT"\n',
          "patterns": "^(pxelinux.cfg/)[A-F0-9]+$ $1default\n(?i)^boot/(.*)[.]efi$ efi/$1.efi\n^kernel$ vmlinuz\n"},
         {"pxelinux.cfg/default": R, "efi/grubx64.efi": R, "vmlinuz": R},
         names=["kernel", "boot/grubx64.efi", "BOOT/grubx64.EFI", "pxelinux.cfg/C0A80001"]),
    Case("atftpd: a place for uploads", "atftpd",
         {"atftpd": 'OPTIONS="--daemon --no-multicast --no-blksize ROOT"\n'},
         {"cisco/running-config": W, "cisco/ios.bin": R, "closed": PRIVATE},
         names=["cisco/new-config", "new", "none/new"], open_folders=True),
    Case("atftpd: inetd", "atftpd",
         {"inetd.conf": "tftp dgram udp4 wait nobody /usr/sbin/tcpd /usr/sbin/in.tftpd --no-tsize ROOT\n"},
         {"a/b": R, "c": W}, command=["--no-tsize", "ROOT"]),
]

DNSMASQ = [
    Case("dnsmasq: PXE beside DHCP", "dnsmasq",
         {"dnsmasq.conf": "# DHCP for the lab\nport=0\ndhcp-range=10.9.0.50,10.9.0.150,12h\n"
                          "enable-tftp\ntftp-root=ROOT\n"
                          "dhcp-match=set:efi,option:client-arch,7\ndhcp-boot=pxelinux.0\n"
                          "dhcp-boot=tag:efi,grubx64.efi\n"},
         {**PXELINUX, "private": PRIVATE, "link": "pxelinux.0", "outward": "FOLDER/secret"}),
    Case("dnsmasq: Raspberry Pis", "dnsmasq",
         {"dnsmasq.conf": "port=0\ndhcp-range=10.9.0.255,proxy\nlog-dhcp\nenable-tftp\ntftp-root=ROOT\n"
                          'tftp-unique-root\npxe-service=0,"Raspberry Pi Boot"\n'},
         {"127.0.0.1/config.txt": R, "127.0.0.1/start4.elf": R, "start4.elf": R, "bootcode.bin": R},
         names=["config.txt", "start4.elf", "5eb2a8f1/start4.elf"], serves_more=True),
    Case("dnsmasq: lower case", "dnsmasq",
         {"dnsmasq.conf": "conf-dir=FOLDER/dnsmasq.d/,*.conf\n",
          "dnsmasq.d/tftp.conf": "enable-tftp\ntftp-lowercase\ntftp-root=ROOT\n",
          "dnsmasq.d/old.bak": "tftp-root=/nowhere\n"},
         {"boot/bcd": R, "bootmgr.exe": R}, names=["BOOTMGR.EXE", "\\Boot\\BCD", "Boot/BCD"]),
    Case("dnsmasq: one port", "dnsmasq",
         {"dnsmasq.conf": "enable-tftp=lo\ntftp-root=\"ROOT\"   # the tree\ntftp-single-port\ntftp-max=500\n"
                          "tftp-mtu=1400\nquiet-tftp\n"},
         {"grubx64.efi": R, "grub/grub.cfg": R}),
]

ALL = [*HPA, *ATFTPD, *DNSMASQ]
