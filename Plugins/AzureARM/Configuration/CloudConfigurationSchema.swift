import JSONModel

extension CloudConfiguration {
    /// JSON Schema of the `config` that ``init(pluginConfiguration:)`` reads. The cloud configuration itself is open:
    /// its names are matched without case and other readers' fields are ignored, as in the Go system, which no schema
    /// can say; the plugin judges it when it is made.
    public static let pluginConfigurationSchema: JSONValue = [
        "type": "object", "additionalProperties": false, "required": ["cloudConfig"],
        "properties": [
            "cloudConfig": [
                "description": "Path of a cloud configuration (azure.json), or its fields in place.",
                "type": ["string", "object"],
            ],
            "pruneLimit": [
                "description": "Resources of no configuration that one prune may delete; 0: it only tells of them.",
                "type": "integer", "minimum": 0, "maximum": .integer(Int64(maximumPruneLimit)),
                "default": .integer(Int64(defaultPruneLimit)),
            ],
        ],
    ]
}
