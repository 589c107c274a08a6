import LinuxNet
import Testing

@Suite("Addresses and prefixes")
struct AddressTests {
    @Test(
        "prints addresses in canonical form",
        arguments: [
            ("10.0.0.4", "10.0.0.4"), ("255.255.255.255", "255.255.255.255"), ("0.0.0.0", "0.0.0.0"),
            ("fe80::1", "fe80::1"), ("FE80:0:0:0:0:0:0:1", "fe80::1"), ("::", "::"), ("::1", "::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("1::", "1::"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ])
    func canonicalText(input: String, expected: String) throws {
        let address = try IPAddress(parsing: input)
        #expect(address.description == expected)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(
        "refuses what is no address",
        arguments: [
            "", "10.0.0", "10.0.0.256", "10.0.0.01", " 10.0.0.1", "10.0.0.1/32", "10.0.0.+1", "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "fe80::1%eth0", ":1::", "1:2:3:4:5:6:7:8::", "1.2.3.4::",
            "::1.2.3", ":::", "１0.0.0.1",
        ])
    func refusesAddress(input: String) {
        #expect(IPAddress(input) == nil)
        let error = #expect(throws: LinuxNetError.self) { try IPAddress(parsing: input, field: "podIP") }
        #expect(error?.code == .invalidValue)
        #expect(error?.message.contains("podIP: \"\(input)\"") == true)
    }

    @Test("masks and compares prefixes")
    func prefixes() throws {
        let network = try IPPrefix(parsing: "10.244.0.0/16")
        #expect(network.contains(try IPAddress(parsing: "10.244.255.1")))
        #expect(!network.contains(try IPAddress(parsing: "10.245.0.1")))
        #expect(network.contains(try IPPrefix(parsing: "10.244.3.0/24")))
        #expect(!network.contains(IPPrefix.all(.ipv4)))
        #expect(try IPPrefix(parsing: "10.1.2.3/16", hostBits: .clear).description == "10.1.0.0/16")
        #expect(try IPPrefix(parsing: "2001:db8::1/70", hostBits: .clear).description == "2001:db8::/70")
        #expect(try IPPrefix(parsing: "2001:db8::1/64", hostBits: .clear).description == "2001:db8::/64")
        #expect(IPPrefix(host: try IPAddress(parsing: "fe80::1")).description == "fe80::1/128")
        #expect(IPPrefix.all(.ipv6).description == "::/0")
    }

    @Test(
        "refuses what is no prefix and says what is",
        arguments: [
            ("10.0.0.0", "CIDR"), ("10.0.0.0/33", "0...32"), ("fe80::/129", "0...128"), ("10.0.0.0/08", "0...32"),
            ("10.0.0.0/", "0...32"), ("10.0.0.1/24", "10.0.0.0/24"), ("x/24", "CIDR"), ("10.0.0.0/-1", "0...32"),
            ("10.0.0.0/8/8", "0...32"),
        ])
    func refusesPrefix(input: String, hint: String) {
        let error = #expect(throws: LinuxNetError.self) { try IPPrefix(parsing: input, field: "excludeCidrs[0]") }
        #expect(error?.code == .invalidValue)
        #expect(error?.message.contains("excludeCidrs[0]: \"\(input)\"") == true)
        #expect(error?.advice.contains(hint) == true)
    }
}
