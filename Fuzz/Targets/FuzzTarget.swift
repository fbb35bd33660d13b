/// Something that reads what others write, and what must hold whatever it reads. Public for Fuzz/
/// alone.
public struct FuzzTarget: Sendable {
    public let name: String
    /// Inputs to begin with.
    public let corpus: [[UInt8]]
    /// Words that inputs are made of.
    public let words: [[UInt8]]
    /// What does not hold for an input, in words; nil where all does.
    ///
    /// The second argument is true for the canary: the same reader with a mistake, which a fuzzer
    /// has to find.
    public let check: @Sendable (_ input: [UInt8], _ hasMistake: Bool) -> String?

    package init(
        _ name: String, corpus: [[UInt8]], words: [String],
        check: @escaping @Sendable ([UInt8], Bool) -> String?
    ) {
        self.name = name
        self.corpus = corpus
        self.words = words.map { Array($0.utf8) }
        self.check = check
    }

    package init(
        _ name: String, texts: [String], words: [String],
        check: @escaping @Sendable ([UInt8], Bool) -> String?
    ) {
        self.init(name, corpus: texts.map { Array($0.utf8) }, words: words, check: check)
    }
}

/// All targets of the libraries without threads and sockets.
public let fuzzTargets: [FuzzTarget] = [
    packetTarget, optionTarget, nameTarget, netasciiTarget, mapRuleTarget, patternTarget,
    sealedRequestTarget, keyFileTarget,
]
