import Foundation
import JSONModel
import Testing

@testable import Kubernetes

/// Plain reading and `JSONDecoder` must say the same of every text, or plain reading must give up.
@Suite struct PlainAnswersTests {
    private func plain(_ json: String) -> PodEndpoint? {
        var shared = SharedValues()
        return Array(json.utf8).withUnsafeBufferPointer { bytes in
            var reader = PlainJSONReader(bytes)
            guard let object = PodEndpoint(reading: &reader, &shared), reader.isAtEnd else { return nil }
            return object
        }
    }

    private func decoded(_ json: String) -> PodEndpoint? {
        try? KubernetesJSON.decode(PodEndpoint.self, from: Data(json.utf8))
    }

    private static let whole = """
        {"apiVersion":"egressgateway.kubernetes.azure.com/v1alpha1","kind":"PodEndpoint","metadata":{"annotations":\
        {"a/b":"c"},"creationTimestamp":"2026-11-23T10:04:05Z","deletionGracePeriodSeconds":0,"deletionTimestamp":\
        "2024-12-31T23:59:59Z","finalizers":["x"],"generateName":"web-","generation":7,"labels":{"app":"web"},\
        "managedFields":[{"fieldsV1":{"k:{\\"uid\\":\\"1\\"}":{".":{},"n":[1,-2.5e+3,true,false,null,"\\u00e9"]}}}],\
        "name":"web-7c9d8f6b54-00001","namespace":"demo","ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":\
        "web-7c9d8f6b54-00001","uid":"00000000-0001-4b1d-9c3e-000000000001","controller":true,\
        "blockOwnerDeletion":false}],"resourceVersion":"12","uid":"00000000-0002-4b1d-9c3e-000000000001"},\
        "spec":{"podIpAddress":"10.64.0.1/32","podPublicKey":"nj0tR5n4ZxX0+bq4x8yQv1W1bX5aS0Y2r9m3l5u7w8E=",\
        "staticGatewayConfiguration":"partner-egress-of-team-1"},"status":{}}
        """

    @Test func aWholeObjectIsReadAsCodableReadsIt() throws {
        let object = try #require(plain(Self.whole))
        #expect(object == decoded(Self.whole))
        #expect(object.metadata.ownerReferences.first?.name == object.metadata.name)
        #expect(object.metadata.generation == 7)
        #expect(object.metadata.labels == ["app": "web"])
        #expect(object.status == PodEndpointStatus())
    }

    @Test(arguments: [
        #"{}"#, #"{"metadata":null,"spec":null,"status":null}"#, #" { "metadata" : { } , "spec" : { } } "#,
        #"{"metadata":{"name":null,"labels":null,"creationTimestamp":null,"ownerReferences":null,"generation":null}}"#,
        #"{"metadata":{"labels":{},"finalizers":[],"ownerReferences":[]},"more":[{"a":1e9}]}"#,
        #"{"metadata":{"name":"größe","annotations":{"k":"wert über fünfzehn Bytes"}}}"#,
    ])
    func whatIsPlainMeansTheSame(json: String) throws {
        let object = try #require(plain(json))
        #expect(object == decoded(json))
    }

    /// Of these Codable decides: some of them are objects to it, some are not.
    @Test(arguments: [
        #"{"metadata":{"name":"a\"b"}}"#, #"{"metadata":{"annotations":{"a":"\n"}}}"#,
        #"{"metadata":{"name":"a","name":"b"}}"#, #"{"spec":{},"spec":{}}"#, #"{"metadata":{"generation":1.5}}"#,
        #"{"metadata":{"labels":{"a":1}}}"#, #"{"metadata":{"labels":{"a":"b","a":"c"}}}"#,
        #"{"metadata":{"name":7}}"#, #"{"metadata":[]}"#, #"{"status":{"conditions":[]}}"#,
        #"{"metadata":{"ownerReferences":[{"name":"a"}]}}"#,
        #"{"metadata":{"creationTimestamp":"2026-02-29T00:00:00Z"}}"#,
        #"{"metadata":{"creationTimestamp":"2026-11-23T10:04:05.5Z"}}"#,
        #"{"metadata":{"creationTimestamp":"2026-11-23T10:04:60Z"}}"#, #"{"metadata":{}"#, #"{"metadata":{},}"#,
        #"{"x":[1 2]}"#, #"{"x":01}"#, #"{"x":tru}"#, #"{"x":"a}"#, #"{"x":-}"#, #"{"x":1.}"#, #"[]"#, #""#,
    ])
    func whatIsNotPlainIsLeftToCodable(json: String) {
        #expect(plain(json) == nil)
    }

    @Test(arguments: [
        "1970-01-01T00:00:00Z", "2000-02-28T23:59:59Z", "2000-03-01T00:00:00Z", "2024-01-30T12:30:45Z",
        "2024-10-31T01:02:03Z", "2026-12-31T23:59:59Z", "1900-03-01T00:00:00Z", "2100-01-01T00:00:00Z",
    ])
    func timesMeanTheSame(text: String) throws {
        let json = #"{"metadata":{"creationTimestamp":"\#(text)"}}"#
        let object = try #require(plain(json))
        #expect(object.metadata.creationTimestamp == Timestamp(text))
        #expect(object == decoded(json))
    }

    @Test func valuesInCommonStayApartFromThoseThatAreNot() {
        var answers = PlainAnswers<PodEndpoint>()
        // More texts and maps than the tables have places.
        for index in 0..<1000 {
            let name = "a-name-that-is-not-short-\(index % 700)"
            let object = #"{"metadata":{"name":"\#(name)","labels":{"app":"\#(name)","tier":"\#(index % 3)"}}}"#
            let line = Array(#"{"type":"ADDED","object":\#(object)}"#.utf8)
            let event = line.withUnsafeBufferPointer { answers.event($0) }
            guard case .added(let endpoint) = event else {
                Issue.record("\(String(describing: event))")
                return
            }
            #expect(endpoint.metadata.name == name)
            #expect(endpoint.metadata.labels == ["app": name, "tier": "\(index % 3)"])
        }
    }

    @Test func aPageKeepsItsOrderWhateverFormItsItemsHave() throws {
        let items = [
            #"{"metadata":{"name":"a","namespace":"demo"}}"#, #"{"metadata":{"name":"b\u0062"}}"#,
            #"{"metadata":{"name":"c","namespace":"demo"},"spec":{"podIpAddress":7}}"#, #"{"metadata":{"name":"d"}}"#,
        ]
        let json =
            #"{"kind":"PodEndpointList","items":[\#(items.joined(separator: ","))],"metadata":"#
            + #"{"resourceVersion":"9","continue":"next","remainingItemCount":3}}"#
        var answers = PlainAnswers<PodEndpoint>()
        let read = answers.page(Data(json.utf8))
        let page = try #require(read)
        #expect(page.items.map(\.metadata.name) == ["a", "bb", "d"])
        #expect(page.undecodable.map(\.name) == ["c"])
        #expect(page.metadata.resourceVersion == "9")
        #expect(page.metadata.continueToken == "next")
        let withoutVersion = answers.page(Data(#"{"items":[],"metadata":{}}"#.utf8))
        #expect(withoutVersion == nil)
        let withoutJSON = answers.page(Data("<html>".utf8))
        #expect(withoutJSON == nil)
    }

    @Test(arguments: ["BOOKMARK", "ERROR", "OTHER"])
    func onlyEventsWithObjectsArePlain(type: String) {
        var answers = PlainAnswers<PodEndpoint>()
        let line = Array(#"{"type":"\#(type)","object":{"metadata":{"resourceVersion":"3"}}}"#.utf8)
        let event = line.withUnsafeBufferPointer { answers.event($0) }
        #expect(event == nil)
    }
}
