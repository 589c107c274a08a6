import Testing

@testable import Reconcile

/// The hash table of places and the store's table, held against a dictionary.
@Suite struct TableTests {
    @Test func placesAreFoundAndForgottenAsInADictionary() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = RandomSource.seeded(seed)
        var table = PlaceTable()
        var model: [Int: Int] = [:]
        // Few hash values, so that many keys stand where others belong; place and key are the same here.
        func hash(_ key: Int) -> Int { key % 37 &* 0x9E37_79B9 }
        for _ in 0..<20_000 {
            let key = Int.random(in: 0..<300, using: &random)
            let found = table.find(hash(key)) { $0 == key }
            #expect(found == model[key], "seed \(seed)")
            if found == nil {
                table.insert(hash(key), key)
                model[key] = key
            } else if Bool.random(using: &random) {
                table.remove(hash(key), key)
                model[key] = nil
            }
            #expect(table.count == model.count, "seed \(seed)")
        }
        for key in 0..<300 { #expect(table.find(hash(key)) { $0 == key } == model[key], "seed \(seed)") }
    }

    @Test func aPlaceThatIsNotThereIsNotRemoved() {
        var table = PlaceTable()
        table.insert(1, 0)
        table.remove(1, 7)
        table.remove(2, 0)
        #expect(table.count == 1 && table.find(1) { $0 == 0 } == 0)
    }

    private final class Box: Sendable {
        let value: Int
        init(_ value: Int) { self.value = value }
    }

    @Test func objectsAreKeptAsInADictionaryAndInTheOrderOfTheirComing() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = RandomSource.seeded(seed)
        var table = ObjectTable()
        var model: [ObjectKey: Int] = [:]
        for step in 0..<20_000 {
            let key = ObjectKey(namespace: "n\(step % 3)", name: "o\(Int.random(in: 0..<200, using: &random))")
            if Bool.random(using: &random) {
                let old = table.set(Box(step), for: key)
                #expect((old as? Box)?.value == model.updateValue(step, forKey: key), "seed \(seed)")
            } else {
                #expect((table.remove(key) as? Box)?.value == model.removeValue(forKey: key), "seed \(seed)")
            }
        }
        #expect(table.count == model.count && Set(table.keys) == Set(model.keys), "seed \(seed)")
        for (key, reference) in table.all { #expect((reference as? Box)?.value == model[key], "seed \(seed)") }
        var fresh = ObjectTable()
        let listed = (0..<500).map { ObjectKey(namespace: "a", name: "\($0)") }
        for key in listed { fresh.set(Box(0), for: key) }
        #expect(fresh.keys == listed)
    }

    @Test func keysAreEqualByTheirTexts() {
        let left = ObjectKey(namespace: "a", name: "b")
        #expect(left == ObjectKey(namespace: "a", name: "b"))
        #expect(left.hashValue == ObjectKey(namespace: "a", name: "b").hashValue)
        #expect(left != ObjectKey(namespace: "ab", name: "") && left != ObjectKey(namespace: "", name: "ab"))
        #expect(Set([left, ObjectKey(namespace: "a", name: "b"), ObjectKey(namespace: "b", name: "a")]).count == 2)
    }
}
