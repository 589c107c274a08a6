import JSONModel

extension VXLANSettings {
    /// JSON Schema of the entry's `config`. The parser is stricter where a schema cannot say it: a range's order, and an
    /// address of the family that the underlay has. A null stands for an absent field.
    static let schema: JSONValue = [
        "type": "object", "additionalProperties": false,
        "properties": [
            "portRange": [
                "description": "UDP ports of the node for pods' ends, FIRST-LAST; absent: 24576-28671.",
                "type": ["string", "null"], "pattern": "^[0-9]{4,5}-[0-9]{4,5}$",
            ],
            "mtu": [
                "description": "MTU of tunnel links in bytes; absent: derived from the uplink.",
                "type": ["integer", "null"], "minimum": .integer(Int64(mtuRange.lowerBound)),
                "maximum": .integer(Int64(mtuRange.upperBound)),
            ],
            "underlayAddress": [
                "description": "The node's address that gateways send to; absent: the one the kernel sends from.",
                "type": ["string", "null"],
            ],
            "underlayFamily": [
                "description": "Family of the addresses outside the tunnel; absent: ipv4.",
                "enum": ["ipv4", "ipv6", .null],
            ],
        ],
    ]
}
