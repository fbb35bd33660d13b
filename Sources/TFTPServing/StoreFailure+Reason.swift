package import TFTPMetrics
package import TFTPStore

extension StoreFailure {
    /// What the log says. The client hears less.
    package var reason: RefusalReason {
        switch self {
        case .notFound: .notFound
        case .permission: .permission
        case .outside: .outsideRoot
        case .notRegular: .notRegular
        case .readOnly: .readOnly
        case .forbidden: .policy
        case .alreadyExists: .alreadyExists
        case .diskFull: .diskFull
        case .tooLarge: .tooLarge
        case .quota: .quota
        case .changed: .changed
        case .busy: .busy
        case .input: .inputOutput
        case .handler: .handlerFailed
        case .tooSlow: .handlerSlow
        case .noRoot: .noRoot
        case .nameTooLong: .nameTooLong
        }
    }
}
