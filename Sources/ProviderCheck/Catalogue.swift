/// All cases, in the order they run: the later build on the earlier.
public enum Catalogue {
    public static let all: [CheckCase] =
        FileCases.all + NegotiationCases.all + InstanceCases.all
}
