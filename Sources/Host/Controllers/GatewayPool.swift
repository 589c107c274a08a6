import Kubernetes
import ProviderKit

extension GatewayConfigurationSpec {
    /// The spec that both internal objects get from their StaticGatewayConfiguration.
    init(_ spec: StaticGatewayConfigurationSpec) {
        self.init(
            gatewayNodepoolName: spec.gatewayNodepoolName, gatewayVmssProfile: spec.gatewayVmssProfile,
            provisionPublicIps: spec.provisionPublicIps, publicIpPrefixId: spec.publicIpPrefixId,
            ipFamilies: spec.ipFamilies)
    }

    /// The pool as providers know it.
    var pool: PoolSelector {
        gatewayNodepoolName.isEmpty
            ? PoolSelector(
                scaleSet: .init(
                    resourceGroup: gatewayVmssProfile.vmssResourceGroup, name: gatewayVmssProfile.vmssName))
            : PoolSelector(nodepoolName: gatewayNodepoolName)
    }
}
