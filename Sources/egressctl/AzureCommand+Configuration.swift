import ArgumentParser
import Foundation
import Lab

extension AzureCommand.Serve {
    /// What the options say.
    ///
    /// - Throws: `ValidationError` that names the option.
    func configuration() throws -> AzureSimulator.Configuration {
        let (host, port) = try Self.address(listen, "--listen")
        guard let limits = ["generous": AzureSimulator.RateLimits.generous, "documented": .documented][rateLimits]
        else {
            throw ValidationError("--rate-limits: \"\(rateLimits)\" is neither generous nor documented")
        }
        let profiles: [String: AzureSimulator.Latencies] = ["reference": .reference, "busy": .busy]
        guard let latencies = profiles[latencies] else {
            throw ValidationError("--latencies: \"\(latencies)\" is neither reference nor busy")
        }
        return AzureSimulator.Configuration(
            subscription: subscription, resourceGroup: resourceGroup, location: location,
            virtualNetwork: .init(
                name: vnet, addressPrefix: "10.243.0.0/16",
                subnets: [.init(name: subnet, addressPrefix: "10.243.0.0/20", addressPrefixIPv6: subnetIPv6)]),
            scaleSets: try vmss.map { try Self.pool($0, "--vmss") }.map { name, count in
                .init(
                    name: name, tags: Self.tags(name, count),
                    computerNames: (0..<count).map { Self.computerName(name, $0) }, subnet: subnet)
            },
            machinePools: try vmPool.map { try Self.pool($0, "--vm-pool") }.map { name, count in
                .gateways(
                    named: name, machines: (1...count).map { "\(name)-\($0)" },
                    prefixLength: Self.prefixLength(count), subnet: subnet)
            },
            identity: try identity(), latencies: latencies, latencyScale: latencyScale, rateLimits: limits,
            pageSize: pageSize, host: host, port: port, certificate: tls ? try .selfSigned() : nil,
            metadata: try imds.map {
                let (imdsHost, imdsPort) = try Self.address($0, "--imds")
                guard imdsHost == host else {
                    throw ValidationError("--imds: must be on the address of --listen, \(host)")
                }
                return .init(port: imdsPort, computerName: imdsInstance)
            })
    }

    private func identity() throws -> AzureSimulator.Identity {
        guard tokenLifetime >= 1 else { throw ValidationError("--token-lifetime: \(tokenLifetime) is below 1") }
        return AzureSimulator.Identity(
            certificates: try clientCertificate.map(Self.text),
            federated: try federatedCredential.map { option in
                let parts = option.split(separator: ",").map(String.init)
                guard (2...3).contains(parts.count) else {
                    throw ValidationError(
                        "--federated-credential: \"\(option)\" is not ISSUER,SUBJECT[,PUBLIC-KEY-FILE]")
                }
                return .init(
                    issuer: parts[0], subject: parts[1], publicKey: parts.count > 2 ? try Self.text(parts[2]) : nil)
            },
            userAssigned: try userAssignedIdentity.map { option in
                let parts = option.split(separator: ",").map(String.init)
                guard parts.count == 3 else {
                    throw ValidationError(
                        "--user-assigned-identity: \"\(option)\" is not CLIENT-ID,OBJECT-ID,RESOURCE-ID")
                }
                return .init(clientID: parts[0], objectID: parts[1], resourceID: parts[2])
            }, tokenLifetime: .seconds(tokenLifetime))
    }

    private static func text(_ path: String) throws -> String {
        do {
            return try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ValidationError("cannot read \(path)")
        }
    }

    static func address(_ text: String, _ option: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw ValidationError("\(option): \"\(text)\" is not ADDRESS:PORT")
        }
        return (text[..<colon].trimmingCharacters(in: ["[", "]"]), Int(port))
    }

    private static func pool(_ text: String, _ option: String) throws -> (name: String, count: Int) {
        let parts = text.split(separator: "=").map(String.init)
        guard parts.count == 2, let count = Int(parts[1]), (1...1000).contains(count) else {
            throw ValidationError("\(option): \"\(text)\" is not NAME=COUNT with a count of 1 to 1000")
        }
        return (parts[0], count)
    }

    /// The names that Azure gives to instances: six base-36 digits after the scale set's.
    private static func computerName(_ name: String, _ number: Int) -> String {
        let digits = String(number, radix: 36)
        return name + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }

    private static func tags(_ name: String, _ count: Int) -> [String: String] {
        ["aks-managed-poolName": name, "aks-managed-gatewayIPPrefixSize": String(prefixLength(count))]
    }

    /// The longest prefix that has an address for each, of those that Azure gives.
    private static func prefixLength(_ count: Int) -> Int {
        (28...31).last { 1 << (32 - $0) >= count } ?? 28
    }
}
