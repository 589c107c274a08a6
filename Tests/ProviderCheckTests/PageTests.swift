import Foundation
import Testing

@testable import ProviderCheck

/// docs/provider-check.md tells what the validator tells.
@Suite struct PageTests {
    @Test func pageListsTheCases() throws {
        let page = try String(
            contentsOf: Validator.root.appending(path: "docs/provider-check.md"), encoding: .utf8)
        let list = try #require(page.split(separator: "<!-- list -->\n").last)
        #expect(String(list) == CaseList.text)
    }

    @Test func requirementsAreThoseOfTheBorder() throws {
        let page = try String(contentsOf: Validator.root.appending(path: "docs/provider-abi.md"), encoding: .utf8)
        let cases = Set(Catalogue.all.map(\.name))
        for (name, numbers) in Requirements.table {
            #expect(cases.contains(name), "\(name)")
            for number in numbers { #expect(page.contains("| \(number) |"), "\(number)") }
        }
    }
}
