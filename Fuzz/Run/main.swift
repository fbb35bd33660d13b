import FuzzTargets
import Glibc

// libFuzzer's, which `tools/dev fuzz` links in.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// BootstormFuzz list | corpus TARGET FOLDER | run TARGET|TARGET-canary [LIBFUZZER-ARGUMENTS]
private let words = CommandLine.arguments
private let target = fuzzTargets.first {
    [$0.name, $0.name + "-canary"].contains(words.dropFirst(2).first)
}
private let hasMistake = words.dropFirst(2).first?.hasSuffix("-canary") == true

private func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
}

private func check(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    if let problem = target?.check(input, hasMistake) {
        say("PROBLEM: \(problem)")
        abort()
    }
    return 0
}

private func write(_ bytes: [UInt8], to path: String) {
    guard let file = fopen(path, "w") else { return }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
}

switch (words.dropFirst().first, target) {
case ("list", _):
    for target in fuzzTargets { print(target.name) }
case ("corpus", let target?) where words.count == 4:
    for (number, input) in target.corpus.enumerated() {
        write(input, to: "\(words[3])/seed-\(number)")
    }
    let lines = target.words.map { word in
        "\"" + word.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() + "\"\n"
    }
    write(Array(lines.joined().utf8), to: "\(words[3]).words")
case ("run", _?):
    // What libFuzzer takes for its own arguments.
    var count = CommandLine.argc - 2
    var arguments = CommandLine.unsafeArgv + 2
    exit(runFuzzer(&count, &arguments) { check($0, $1) })
default:
    say("usage: BootstormFuzz list | corpus TARGET FOLDER | run TARGET [ARGUMENTS]")
    exit(64)
}
