import MemoryTunnelProvider
import ProviderAPI
import ProviderKit

@c @implementation
public func egp_provider_entry(
    _ hostMinimum: UInt32, _ hostMaximum: UInt32, _ out: UnsafeMutablePointer<egp_provider>
) -> egp_code {
    ProviderEntry.fill(out, hostMinimum, hostMaximum, with: MemoryTunnelProvider.self)
}
