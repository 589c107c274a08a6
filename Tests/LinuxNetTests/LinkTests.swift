import Glibc
import LinuxNet
import Testing

@Suite("Links and addresses", .enabled(if: isRoot, needsRoot))
struct LinkTests {
    @Test("a veth pair is made across namespaces and reads as iproute2 reads it")
    func veth() async throws {
        let left = try await TestNamespace("veth-l")
        let right = try await TestNamespace("veth-r")
        try left.routes.createVeth(
            name: "uplink0", peer: VethPeer(name: "eth0", namespace: try right.namespace.open()), mtu: 1400)
        let near = try left.routes.requireLink(named: "uplink0")
        let far = try right.routes.requireLink(named: "eth0")
        #expect(near.kind == "veth" && near.mtu == 1400 && far.mtu == 1400)
        #expect(near.peerIndex == far.index && near.peerNamespaceID != nil)
        #expect(!near.isUp)

        try left.routes.setUp(true, index: near.index)
        try left.routes.setAlias("an alias", index: near.index)
        try left.routes.setMTU(1300, index: near.index)
        let shown = try left.shell("ip -j -d link show uplink0")
        #expect(shown.contains("\"ifalias\":\"an alias\"") && shown.contains("\"mtu\":1300"))
        #expect(shown.contains("\"UP\"") && shown.contains(near.hardwareAddress?.description ?? "no address"))
        let changed = try left.routes.requireLink(named: "uplink0")
        #expect(changed.isUp && changed.alias == "an alias" && changed.mtu == 1300)

        try left.routes.setUp(false, index: near.index)
        try left.routes.rename(index: near.index, to: "renamed0")
        #expect(try left.routes.link(named: "uplink0") == nil)
        #expect(try left.routes.link(index: near.index)?.name == "renamed0")
        #expect(try left.routes.ensureNoLink(named: "renamed0"))
        #expect(try !left.routes.ensureNoLink(named: "renamed0"))
        #expect(try right.routes.link(named: "eth0") == nil)
    }

    @Test("a link moves to another namespace under another name")
    func move() async throws {
        let left = try await TestNamespace("move-l")
        let right = try await TestNamespace("move-r")
        try left.routes.createVeth(name: "a0", peer: VethPeer(name: "b0"))
        let index = try left.routes.requireLink(named: "a0").index
        try left.routes.move(index: index, to: try right.namespace.open(), renamedTo: "c0")
        #expect(try left.routes.links().map(\.name) == ["lo", "b0"])
        #expect(try right.routes.links().map(\.name) == ["lo", "c0"])
    }

    @Test("a bridge takes ports, and ensureLink is idempotent")
    func bridge() async throws {
        let inside = try await TestNamespace("bridge")
        #expect(try inside.routes.ensureLink(name: "br0", kind: "bridge").created)
        #expect(try !inside.routes.ensureLink(name: "br0", kind: "bridge").created)
        let bridge = try inside.routes.requireLink(named: "br0")
        try inside.routes.createVeth(name: "a0", peer: VethPeer(name: "b0"))
        let port = try inside.routes.requireLink(named: "a0").index
        try inside.routes.setController(bridge.index, index: port)
        #expect(try inside.routes.link(index: port)?.controllerIndex == bridge.index)
        #expect(try inside.shell("ip -j link show a0").contains("\"master\":\"br0\""))
        let error = #expect(throws: LinuxNetError.self) {
            try inside.routes.ensureLink(name: "a0", kind: "bridge")
        }
        #expect(error?.code == .alreadyExists)
        try inside.routes.setController(nil, index: port)
        #expect(try inside.routes.link(index: port)?.controllerIndex == nil)
    }

    @Test("the kernel's own words are in the error")
    func kernelText() async throws {
        let inside = try await TestNamespace("error")
        let unknown = #expect(throws: LinuxNetError.self) {
            try inside.routes.createLink(name: "x0", kind: "nosuchkind")
        }
        #expect(unknown?.code == .unsupported)
        #expect(unknown?.cause?.contains("Unknown device type") == true)
        let long = #expect(throws: LinuxNetError.self) { try inside.routes.createBridge(name: "sixteen-letters-") }
        #expect(long?.message.contains("sixteen-letters-") == true && long?.errorNumber == nil)
        try inside.routes.createBridge(name: "br0")
        let twice = #expect(throws: LinuxNetError.self) { try inside.routes.createBridge(name: "br0") }
        #expect(twice?.code == .alreadyExists && twice?.errorNumber == EEXIST)
    }

    @Test("addresses are ensured with label and prefix length")
    func addresses() async throws {
        let inside = try await TestNamespace("addr")
        try inside.routes.createVeth(name: "eth0", peer: VethPeer(name: "other"))
        let index = try inside.routes.requireLink(named: "eth0").index
        try inside.routes.setUp(true, index: index)
        let frontend = InterfaceAddress(
            try IPAddress(parsing: "10.243.0.6"), linkIndex: index, label: "eth0:egress")
        #expect(try inside.routes.ensureAddress(frontend))
        #expect(try !inside.routes.ensureAddress(frontend))
        #expect(try inside.shell("ip -4 -o addr show eth0").contains("10.243.0.6/32 scope global eth0:egress"))

        var relabelled = frontend
        relabelled.label = "eth0"
        #expect(try inside.routes.ensureAddress(relabelled))
        #expect(try inside.routes.addresses(linkIndex: index, family: .ipv4).map(\.label) == ["eth0"])

        let linkLocal = InterfaceAddress(
            try IPAddress(parsing: "fe80::1"), prefixLength: 64, linkIndex: index, skipsDuplicateDetection: true)
        #expect(try inside.routes.ensureAddress(linkLocal))
        #expect(try !inside.routes.ensureAddress(linkLocal))
        #expect(try inside.shell("ip -6 -o addr show dev eth0").contains("fe80::1/64 scope link nodad"))
        #expect(try !inside.routes.addresses(linkIndex: 1).contains { $0.address == linkLocal.address })

        #expect(try inside.routes.ensureNoAddress(relabelled))
        #expect(try !inside.routes.ensureNoAddress(relabelled))
        #expect(try inside.routes.addresses(linkIndex: index, family: .ipv4).isEmpty)
    }
}
