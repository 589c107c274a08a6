import Foundation
import NIOSSL

/// A certificate authority of one test, made with the openssl command.
struct TestAuthority {
    /// A certificate and its key, PEM.
    struct Identity: Sendable {
        var certificate: [UInt8]
        var key: [UInt8]

        /// For comparison with what a peer showed.
        func der() throws -> [UInt8] { try NIOSSLCertificate(bytes: certificate, format: .pem).toDERBytes() }
    }

    private let folder: URL

    /// - Parameter folder: where the files go; the caller removes it.
    init(_ folder: URL, name: String = "test-authority") throws {
        self.folder = folder
        let configuration = """
            [req]
            distinguished_name = name
            [name]
            [authority]
            basicConstraints = critical,CA:TRUE
            keyUsage = critical,keyCertSign
            [server]
            basicConstraints = CA:FALSE
            extendedKeyUsage = serverAuth
            subjectAltName = IP:127.0.0.1
            [elsewhere]
            basicConstraints = CA:FALSE
            extendedKeyUsage = serverAuth
            subjectAltName = IP:192.0.2.1, DNS:elsewhere.test
            [client]
            basicConstraints = CA:FALSE
            extendedKeyUsage = clientAuth
            """
        try Data(configuration.utf8).write(to: folder.appending(path: "openssl.cnf"))
        try request("authority", section: "authority", subject: "/CN=\(name)", [])
    }

    /// The authority's own certificate.
    var certificate: [UInt8] {
        get throws { [UInt8](try Data(contentsOf: folder.appending(path: "authority.pem"))) }
    }

    /// For 127.0.0.1.
    func server() throws -> Identity { try issue("server", section: "server", subject: "/CN=test-server") }

    /// For a server that is not the test's.
    func otherServer() throws -> Identity { try issue("elsewhere", section: "elsewhere", subject: "/CN=127.0.0.1") }

    func client(_ name: String) throws -> Identity {
        try issue(name, section: "client", subject: "/O=system:masters/CN=\(name)")
    }

    private func issue(_ file: String, section: String, subject: String) throws -> Identity {
        try request(file, section: section, subject: subject, ["-CA", "authority.pem", "-CAkey", "authority.key"])
        return Identity(
            certificate: [UInt8](try Data(contentsOf: folder.appending(path: "\(file).pem"))),
            key: [UInt8](try Data(contentsOf: folder.appending(path: "\(file).key"))))
    }

    private func request(_ file: String, section: String, subject: String, _ more: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/openssl")
        process.currentDirectoryURL = folder
        process.arguments =
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-days",
                "2",
                "-config", "openssl.cnf", "-extensions", section, "-subj", subject, "-keyout", "\(file).key", "-out",
                "\(file).pem",
            ] + more
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
