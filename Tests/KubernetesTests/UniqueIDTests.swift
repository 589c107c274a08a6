import Testing

@testable import Kubernetes

@Suite struct UniqueIDTests {
    @Test(arguments: [
        "", "a", "0d9e6c1e-2f5b-4c57-9f0e-6a4b2f0c9d11", "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        // Other texts that could be taken for one.
        "0D9E6C1E-2F5B-4C57-9F0E-6A4B2F0C9D11", "0d9e6c1e-2f5b-4c57-9f0e-6a4b2f0c9d1",
        "0d9e6c1e2f5b-4c57-9f0e-6a4b2f0c9d111",
        "0d9e6c1e-2f5b-4c57-9f0e-6a4b2f0c9d1g", "a uid that a test gave to an object, é",
    ])
    func everyTextComesBackAsItWas(_ text: String) {
        #expect(UniqueID(text).text == text)
        #expect(UniqueID(text) == UniqueID(text))
        #expect(UniqueID(text) != UniqueID(text + "0"))
        #expect(ObjectMeta(uid: text).uid == text)
    }

    @Test func aUUIDTakesNoMemoryOfItsOwn() {
        #expect(MemoryLayout<UniqueID>.stride <= 24)
    }
}
