import Foundation
import Kubernetes
import LinuxNet
import Logging

/// The lab's one supervising process: API server, Azure simulator, network fabric, internet host, kubelet, and our own
/// daemons as its children. Started by `egressctl lab up`; everything it makes is named by plan and layout.
public actor LabSupervisor {
    private let plan: LabPlan
    private let layout: LabLayout
    private let logger: Logger
    private let identity: ProcessIdentity
    private let simulator: AzureSimulator
    private let fabric: Fabric
    private var daemons: [DaemonProcess] = []
    private var kubelet: LabKubelet?
    /// Nil with the embedded one.
    private var apiServer: KubernetesAPIServer?
    /// What the daemons' files name now.
    private var tunnel: LabPlan.TunnelProvider
    private let stopping: AsyncStream<Void>
    private let stoppingContinuation: AsyncStream<Void>.Continuation

    /// - Throws: ``LabError`` or the parts' own errors for a plan that cannot be.
    public init(plan: LabPlan, layout: LabLayout, logger: Logger) throws {
        guard let identity = ProcessIdentity.current else {
            throw LabError(code: .system, message: "/proc does not show this process", advice: "mount /proc")
        }
        self.plan = plan
        self.layout = layout
        self.logger = logger
        self.identity = identity
        tunnel = plan.tunnel
        simulator = try AzureSimulator(configuration: plan.azure, logger: logger)
        fabric = try Fabric(configuration: plan.fabric, logger: logger)
        (stopping, stoppingContinuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Asks `run` to end everything in order.
    public nonisolated func stop() {
        stoppingContinuation.yield()
    }

    /// Starts everything and keeps it running until `stop`. Namespaces and files stay: ``LabCleanup`` removes them,
    /// also after this process was killed.
    ///
    /// - Throws: What could not be started or ended by itself; the state file then says so.
    public func run() async throws {
        do {
            try await startAndServe()
        } catch {
            try? save(.failed, "\(error)")
            throw error
        }
    }

    private func startAndServe() async throws {
        for directory in layout.directories {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        }
        try save(.starting, "the API server")
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { group.cancelAll() }
            try await startAPIServer(&group)
            do {
                try await serve(&group)
            } catch {
                await stopDaemons()
                throw error
            }
            await stopDaemons()
        }
    }

    private func serve(_ group: inout ThrowingTaskGroup<Void, any Error>) async throws {
        let client = try KubernetesClient(
            configuration: try ClientConfiguration.load(kubeconfig: layout.socketKubeconfig), logger: logger)
        do {
            try await startRest(&group, client)
            try save(.ready, "")
            logger.notice("the lab is up")
            // Nothing ends by itself but by failure; the first to end, or a request, ends all.
            let stopping = stopping
            group.addTask { for await _ in stopping { return } }
            try await group.next()
            try save(.stopping, "our daemons to end")
        } catch {
            try? await client.shutdown()
            throw error
        }
        try? await client.shutdown()
    }

    /// Starts the plan's API server, waits until it serves, and writes the kubeconfigs.
    private func startAPIServer(_ group: inout ThrowingTaskGroup<Void, any Error>) async throws {
        guard let program = plan.apiServer.program else {
            let server = try EmbeddedAPIServer(
                configuration: .init(storagePath: layout.apiServerStorage, unixSocketPath: layout.apiServerSocket),
                logger: logger)
            group.addTask { try await server.run() }
            guard let port = await server.boundPort else {
                try await group.next()
                throw LabError(code: .processFailed, message: "the API server ended", advice: "see the log")
            }
            try write(EmbeddedAPIServer.kubeconfig(for: .tcp(host: "127.0.0.1", port: port)), layout.kubeconfig)
            try write(
                EmbeddedAPIServer.kubeconfig(for: .unixSocket(path: layout.apiServerSocket)), layout.socketKubeconfig)
            return
        }
        let server = try KubernetesAPIServer(
            programs: .find(program, environment: ProcessInfo.processInfo.environment), layout: layout, logger: logger)
        apiServer = server
        for daemon in [server.etcd, server.server] { group.addTask { try await daemon.run() } }
        let bridge = server.bridge
        group.addTask { try await bridge.run() }
        try server.writeKubeconfigs(layout)
        do {
            try await server.awaitReady(hint: layout.log(of: program))
        } catch {
            await server.stop()
            throw error
        }
    }

    private func startRest(_ group: inout ThrowingTaskGroup<Void, any Error>, _ client: KubernetesClient) async throws {
        try save(.starting, "the custom resource definitions")
        let cluster = LabCluster(client: client, layout: layout, plan: plan)
        try await cluster.prepare()

        try save(.starting, "the Azure simulator")
        let simulator = simulator
        group.addTask { try await simulator.run() }
        let endpoint = try await simulator.endpoint()
        try write(LabFiles.cloud(endpoint: endpoint, identity: plan.azure.identity), layout.cloudConfiguration)

        try save(.starting, "the network fabric")
        let nodes = try plan.nodes(await simulator.snapshot())
        let fabric = fabric
        try await fabric.wire(nodes: nodes)
        let topologies = await simulator.changes()
        group.addTask { try await fabric.run(topologies: topologies) }
        try await saveBaseline(nodes)
        try await cluster.register(nodes)

        let daemons = try makeDaemons()
        self.daemons = daemons
        for daemon in daemons { group.addTask { try await daemon.run() } }
        let control = LabControlServer(socketPath: layout.controlSocket, operations: self, logger: logger)
        group.addTask { try await control.run() }
        try await awaitDaemons(nodes)

        let kubelet = LabKubelet(
            client: client,
            runtime: CNIRuntime(
                configurationDirectory: layout.cniConfigurationDirectory,
                pluginDirectories: layout.cniPluginDirectories,
                nodeNamespace: try NetworkNamespace(name: plan.namespace(ofNode: LabPlan.workerName)),
                cacheDirectory: "\(layout.workerDirectory)/cache"),
            plan: plan, nodeName: LabPlan.workerName, nodeAddress: "\(LabPlan.workerAddress)", logger: logger)
        self.kubelet = kubelet
        group.addTask { try await kubelet.run() }
    }

    /// The API server goes last, so that the others can say farewell.
    private func stopDaemons() async {
        await withTaskGroup(of: Void.self) { group in
            for daemon in daemons { group.addTask { await daemon.stop() } }
        }
        await apiServer?.stop()
    }

    // MARK: - Files

    private func save(_ phase: LabState.Phase, _ step: String) throws {
        if phase == .starting { logger.info("starting", metadata: ["step": "\(step)"]) }
        try LabState(
            phase: phase, step: step, supervisor: identity, prefix: plan.prefix, tunnel: tunnel,
            apiServer: plan.apiServer
        ).save(layout.stateFile)
    }

    private func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
    }

    /// What the nodes hold before any daemon of ours has run.
    private func saveBaseline(_ nodes: [FabricNode]) async throws {
        var baseline = NodeBaseline()
        for node in nodes {
            baseline.inventories[node.name] = try await NodeInventory.capture(
                try NetworkNamespace(name: node.namespace))
        }
        try baseline.save(layout)
    }

    // MARK: - Daemons

    private func makeDaemons() throws -> [DaemonProcess] {
        // Where there is TLS, the manager speaks it; the nodes' namespaces have the socket alone.
        let kubeconfig = plan.apiServer != .embedded ? layout.kubeconfig : layout.socketKubeconfig
        try write(LabFiles.manager(layout, trust, kubeconfig: kubeconfig), layout.hostConfiguration(of: "manager"))
        try write(
            LabFiles.podNetwork(subnet: LabPlan.podNetwork, dataDirectory: "\(layout.workerDirectory)/ipam"),
            "\(layout.cniConfigurationDirectory)/10-podnet.conflist")
        try writeTunnelHosts()
        try write(
            LabFiles.webServer(directory: layout.webServerDirectory), "\(layout.webServerDirectory)/nginx.conf")
        let manager = host("manager", in: .current)
        let others = try ([LabPlan.workerName] + LabPlan.gatewayNames).map {
            host($0, in: try NetworkNamespace(name: plan.namespace(ofNode: $0)))
        }
        return [manager] + others + [try webServer()]
    }

    private var trust: LabTrust { LabTrust(folder: layout.pluginDirectory) }

    /// The files of the daemons that load a tunnel provider.
    private func writeTunnelHosts() throws {
        let trust = trust
        let worker = LabPlan.workerName
        try write(LabFiles.node(worker, layout, trust, tunnel: tunnel), layout.hostConfiguration(of: worker))
        for name in LabPlan.gatewayNames {
            try write(
                LabFiles.gateway(name, plan, layout, trust, tunnel: tunnel), layout.hostConfiguration(of: name))
        }
    }

    private func host(_ name: String, in namespace: NetworkNamespace) -> DaemonProcess {
        let command = ChildCommand(
            layout.hostProgram, ["run", "--config", layout.hostConfiguration(of: name)], namespace: namespace)
        return DaemonProcess(name: name, command: command, logFile: layout.log(of: name), logger: logger)
    }

    private func webServer() throws -> DaemonProcess {
        let directory = layout.webServerDirectory
        let command = ChildCommand(
            "/usr/sbin/nginx",
            ["-p", "\(directory)/", "-c", "\(directory)/nginx.conf", "-e", "\(directory)/error.log"],
            namespace: try NetworkNamespace(name: plan.internetNamespace))
        return DaemonProcess(
            name: "internet", command: command, logFile: layout.log(of: "internet"), logger: logger)
    }

    private func awaitDaemons(_ nodes: [FabricNode]) async throws {
        let internet = try NetworkNamespace(name: plan.internetNamespace)
        try save(.starting, "the internet host")
        _ = try await BoundedWait.until(
            "the internet host's web server", within: .seconds(10), hint: layout.log(of: "internet")
        ) {
            try await NamespaceHTTP.get(
                from: internet, LabPlan.internetAddress, port: LabPlan.internetPort, timeout: .seconds(1))
        }
        try save(.starting, "the node daemon's CNI configuration")
        let files = [layout.egressConfigurationList, layout.cniSocket]
        _ = try await BoundedWait.until(
            "\(files.joined(separator: " and "))", within: .seconds(20), hint: layout.log(of: LabPlan.workerName)
        ) {
            files.allSatisfy(FileManager.default.fileExists) ? true : nil
        }
        for name in LabPlan.gatewayNames {
            try save(.starting, "the daemon of \(name)")
            guard let node = nodes.first(where: { $0.name == name }) else { continue }
            let namespace = try NetworkNamespace(name: node.namespace)
            let address = node.address.address
            _ = try await BoundedWait.until(
                "the probe server of \(name)", within: .seconds(20), hint: layout.log(of: name)
            ) {
                // Any answer will do: nothing is configured yet, so it is not a 200.
                try await NamespaceHTTP.get(
                    from: namespace, address, port: 8082, path: "/gw/none", timeout: .seconds(1))
            }
        }
    }
}

extension LabSupervisor: LabOperations {
    public func status() async -> LabStatus {
        var processes: [DaemonProcess.State] = []
        let servers = apiServer.map { [$0.etcd, $0.server] } ?? []
        for daemon in servers + daemons { processes.append(await daemon.state) }
        let topology = await simulator.snapshot()
        let addresses = topology.instances.flatMap { instance in
            instance.ipConfigurations.compactMap { configuration in
                configuration.publicIP.map { PublicAddress(node: instance.computerName, address: $0) }
            }
        }
        return LabStatus(
            processes: processes, backends: await fabric.health(),
            managedResources: await simulator.managedResources(), prefixes: topology.prefixes.map(\.block),
            publicAddresses: addresses,
            attachments: await kubelet?.attachmentRecords() ?? [])
    }

    public func fail(node: String) async throws {
        let daemon = try gatewayDaemon(node)
        await daemon.hold()
        try await fabric.setLink(of: node, isUp: false)
    }

    public func restore(node: String) async throws {
        let daemon = try gatewayDaemon(node)
        try await fabric.setLink(of: node, isUp: true)
        await daemon.release()
    }

    public func hold(daemon name: String) async throws {
        await (try daemon(name)).hold()
    }

    public func release(daemon name: String) async throws {
        await (try daemon(name)).release()
    }

    private func daemon(_ name: String) throws -> DaemonProcess {
        guard let daemon = daemons.first(where: { $0.name == name }) else {
            throw LabError(
                code: .invalidInput, message: "\"\(name)\" is no daemon of the lab",
                advice: "allowed: \(daemons.map(\.name).joined(separator: ", "))")
        }
        return daemon
    }

    public func changeTunnel(to name: String) async throws {
        guard let wanted = LabPlan.TunnelProvider(rawValue: name) else {
            let allowed = LabPlan.TunnelProvider.allCases.map(\.rawValue).joined(separator: ", ")
            throw LabError(
                code: .invalidInput, message: "tunnel \"\(name)\" is not allowed", advice: "allowed: \(allowed)")
        }
        guard wanted != tunnel else { return }
        logger.notice("changing the tunnel", metadata: ["from": "\(tunnel.rawValue)", "to": "\(name)"])
        tunnel = wanted
        try writeTunnelHosts()
        try save(.ready, "")
        let names = [LabPlan.workerName] + LabPlan.gatewayNames
        await withTaskGroup(of: Void.self) { group in
            for daemon in daemons where names.contains(daemon.name) { group.addTask { await daemon.restart() } }
        }
    }

    private func gatewayDaemon(_ node: String) throws -> DaemonProcess {
        guard LabPlan.gatewayNames.contains(node), let daemon = daemons.first(where: { $0.name == node }) else {
            throw LabError(
                code: .invalidInput, message: "node \"\(node)\" is no gateway",
                advice: "allowed: \(LabPlan.gatewayNames.joined(separator: ", "))")
        }
        return daemon
    }
}
