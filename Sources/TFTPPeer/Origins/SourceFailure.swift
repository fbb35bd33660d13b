/// Why a source is left for another.
enum SourceFailure: Error, Equatable, CustomStringConvertible {
    case anotherVersion
    case status(Int)
    /// It denies access (401, 403), or an S3 service names an error: `code` in the service's words.
    case denied(status: Int, code: String?)
    case noAnswer
    case unknownHost
    case nothingListens
    /// The connection ended before the answer did.
    case closed
    /// No byte came for this duration.
    case stalled(Duration)
    case tooSlow
    /// It requests a retry, after this duration if given.
    case busy(status: Int, Duration?)
    /// It leads to another host or port.
    case otherHost(String)
    /// It leads on and on.
    case redirects
    case tls(TLSFailure)
    /// What it answers is not HTTP/1.
    case notHTTP
    case web(String)
    case noRange
    case wrongChunk(Int)
    /// All of a file is here, and not what its index says.
    case wrongDigest
    case tooLarge(UInt64)

    /// Why a connection is not secured.
    enum TLSFailure: Equatable {
        /// The server's certificate is not accepted.
        case certificate
        /// The server's certificate is for other names.
        case hostName
        /// The server wants a certificate, or another one.
        case clientCertificate
        case notTLS
        case other(String)
    }

    var description: String {
        switch self {
        case .anotherVersion: "it has another version by now"
        case .status(let code): "it answers with status \(code)"
        case .denied(let status, let code):
            "it answers with status \(status)\(code.map { " (\($0))" } ?? ""); \(SourceFailure.remedy(code))"
        case .noAnswer: "it does not answer in time"
        case .unknownHost: "no such host"
        case .nothingListens: "nothing listens there"
        case .closed: "the connection ended too early"
        case .stalled(let duration): "it has sent nothing for \(duration / .seconds(1)) s"
        case .tooSlow:
            "it sends less than \(RateFloor.byteCountMin) bytes in \(RateFloor.window / .seconds(1)) s"
        case .busy(let status, _): "it is busy (status \(status))"
        case .otherHost(let host): "it redirects to \(host), another host, which is not followed"
        case .redirects: "it redirects too often"
        case .tls(let failure): "the connection is not secure: \(failure.reason)"
        case .notHTTP: "its answer is not HTTP/1; check the port and the scheme"
        case .web(let text): "the request fails: \(text)"
        case .noRange: "it does not send the range that was asked for"
        case .wrongChunk(let index): "chunk \(index) is not what the manifest says"
        case .wrongDigest: "its content is not what the index says"
        case .tooLarge(let size): "\(size) bytes are more than any file may have"
        }
    }

    /// Whether it means that the file is not there, or not for this node: a service that may not
    /// list its files says so of a missing one.
    var isAbsence: Bool {
        guard case .denied(403, let code) = self else { return false }
        return code == nil || code == "AccessDenied"
    }

    /// Whether it may be over when the source is asked once more.
    var isPassing: Bool {
        switch self {
        case .closed: true
        case .status(let code): (500..<600).contains(code)
        default: false
        }
    }

    /// What to do about an error of an S3 service.
    private static func remedy(_ code: String?) -> String {
        switch code {
        case "NoSuchBucket": "make the bucket, or correct its name"
        case "RequestTimeTooSkewed": "set the clock of this host"
        case "PermanentRedirect", "AuthorizationHeaderMalformed":
            "the bucket is in another region, or at another endpoint"
        default: "check the credentials that this node shows it"
        }
    }
}

extension SourceFailure.TLSFailure {
    fileprivate var reason: String {
        switch self {
        case .certificate:
            "its certificate has expired, or no trusted authority has signed it; trust its authority, or renew it"
        case .hostName: "its certificate is for other host names"
        case .clientCertificate: "it wants a client certificate that it trusts"
        case .notTLS: "it does not speak TLS; check the port and the scheme"
        case .other(let text): text
        }
    }

    /// Reads the words of the TLS library.
    init(_ text: String) {
        func has(_ words: String...) -> Bool { words.contains { text.contains($0) } }
        if has("CERTIFICATE_VERIFY_FAILED") {
            self = .certificate
        } else if has("failedToValidateHostname", "noCertificateToValidate") {
            self = .hostName
        } else if has(
            "CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE",
            "ALERT_CERTIFICATE", "ALERT_HANDSHAKE_FAILURE", "ALERT_NO_CERTIFICATE")
        {
            self = .clientCertificate
        } else if has("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST") {
            self = .notTLS
        } else {
            // The library's number and the name of the error; the rest is a place in its source.
            let name = text.split { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }
                .first {
                    $0.contains("_")
                        && $0.allSatisfy { $0.isUppercase || "_0123456789".contains($0) }
                }
            self = .other(name.map(String.init) ?? "the handshake failed")
        }
    }
}
