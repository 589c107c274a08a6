import Kubernetes

extension HostConfiguration {
    /// How the API server is reached: by the kubeconfig, or as the pod this runs in.
    ///
    /// - Parameter path: a kubeconfig that is taken instead of the file's own.
    /// - Throws: `KubernetesError` that names the field and its value.
    func kubernetesClient(kubeconfig path: String? = nil) throws -> ClientConfiguration {
        if let path = path ?? kubeconfig { return try ClientConfiguration.load(kubeconfig: path) }
        return try ClientConfiguration.inCluster()
    }
}
