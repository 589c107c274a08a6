import Glibc
import LinuxNet
import Testing

@testable import Lab

@Suite struct LabLayoutTests {
    @Test(arguments: ["relative", "/", "/" + String(repeating: "x", count: 90)])
    func aStateDirectoryThatCannotBeIsRefused(path: String) {
        let error = #expect(throws: LabError.self) { try LabLayout(installTree: "/tree", stateDirectory: path) }
        #expect(error?.code == .invalidInput)
        #expect(error?.message.contains(path) == true)
    }

    @Test func everythingTheLabWritesIsInsideItsDirectory() throws {
        let layout = try LabLayout(installTree: "/tree", stateDirectory: "/tree/lab")
        let paths = [
            layout.stateFile, layout.kubeconfig, layout.socketKubeconfig, layout.controlSocket, layout.supervisorLog,
            layout.cniSocket, layout.egressConfigurationList, layout.log(of: "manager"),
        ]
        #expect(paths.allSatisfy { $0.hasPrefix("/tree/lab/") })
    }

    @Test func pathsAreQuotedInConfigurations() throws {
        let layout = try LabLayout(installTree: "/tree \"x\"", stateDirectory: "/state: dir")
        let text = LabFiles.node("worker-1", layout, LabTrust(folder: "/"), tunnel: .vxlan)
        #expect(text.contains(#"pluginDirectory: "/tree \"x\"/lib/plugins""#))
        #expect(text.contains("- { name: vxlan, path: libVXLAN.so, config: {} }"))
        #expect(text.contains(#"socketPath: "/state: dir/worker-1/cni.sock""#))
    }

    @Test func leftoversAreWhatCameAndIsNotThePodNetworksOwn() {
        let before = NodeInventory(lines: ["link lo", "link eth0"])
        let after = NodeInventory(lines: [
            "link lo", "link eth0", "link cni0", "link veth1 in cni0", "address 10.244.0.1/24 on cni0",
            "nftables table ip nat", "link wg-6000", "nftables table inet egress",
        ])
        #expect(after.leftovers(since: before) == ["link wg-6000", "nftables table inet egress"])
    }

    @Test func aProcessIsNotTakenForALaterOneOfItsNumber() throws {
        var identity = try #require(ProcessIdentity.current)
        #expect(identity.isRunning)
        identity.startTicks += 1
        #expect(!identity.isRunning)
        #expect(ProcessIdentity(running: Int32.max) == nil)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n192.0.2.10\n", NamespaceHTTP.Answer(status: 200, body: "192.0.2.10\n")),
        ("HTTP/1.1 404 Not Found\r\n\r\n", NamespaceHTTP.Answer(status: 404, body: "")),
        ("HTTP/1.1 200 OK\r\n", nil), ("garbage\r\n\r\n", nil), ("", nil),
    ])
    func answersAreReadWholeOrNotAtAll(text: String, expected: NamespaceHTTP.Answer?) {
        #expect(NamespaceHTTP.parse(text) == expected)
    }
}
