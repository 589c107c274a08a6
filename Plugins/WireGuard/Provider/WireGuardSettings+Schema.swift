import JSONModel

extension WireGuardSettings {
    /// JSON Schema of the entry's `config`; `init(json:)` takes what it takes. A null stands for an absent field.
    static let schema: JSONValue = [
        "type": "object", "additionalProperties": false,
        "properties": [
            "form": [
                "description": "What carries the packets: the kernel, wireguard-go, or auto: the kernel if it can.",
                "enum": .array(Form.allCases.map { .string($0.rawValue) } + [.null]),
            ],
            "userspaceBinary": [
                "description": "Absolute path of wireguard-go; absent: looked for in the usual directories.",
                "type": ["string", "null"], "pattern": "^/",
            ],
            "mtu": number("MTU of tunnel links in bytes; absent: derived from the uplink.", mtuRange),
            "persistentKeepaliveSeconds": number(
                "Seconds between keepalives of pod ends; 0 sends none.", keepaliveRange),
            "stallSeconds": number(
                "A pod end that sends but receives nothing for so many seconds shakes hands anew; 0: never.",
                stallRange),
        ],
    ]

    private static func number(_ description: String, _ range: ClosedRange<Int>) -> JSONValue {
        [
            "description": .string(description), "type": ["integer", "null"],
            "minimum": .integer(Int64(range.lowerBound)), "maximum": .integer(Int64(range.upperBound)),
        ]
    }
}
