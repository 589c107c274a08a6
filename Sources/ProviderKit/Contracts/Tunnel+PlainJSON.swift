import JSONModel

// A gateway's end lists all pods of its node, so these requests are the ones that grow.

extension Tunnel.Desired: PlainJSONValue {
    func write(to json: inout PlainJSONWriter) {
        json.raw("{\"id\":")
        json.string(id)
        json.raw(",\"namespace\":")
        json.string(namespace)
        json.raw(",\"link\":")
        json.string(link)
        json.raw(",\"addresses\":")
        json.array(addresses) { $0.string($1) }
        if let gateway {
            json.raw(",\"gateway\":")
            gateway.write(to: &json)
        }
        if let pod {
            json.raw(",\"pod\":")
            pod.write(to: &json)
        }
        json.raw("}")
    }

    /// Gives up unless there is exactly one end, which `Codable` leaves to the provider.
    init?(reading json: inout PlainJSONReader) {
        var id: String?
        var namespace: String?
        var link: String?
        var addresses: [String]?
        var gateway: Tunnel.GatewayEnd?
        var pod: Tunnel.PodEnd?
        let isPlain = json.object { json, name in
            if name == "id", id == nil {
                id = json.string()
                return id != nil
            }
            if name == "namespace", namespace == nil {
                namespace = json.string()
                return namespace != nil
            }
            if name == "link", link == nil {
                link = json.string()
                return link != nil
            }
            if name == "addresses", addresses == nil {
                addresses = json.array { $0.string() }
                return addresses != nil
            }
            if name == "gateway", gateway == nil {
                gateway = Tunnel.GatewayEnd(reading: &json)
                return gateway != nil
            }
            if name == "pod", pod == nil {
                pod = Tunnel.PodEnd(reading: &json)
                return pod != nil
            }
            return false
        }
        guard isPlain, let id, let namespace, let link, let addresses else { return nil }
        switch (gateway, pod) {
        case (let gateway?, nil):
            self.init(id: id, namespace: namespace, link: link, addresses: addresses, gateway: gateway)
        case (nil, let pod?):
            self.init(id: id, namespace: namespace, link: link, addresses: addresses, pod: pod)
        default: return nil
        }
    }
}

extension Tunnel.GatewayEnd: PlainJSONValue {
    func write(to json: inout PlainJSONWriter) {
        json.raw("{\"port\":")
        json.integer(port)
        json.raw(",\"privateKey\":")
        json.string(privateKey)
        json.raw(",\"peers\":")
        json.array(peers) { $1.write(to: &$0) }
        json.raw("}")
    }

    init?(reading json: inout PlainJSONReader) {
        var port: Int?
        var privateKey: String?
        var peers: [Tunnel.Peer]?
        let isPlain = json.object { json, name in
            if name == "port", port == nil {
                port = json.integer()
                return port != nil
            }
            if name == "privateKey", privateKey == nil {
                privateKey = json.string()
                return privateKey != nil
            }
            if name == "peers", peers == nil {
                peers = json.array { Tunnel.Peer(reading: &$0) }
                return peers != nil
            }
            return false
        }
        guard isPlain, let port, let privateKey, let peers else { return nil }
        self.init(port: port, privateKey: privateKey, peers: peers)
    }
}

extension Tunnel.Peer: PlainJSONValue {
    func write(to json: inout PlainJSONWriter) {
        json.raw("{\"id\":")
        json.string(id)
        json.raw(",\"publicKey\":")
        json.string(publicKey)
        json.raw(",\"allowedIPs\":")
        json.array(allowedIPs) { $0.string($1) }
        json.raw("}")
    }

    init?(reading json: inout PlainJSONReader) {
        var id: String?
        var publicKey: String?
        var allowedIPs: [String]?
        let isPlain = json.object { json, name in
            if name == "id", id == nil {
                id = json.string()
                return id != nil
            }
            if name == "publicKey", publicKey == nil {
                publicKey = json.string()
                return publicKey != nil
            }
            if name == "allowedIPs", allowedIPs == nil {
                allowedIPs = json.array { $0.string() }
                return allowedIPs != nil
            }
            return false
        }
        guard isPlain, let id, let publicKey, let allowedIPs else { return nil }
        self.init(id: id, publicKey: publicKey, allowedIPs: allowedIPs)
    }
}

extension Tunnel.PodEnd: PlainJSONValue {
    func write(to json: inout PlainJSONWriter) {
        json.raw("{\"endpoint\":{\"address\":")
        json.string(endpoint.address)
        json.raw(",\"port\":")
        json.integer(endpoint.port)
        json.raw("},\"gatewayPublicKey\":")
        json.string(gatewayPublicKey)
        json.raw("}")
    }

    init?(reading json: inout PlainJSONReader) {
        var endpoint: Tunnel.Endpoint?
        var gatewayPublicKey: String?
        let isPlain = json.object { json, name in
            if name == "endpoint", endpoint == nil {
                endpoint = Self.endpoint(&json)
                return endpoint != nil
            }
            if name == "gatewayPublicKey", gatewayPublicKey == nil {
                gatewayPublicKey = json.string()
                return gatewayPublicKey != nil
            }
            return false
        }
        guard isPlain, let endpoint, let gatewayPublicKey else { return nil }
        self.init(endpoint: endpoint, gatewayPublicKey: gatewayPublicKey)
    }

    private static func endpoint(_ json: inout PlainJSONReader) -> Tunnel.Endpoint? {
        var address: String?
        var port: Int?
        let isPlain = json.object { json, name in
            if name == "address", address == nil {
                address = json.string()
                return address != nil
            }
            if name == "port", port == nil {
                port = json.integer()
                return port != nil
            }
            return false
        }
        guard isPlain, let address, let port else { return nil }
        return Tunnel.Endpoint(address: address, port: port)
    }
}
