import AzureVMSSProvider
import ProviderAPI
import ProviderKit

/// The one symbol that this plugin exports; see `egress_provider.h`.
@c @implementation
public func egp_provider_entry(
    _ hostMinimum: UInt32, _ hostMaximum: UInt32, _ out: UnsafeMutablePointer<egp_provider>
) -> egp_code {
    ProviderEntry.fill(out, hostMinimum, hostMaximum, with: AzureVMSSProvider.self)
}
