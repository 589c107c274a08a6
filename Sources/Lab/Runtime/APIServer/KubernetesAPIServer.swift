import AsyncHTTPClient
import Foundation
import Glibc
import Logging
import NIOCore
import NIOHTTP1

/// An API server made of Kubernetes' own libraries over etcd, or kube-apiserver itself, as the lab's: HTTPS with a token
/// on loopback, and a unix socket before it for the nodes, whose network namespaces do not reach this one's loopback.
///
/// The programs come from `make apiserver` (scripts/apiserver), which keeps them outside of the repository. Neither runs
/// with Kubernetes' controllers: what becomes of pods is the lab's kubelet's affair, as it is on the embedded server, and
/// nothing collects objects whose owners have gone.
struct KubernetesAPIServer: Sendable {
    /// Where the two programs lie.
    struct Programs: Sendable, Equatable {
        var etcd: String
        var server: String

        /// File name of the server.
        var name: String { URL(filePath: server).lastPathComponent }

        /// Those of the build that is current in this user's cache.
        ///
        /// - Parameter program: file name of the server.
        /// - Throws: `invalidInput` if there is none.
        static func find(_ program: String, environment: [String: String]) throws -> Programs {
            let home = environment["HOME"] ?? "/root"
            let cache = environment["XDG_CACHE_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.cache"
            let folder = "\(cache)/egress-gateway/apiserver/\(program)"
            let programs = Programs(etcd: "\(folder)/etcd", server: "\(folder)/\(program)")
            for path in [programs.etcd, programs.server]
            where !FileManager.default.isExecutableFile(atPath: path) {
                throw LabError(
                    code: .invalidInput, message: "there is no program \(path)",
                    advice: "build it once, as the same user, with: make apiserver")
            }
            return programs
        }
    }

    /// Below the lab's state directory.
    struct Files: Sendable {
        var folder: String
        var data: String { "\(folder)/etcd" }
        var certificate: String { "\(folder)/server.pem" }
        var key: String { "\(folder)/server.key" }
        var tokens: String { "\(folder)/tokens.csv" }
    }

    let files: Files
    let socketPath: String
    let etcd: DaemonProcess
    let server: DaemonProcess
    private let port: Int
    private let token: String

    /// Time from start to readiness; seconds on an idle machine.
    private static let startLimit = Duration.seconds(60)

    /// Writes certificate, key and token, and picks ports. Starts nothing.
    init(programs: Programs, layout: LabLayout, logger: Logger) throws {
        files = Files(folder: layout.apiServerStorage)
        socketPath = layout.apiServerSocket
        try FileManager.default.createDirectory(
            atPath: files.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let made = try AzureSimulator.ServerCertificate.selfSigned()
        token = (0..<4).map { _ in Self.hexadecimal(UInt64.random(in: .min ... .max)) }.joined()
        for (text, path) in [
            (made.certificate, files.certificate), (made.key, files.key),
            ("\(token),admin,admin,system:masters\n", files.tokens),
        ] { try Self.writeSecret(text, path) }
        let ports = try FreePorts.three()
        port = ports.0
        let client = "http://127.0.0.1:\(ports.1)"
        let peer = "http://127.0.0.1:\(ports.2)"
        // Without fsync: the lab need not survive the machine.
        etcd = DaemonProcess(
            name: "etcd",
            command: ChildCommand(
                programs.etcd,
                [
                    "--name", "lab", "--data-dir", files.data, "--unsafe-no-fsync", "--log-level", "error",
                    "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
                    "--initial-advertise-peer-urls", peer, "--initial-cluster", "lab=\(peer)",
                ]), logFile: layout.log(of: "etcd"), logger: logger)
        let arguments =
            programs.name == LabPlan.APIServer.kubernetes1_20.program
            ? Self.kubernetesArguments(files, etcd: client, port: port)
            : [
                "-etcd", client, "-port", "\(port)", "-certificate", files.certificate, "-key", files.key,
                "-tokens", files.tokens,
            ]
        server = DaemonProcess(
            name: programs.name, command: ChildCommand(programs.server, arguments),
            logFile: layout.log(of: programs.name), logger: logger)
    }

    /// Arguments of kube-apiserver. Pods need no ServiceAccount, which a controller would have to make first.
    private static func kubernetesArguments(_ files: Files, etcd: String, port: Int) -> [String] {
        [
            "--etcd-servers=\(etcd)", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
            "--secure-port=\(port)", "--insecure-port=0", "--endpoint-reconciler-type=none",
            "--tls-cert-file=\(files.certificate)", "--tls-private-key-file=\(files.key)",
            "--token-auth-file=\(files.tokens)", "--authorization-mode=RBAC", "--allow-privileged",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-signing-key-file=\(files.key)", "--service-account-key-file=\(files.certificate)",
            "--service-cluster-ip-range=10.96.0.0/16", "--disable-admission-plugins=ServiceAccount",
        ]
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// For its owner alone.
    private static func writeSecret(_ text: String, _ path: String) throws {
        guard
            FileManager.default.createFile(
                atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
        else {
            throw LabError(code: .system, message: "cannot write \(path)", advice: "check the state directory")
        }
    }

    /// The socket that the nodes reach the server by.
    var bridge: SocketBridge { SocketBridge(socketPath: socketPath, port: port, authority: files.certificate) }

    /// Writes the kubeconfigs: TLS for who is on the machine, the socket for who is on a node.
    func writeKubeconfigs(_ layout: LabLayout) throws {
        let direct = """
            server: "https://127.0.0.1:\(port)", certificate-authority: "\(files.certificate)"
            """
        try Self.writeSecret(kubeconfig(cluster: direct), layout.kubeconfig)
        let socket = EmbeddedAPIServer.Endpoint.unixSocket(path: socketPath).serverURL
        try Self.writeSecret(kubeconfig(cluster: "server: \"\(socket)\""), layout.socketKubeconfig)
    }

    private func kubeconfig(cluster: String) -> String {
        """
        apiVersion: v1
        kind: Config
        clusters:
        - { name: egress-lab, cluster: { \(cluster) } }
        users:
        - { name: egress-lab, user: { token: "\(token)" } }
        contexts:
        - { name: egress-lab, context: { cluster: egress-lab, user: egress-lab, namespace: default } }
        current-context: egress-lab

        """
    }

    /// Waits until the server says that it is ready, through the socket.
    func awaitReady(hint: String) async throws {
        guard let url = URL(httpURLWithSocketPath: socketPath, uri: "/readyz") else {
            throw LabError(
                code: .invalidInput, message: "socket path \"\(socketPath)\" is not allowed",
                advice: "use another state directory")
        }
        var request = HTTPClientRequest(url: url.absoluteString)
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
        request.headers.add(name: "Host", value: "localhost")
        let asked = request
        _ = try await BoundedWait.until(
            "the API server over etcd", within: Self.startLimit, every: .milliseconds(100), hint: hint
        ) {
            guard let response = try? await HTTPClient.shared.execute(asked, timeout: .seconds(2)),
                response.status == .ok
            else { return Bool?.none }
            return true
        }
    }

    /// Ends both programs; etcd last.
    func stop() async {
        await server.stop()
        await etcd.stop()
    }
}

/// TCP ports of 127.0.0.1 that nobody listens on.
enum FreePorts {
    /// Three different ones. Another program may take one before it is used; the user of the port then fails loudly.
    static func three() throws -> (Int, Int, Int) {
        var sockets: [Int32] = []
        defer { for descriptor in sockets { close(descriptor) } }
        var ports: [Int] = []
        for _ in 0..<3 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
                }
            }
            guard descriptor >= 0, status == 0 else {
                throw LabError(
                    code: .system, message: "no free TCP port on 127.0.0.1", cause: String(cString: strerror(errno)),
                    advice: "check the limits of open files and ports")
            }
            ports.append(Int(UInt16(bigEndian: address.sin_port)))
        }
        return (ports[0], ports[1], ports[2])
    }
}
