extension Setting {
    /// How to look inside a server that runs.
    static let monitoring: [Setting] = [
        Setting(
            key: "control",
            kind: .text(
                expected: "a path, or 'none'",
                isValid: { !$0.isEmpty && $0.utf8.count <= ControlPath.byteCountMax }),
            example: [ControlPath.system],
            help: """
                Control socket for bootstorm status, trace and reload; 'none' for no socket.
                """),
        Setting(
            key: "http",
            kind: .text(
                expected: "an address such as 127.0.0.1:9469 or :9469",
                isValid: { HTTPAddress(argument: $0) != nil }),
            example: ["127.0.0.1:9469"],
            help: "Address for /metrics (Prometheus), /healthz and /readyz."),
    ]
}
