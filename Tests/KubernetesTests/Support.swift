import Foundation
import Kubernetes
import Logging
import ScriptedServer
import Testing

/// Runs the body with a client of a scripted server; both are gone afterwards.
func withClient(
    unixSocket: String? = nil, configure: (inout ClientConfiguration) -> Void = { _ in },
    _ script: @escaping ScriptedServer.Script,
    _ body: (KubernetesClient, ScriptedServer) async throws -> Void
) async throws {
    let server = try ScriptedServer(unixSocket: unixSocket, script)
    defer { server.stop() }
    var configuration = ClientConfiguration(server: server.address)
    configure(&configuration)
    let client = try KubernetesClient(configuration: configuration, logger: Logger(label: "test"))
    let result: Result<Void, any Error>
    do { result = .success(try await body(client, server)) } catch { result = .failure(error) }
    server.stop()
    try await client.shutdown()
    try result.get()
}

/// A PodEndpoint as a server writes it.
func endpointJSON(_ name: String, version: Int, address: String = "10.244.0.20/32") -> String {
    #"{"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1","kind":"PodEndpoint","metadata":{"name":"\#(name)","#
        + #""namespace":"team-a","resourceVersion":"\#(version)"},"spec":{"podIpAddress":"\#(address)"}}"#
}

/// A line of a watch.
func line(_ type: String, _ object: String) -> String {
    #"{"type":"\#(type)","object":\#(object)}"# + "\n"
}

/// A list answer.
func listJSON(_ items: [String], version: Int, continueToken: String? = nil) -> String {
    let token = continueToken.map { #","continue":"\#($0)""# } ?? ""
    let metadata = #""metadata":{"resourceVersion":"\#(version)"\#(token)}"#
    return #"{"kind":"PodEndpointList",\#(metadata),"items":[\#(items.joined(separator: ","))]}"#
}

/// The error's code, or a test failure if there is none.
func code(_ body: () async throws -> Void) async -> KubernetesError.Code? {
    do {
        try await body()
    } catch let error as KubernetesError {
        return error.code
    } catch {
        Issue.record("unexpected error \(error)")
    }
    return nil
}

/// A folder of one test.
func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appending(path: "kubernetes-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
}
