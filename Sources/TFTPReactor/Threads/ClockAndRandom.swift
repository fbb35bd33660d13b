internal import CLinux

/// The clock of all deadlines: nanoseconds that do not go back.
package func monotonicNow() -> UInt64 { clinux_now() }

/// A random word from the system.
package func systemRandom() -> UInt64 { clinux_random() }
