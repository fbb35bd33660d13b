import Testing

@testable import bootstorm

/// Documents with the lines of their nodes, and what is wrong with others.
struct YAMLTests {
    @Test func nodesKnowTheirPlace() throws {
        let root = try #require(
            try YAMLDocument.root(of: "# a\na: 1\nb:\n  - 'x'\n  - {c: \"ü\"}\n"))
        let pairs = try #require(root.mapping)
        #expect(pairs.map(\.key.text) == ["a", "b"])
        #expect(pairs.map(\.key.line) == [2, 3])
        #expect(pairs[0].value.text == "1" && pairs[0].value.column == 4)
        let list = try #require(pairs[1].value.sequence)
        #expect(list.map(\.line) == [4, 5])
        #expect(list[0].text == "x")
        #expect(list[1].mapping?.first?.value.text == "ü")
    }

    @Test(arguments: ["", "# nothing", "\n\n"])
    func withoutANode(text: String) throws {
        let root = try YAMLDocument.root(of: text)
        #expect(root == nil)
    }

    /// An alias is the node that it stands for.
    @Test func aliases() throws {
        let root = try #require(try YAMLDocument.root(of: "a: &x [1, 2]\nb: *x\n"))
        #expect(root.mapping?[1].value.sequence?.map(\.text) == ["1", "2"])
    }

    @Test(arguments: [
        ("a: [", 2, 1), ("a: b: c", 1, 5), ("a:\n\t- b", 2, 1), ("*a", 1, 1),
        ("a: 1\n---\nb: 2\n", 2, 1),
    ])
    func wrongTexts(text: String, line: Int, column: Int) throws {
        let error = #expect(throws: YAMLError.self) { try YAMLDocument.root(of: text) }
        #expect(error?.line == line, "\(String(describing: error))")
        #expect(error?.column == column)
        #expect(error?.description.hasPrefix("not YAML: ") == true)
    }

    /// A key that is given twice is told where it is the second time.
    @Test func aKeyTwice() {
        let error = YAMLError(problem: .keyTwice("b"), line: 3, column: 3)
        #expect(throws: error) { try YAMLDocument.root(of: "a:\n  b: 1\n  b: 2\n") }
    }

    /// Aliases can make a document without an end, and a small file a large one.
    @Test func limits() {
        #expect(throws: YAMLError.self) { try YAMLDocument.root(of: "&a [*a]") }
        let levels = (1...9).map { "\($0): &\($0) [" + "*\($0 - 1), " * 12 + "]" }
        let laughs = "0: &0 x\n" + levels.joined(separator: "\n")
        let error = #expect(throws: YAMLError.self) {
            try YAMLDocument.root(of: laughs, nodesMax: 10_000)
        }
        #expect(error?.problem == .tooLarge)
        let long = "0: &0 " + String(repeating: "x", count: 1 << 20) + "\n"
        let manyTimes = "1: [" + String(repeating: "*0, ", count: 64) + "]\n"
        #expect(throws: YAMLError.self) { try YAMLDocument.root(of: long + manyTimes) }
        let deep = String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
        #expect(throws: YAMLError.self) { try YAMLDocument.root(of: deep) }
    }

    /// Neither NUL nor what is not UTF-8 stops the reader half way.
    @Test func bytesThatNoFileHas() {
        #expect(throws: YAMLError.self) { try YAMLDocument.root(of: "a: \u{0}b") }
    }
}

private func * (text: String, count: Int) -> String { String(repeating: text, count: count) }
