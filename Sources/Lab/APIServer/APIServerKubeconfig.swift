extension EmbeddedAPIServer {
    /// A way to reach the server.
    public enum Endpoint: Sendable, Equatable {
        /// Plain HTTP on a loopback port: what kubectl speaks.
        case tcp(host: String, port: Int)
        /// HTTP over the unix socket, as `http+unix://<percent-encoded path>`: an extension of this project's own
        /// client, which works from every network namespace.
        case unixSocket(path: String)

        /// The `server` entry of a kubeconfig.
        public var serverURL: String {
            switch self {
            case .tcp(let host, let port): "http://\(host.contains(":") ? "[\(host)]" : host):\(port)"
            case .unixSocket(let path): "http+unix://\(Self.percentEncoded(path))"
            }
        }

        private static func percentEncoded(_ text: String) -> String {
            var output = ""
            for byte in text.utf8 {
                let scalar = UnicodeScalar(byte)
                if byte < 0x80,
                    scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                        || "-._~".unicodeScalars.contains(scalar)
                {
                    output.unicodeScalars.append(scalar)
                } else {
                    let digits = String(byte, radix: 16, uppercase: true)
                    output += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
                }
            }
            return output
        }
    }

    /// The text of a kubeconfig file (YAML) for an endpoint. It holds no credentials, because the server asks for none.
    public static func kubeconfig(for endpoint: Endpoint, namespace: String = "default") -> String {
        """
        apiVersion: v1
        kind: Config
        clusters:
        - name: egress-lab
          cluster:
            server: "\(endpoint.serverURL)"
        users:
        - name: egress-lab
          user: {}
        contexts:
        - name: egress-lab
          context:
            cluster: egress-lab
            user: egress-lab
            namespace: "\(namespace)"
        current-context: egress-lab

        """
    }
}
