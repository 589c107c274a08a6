/// Texts of the files the lab writes for the programs it starts. Pure.
enum LabFiles {
    /// Configuration of the manager, which shares this machine's own network with the API server.
    static func manager(_ layout: LabLayout, _ trust: LabTrust, kubeconfig: String) -> String {
        """
        role: manager
        pluginDirectory: \(quoted(layout.pluginDirectory))
        \(trust.text)
        kubernetes: { kubeconfig: \(quoted(kubeconfig)) }
        observability: { statusSocket: \(quoted(layout.statusSocket(of: "manager"))) }
        plugins:
          - { name: azure-lb, path: libAzureLB.so, config: { cloudConfig: \(quoted(layout.cloudConfiguration)) } }
          - { name: azure-vmss, path: libAzureVMSS.so, config: { cloudConfig: \(quoted(layout.cloudConfiguration)) } }
        manager:
          secretNamespace: \(LabPlan.systemNamespace)
          leaderElection: true
          leaderElectionNamespace: \(LabPlan.systemNamespace)

        """
    }

    /// Configuration of a gateway node's daemon. Two nodes share this machine, so each has an egress namespace of its
    /// own name; a drain of one second keeps `lab down` short.
    static func gateway(
        _ node: String, _ plan: LabPlan, _ layout: LabLayout, _ trust: LabTrust, tunnel: LabPlan.TunnelProvider
    ) -> String {
        """
        role: gateway
        nodeName: \(node)
        pluginDirectory: \(quoted(layout.pluginDirectory))
        \(trust.text)
        kubernetes: { kubeconfig: \(quoted(layout.socketKubeconfig)) }
        observability: { statusSocket: \(quoted(layout.statusSocket(of: node))) }
        plugins:
          - { name: \(tunnel.rawValue), path: \(tunnel.file), config: {} }
        gateway:
          secretNamespace: \(LabPlan.systemNamespace)
          networkNamespace: \(plan.egressNamespace(ofNode: node))
          uplink: eth0
          drainSeconds: 1

        """
    }

    /// Configuration of the worker's daemon.
    static func node(
        _ node: String, _ layout: LabLayout, _ trust: LabTrust, tunnel: LabPlan.TunnelProvider
    ) -> String {
        """
        role: node
        nodeName: \(node)
        pluginDirectory: \(quoted(layout.pluginDirectory))
        \(trust.text)
        kubernetes: { kubeconfig: \(quoted(layout.socketKubeconfig)) }
        observability: { statusSocket: \(quoted(layout.statusSocket(of: node))) }
        plugins:
          - { name: cni-chain, path: libCNIChain.so, config: {} }
          - { name: \(tunnel.rawValue), path: \(tunnel.file), config: {} }
        node:
          socketPath: \(quoted(layout.cniSocket))
          cniConfigurationDirectory: \(quoted(layout.cniConfigurationDirectory))
          uninstallFile: \(quoted(layout.uninstallFile))

        """
    }

    /// The cloud configuration of the Azure plugins. The secret is the simulator's and opens nothing else.
    static func cloud(endpoint: String, identity: AzureSimulator.Identity) -> String {
        let value: APIValue = [
            "cloud": "AzureCloud", "location": .string(LabPlan.location), "tenantId": .string(identity.tenant),
            "subscriptionId": .string(LabPlan.subscription), "resourceGroup": .string(LabPlan.resourceGroup),
            "vnetName": .string(LabPlan.virtualNetwork), "subnetName": .string(LabPlan.gatewaySubnet),
            "aadClientId": .string(identity.clientID), "aadClientSecret": .string(identity.clientSecret),
            "resourceManagerEndpoint": .string(endpoint),
        ]
        return String(decoding: value.encoded(), as: UTF8.self)
    }

    /// The pod network of a worker, by Debian's bridge and host-local plugins.
    static func podNetwork(subnet: String, dataDirectory: String) -> String {
        let value: APIValue = [
            "cniVersion": "1.0.0", "name": "podnet",
            "plugins": [
                [
                    "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
                    "ipam": [
                        "type": "host-local", "dataDir": .string(dataDirectory),
                        "ranges": [[["subnet": .string(subnet)]]], "routes": [["dst": "0.0.0.0/0"]],
                    ],
                ]
            ],
        ]
        return String(decoding: value.encoded(), as: UTF8.self)
    }

    /// Configuration of the web server that stands for the internet: it answers with the source address it saw.
    static func webServer(directory: String) -> String {
        """
        daemon off;
        worker_processes 1;
        pid \(directory)/nginx.pid;
        error_log \(directory)/error.log;
        events { worker_connections 256; }
        http {
            access_log off;
            client_body_temp_path \(directory)/body;
            proxy_temp_path \(directory)/proxy;
            fastcgi_temp_path \(directory)/fastcgi;
            uwsgi_temp_path \(directory)/uwsgi;
            scgi_temp_path \(directory)/scgi;
            server {
                listen \(LabPlan.internetPort);
                default_type text/plain;
                location / { return 200 "$remote_addr\\n"; }
            }
        }

        """
    }

    /// A YAML scalar that is text whatever it holds.
    private static func quoted(_ text: String) -> String {
        "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
    }
}
