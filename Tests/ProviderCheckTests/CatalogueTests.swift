import Testing

@testable import ProviderCheck

@Suite struct CatalogueTests {
    @Test func namesAreKebabCaseAndUnique() {
        let names = Catalogue.all.map(\.name)
        #expect(Set(names).count == names.count)
        for name in names { #expect(name.wholeMatch(of: /[a-z0-9]+(-[a-z0-9]+)+/) != nil, "\(name)") }
    }

    @Test func casesBuildOnEarlierOnes() {
        var earlier: Set<String> = []
        for checkCase in Catalogue.all {
            #expect(earlier.isSuperset(of: checkCase.buildsOn), "\(checkCase.name)")
            earlier.insert(checkCase.name)
        }
    }
}
