/// All cases, in the order they run: the later build on the earlier.
public enum Catalogue {
    public static let all: [CheckCase] =
        FileCases.all + NegotiationCases.all + InstanceCases.all + CapabilityCases.all + VerbCases.all
        + RequestCases.all + LifecycleCases.all + ConfigurationCases.all + WorldCases.all
        + SettingsCases.all + EndingCases.all + LoadCases.all + EnvironmentCases.all + SecrecyCases.all + FuzzCases.all
}
