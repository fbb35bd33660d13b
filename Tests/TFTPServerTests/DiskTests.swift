import Foundation
import Testing

extension ServerTests {
    /// A disk that stops reading and writing: a loop device whose file loses its end.
    struct DiskTests {
        /// A file system on a loop device, in the place of a scratch folder's root.
        private final class FailingDisk {
            private static let byteCount = 64 << 20
            private static let byteCountLeft = 10 << 20
            private let image: String
            private let device: String
            private let root: String

            init(_ scratch: Scratch) throws {
                image = scratch.folder + "/image"
                root = scratch.root
                let file = open(image, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
                guard file >= 0, ftruncate(file, Self.byteCount) == 0 else {
                    throw SocketError(call: "open \(image)")
                }
                close(file)
                // Without a journal: one that cannot be read would keep all from being mounted.
                _ = try FailingDisk.run("mke2fs", "-q", "-t", "ext2", image)
                device = try FailingDisk.run("losetup", "--find", "--show", image)
                try mountDisk()
            }

            deinit {
                umount2(root, Int32(MNT_DETACH))
                _ = try? FailingDisk.run("losetup", "--detach", device)
            }

            private func mountDisk() throws {
                guard mount(device, root, "ext2", UInt(MS_NOSUID | MS_NODEV), nil) == 0 else {
                    throw SocketError(call: "mount \(device)")
                }
            }

            /// What lies behind the first part is gone, and of the kernel's memory too.
            func breakDown() throws {
                guard umount2(root, 0) == 0, truncate(image, Self.byteCountLeft) == 0 else {
                    throw SocketError(call: "umount \(root)")
                }
                try mountDisk()
            }

            private static func run(_ words: String...) throws -> String {
                let process = Process()
                let pipe = Pipe()
                process.executableURL = URL(filePath: "/usr/bin/env")
                process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
                process.arguments = words
                process.standardOutput = pipe
                process.standardError = FileHandle.nullDevice
                try process.run()
                let output = pipe.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                guard process.terminationStatus == 0 else { throw SocketError(call: words[0]) }
                return String(decoding: output, as: UTF8.self).trimmingCharacters(in: .newlines)
            }

            /// Whether there are loop devices here.
            static let isPossible: Bool = {
                guard let scratch = try? Scratch() else { return false }
                return (try? FailingDisk(scratch)) != nil
            }()
        }

        private static let options: [Option] = [.blksize(8192), .windowsize(8)]

        /// A file whose blocks cannot be read ends in ERROR 0, after which boot loaders try no
        /// other name; what can be read is served on; and the log says once what is wrong.
        @Test(.enabled("only root may use loop devices") { FailingDisk.isPossible })
        func aDiskThatCannotBeRead() async throws {
            let scratch = try Scratch()
            defer { scratch.remove() }
            let disk = try FailingDisk(scratch)
            try scratch.write("small", Content.bytes(20_000))
            try scratch.write("large", Content.bytes(20 << 20))
            try disk.breakDown()
            try await TestServer.serve { _ in
            } configure: {
                $0.root = scratch.root
            } body: { server in
                for _ in 0..<2 {
                    let large = try server.get("large", Self.options)
                    #expect(large.state == .refused(0, "Input or output error"))
                    #expect(large.received > 0)
                    let small = try server.get("small", Self.options)
                    #expect(small.bytes == Content.bytes(20_000))
                }
                let isSaid = server.wait {
                    server.log.all.contains { $0.text.contains("Input/output") }
                }
                #expect(isSaid)
            }
        }

        /// What the disk has not taken is not acknowledged, and does not appear.
        @Test(.enabled("only root may use loop devices") { FailingDisk.isPossible })
        func aDiskThatCannotBeWritten() async throws {
            let scratch = try Scratch()
            defer { scratch.remove() }
            let disk = try FailingDisk(scratch)
            // The next file lies behind what is left.
            try scratch.write("filler", Content.bytes(12 << 20))
            try disk.breakDown()
            try await TestServer.serve { _ in
            } configure: {
                $0.root = scratch.root
                $0.upload = .create
            } body: { server in
                let put = try server.put("new", Content.bytes(3 << 20), Self.options)
                guard case .refused(let code, _) = put.state else {
                    Issue.record("\(put.state)")
                    return
                }
                #expect(code == 0 || code == 3)
                let kept = scratch.read("new")
                #expect(kept == nil)
            }
        }
    }
}
