import LinuxNet
import Testing

@Suite("WireGuard keys")
struct KeyTests {
    /// Alice's and Bob's pairs of RFC 7748, section 6.1, as base64.
    static let vectors = [
        ("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=", "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="),
        ("XasIfmJKikt54X+Lg4AO5m87sSkmGLb9HC+LJ/+I4Os=", "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="),
    ]

    @Test func aGeneratedKeyIsClampedAndNewEachTime() throws {
        let key = try WireGuardPrivateKey.generate()
        key.withUnsafeBytes { bytes in
            #expect(bytes[0] & 7 == 0)
            #expect(bytes[31] & 0xc0 == 0x40)
        }
        #expect(try WireGuardPrivateKey.generate().publicKey != key.publicKey)
        #expect(try WireGuardPrivateKey(parsing: key.exportBase64()).publicKey == key.publicKey)
    }

    @Test(arguments: vectors)
    func thePublicHalfIsThatOfTheStandard(privateText: String, publicText: String) throws {
        #expect(try WireGuardPrivateKey(parsing: privateText).publicKey.description == publicText)
        #expect(try WireGuardKey(parsing: publicText).description == publicText)
    }

    @Test(.enabled(if: hasTool("wg"), "compares with the package wireguard-tools"))
    func keysAreThoseOfWireGuardTools() throws {
        let theirs = try run("wg genkey").trimmedLine
        #expect(
            try WireGuardPrivateKey(parsing: theirs).publicKey.description
                == run("echo \(theirs) | wg pubkey").trimmedLine)
        #expect(try WireGuardPrivateKey(parsing: theirs).exportBase64() == theirs)
        let ours = try WireGuardPrivateKey.generate()
        #expect(try run("echo \(ours.exportBase64()) | wg pubkey").trimmedLine == ours.publicKey.description)
    }

    @Test(arguments: [
        "", "AAAA", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo", " dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=",
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC==", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC!=",
        "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCp=", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCodwdt=",
    ])
    func otherTextIsRefusedAndAPrivateOneNotRepeated(text: String) throws {
        let publicError = #expect(throws: LinuxNetError.self) { try WireGuardKey(parsing: text, field: "peer") }
        #expect(publicError?.message == "peer: \"\(text)\" is not allowed")
        #expect(publicError?.advice.contains("44 characters") == true)
        let error = #expect(throws: LinuxNetError.self) { try WireGuardPrivateKey(parsing: text, field: "key") }
        #expect(error?.description.hasPrefix("key: ") == true)
        if !text.isEmpty { #expect(error?.description.contains(text) == false) }
    }

    @Test func aKeyOfZerosIsNoPrivateKey() {
        let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        #expect(throws: LinuxNetError.self) { try WireGuardPrivateKey(parsing: zeros) }
    }

    @Test func noDescriptionShowsThePrivateKey() throws {
        let key = try WireGuardPrivateKey.generate()
        let configuration = WireGuardConfiguration(privateKey: key)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\(configuration)", dumped] {
            #expect(!text.contains(key.exportBase64()))
        }
        #expect("\(key)".contains(key.publicKey.description))
    }
}

extension String {
    /// Without the final line break.
    var trimmedLine: String { hasSuffix("\n") ? String(dropLast()) : self }
}
