internal import ArgumentParser
internal import TFTPServer

/// The flags that most servers are started with: a group of their own stands first in the help.
struct BasicOptions: ParsableArguments {
    @Option(
        help: .init(
            "ADDR:PORT to answer on; repeatable. ':69' is every address.", valueName: "addr:port"))
    var listen: [String] = Serve.listenDefault

    @Option(
        help: .init(
            """
            Configuration file; see 'bootstorm check --example'. (default: /etc/bootstorm/bootstorm.yaml, if it exists)
            """, valueName: "file"), completion: .file(extensions: ["yaml", "yml"]))
    var config: String?

    @Option(
        help: .init(
            """
            What clients may write: deny, create (new names only), existing (files that exist) or \
            overwrite.
            """, valueName: "mode"))
    var upload = TFTPServer.Configuration.Upload.deny
}
