import Foundation
import Kubernetes
import Logging
import Testing

@Suite struct KubeconfigTests {
    private func load(
        cluster: String = "server: http://127.0.0.1:1/", user: String = "{}", files: [String: String] = [:],
        context: String? = nil
    ) throws -> ClientConfiguration {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
        let text = """
            apiVersion: v1
            kind: Config
            current-context: lab
            clusters: [{name: c, cluster: {\(cluster)}}]
            users: [{name: u, user: \(user)}]
            contexts: [{name: lab, context: {cluster: c, user: u, namespace: team-a}}]
            """
        let path = folder.appending(path: "config").path
        try Data(text.utf8).write(to: URL(filePath: path))
        return try ClientConfiguration.load(kubeconfig: path, context: context)
    }

    private func message(_ body: () throws -> ClientConfiguration) -> String {
        do {
            _ = try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func allPartsAreRead() throws {
        let configuration = try load(
            cluster: "server: https://k:6443, certificate-authority: ca.pem, insecure-skip-tls-verify: true",
            user: "{client-certificate-data: Y2VydA==, client-key: key.pem, token: t}",
            files: ["ca.pem": "authority", "key.pem": "key"])
        #expect(configuration.server == "https://k:6443")
        #expect(configuration.namespace == "team-a")
        #expect(configuration.certificateAuthority == Array("authority".utf8))
        #expect(configuration.clientCertificate == Array("cert".utf8))
        #expect(configuration.clientKey == Array("key".utf8))
        #expect(configuration.insecureSkipTLSVerify)
        #expect(configuration.credential == .token("t"))
    }

    @Test func aSocketIsAServer() throws {
        let configuration = try load(cluster: "server: 'http+unix://%2Ftmp%2Fx.sock'")
        #expect(configuration.server == "http+unix://%2Ftmp%2Fx.sock")
    }

    @Test func whatIsNotSupportedSaysSo() {
        #expect(message { try load(user: "{auth-provider: {name: x}}") }.contains("auth-provider is not supported"))
        #expect(message { try load(user: "{username: x, password: y}") }.contains("basic authentication"))
        #expect(message { try load(cluster: "server: http://x, proxy-url: http://y") }.contains("proxy-url"))
    }

    @Test func mistakesAreNamed() {
        #expect(message { try load(context: "other") }.contains(#"context "other" is not there; allowed: lab"#))
        #expect(message { try load(cluster: "server: k:6443") }.contains(#"server "k:6443" is no address"#))
        #expect(message { try load(user: "{client-key-data: '%'}") }.contains("client-key-data is no base64"))
        #expect(message { try load(user: "{client-certificate-data: Y2VydA==}") }.contains("go together"))
        #expect(message { try load(user: "{tokenFile: [1]}") }.contains("is no kubeconfig"))
        #expect(message { try ClientConfiguration.load(kubeconfig: "/nowhere/config") }.contains("/nowhere/config"))
    }

    @Test func certificatesThatAreNoPEMAreRefused() throws {
        var configuration = ClientConfiguration(server: "https://127.0.0.1:1")
        configuration.certificateAuthority = Array("no certificate".utf8)
        let error = #expect(throws: KubernetesError.self) {
            try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
        }
        #expect(error?.code == .configuration)
    }

    @Test func aPodFindsItsServiceAccount() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in ["token": "t", "ca.crt": "ca", "namespace": "ns\n"] {
            try Data(text.utf8).write(to: folder.appending(path: name))
        }
        let environment = ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"]
        let configuration = try ClientConfiguration.inCluster(environment: environment, directory: folder.path)
        #expect(configuration.server == "https://[fd00::1]:443")
        #expect(configuration.namespace == "ns")
        #expect(configuration.credential == .tokenFile("\(folder.path)/token"))
        #expect(message { try ClientConfiguration.inCluster(environment: [:]) }.contains("KUBERNETES_SERVICE_HOST"))
    }
}
