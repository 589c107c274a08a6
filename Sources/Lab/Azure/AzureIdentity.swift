extension AzureSimulator {
    /// The one application that is let in, and the ways in which it may prove itself.
    public struct Identity: Sendable {
        /// A trust in the tokens of another issuer, as for workload identity.
        public struct FederatedCredential: Sendable {
            /// The `iss` claim of its tokens.
            public var issuer: String
            /// The `sub` claim, such as `system:serviceaccount:NAMESPACE:NAME`.
            public var subject: String
            public var audience: String
            /// The issuer's RSA key in PEM (`PUBLIC KEY`); nil: only the form of a token is checked, not its signature.
            public var publicKey: String?

            public init(
                issuer: String, subject: String, audience: String = "api://AzureADTokenExchange",
                publicKey: String? = nil
            ) {
                self.issuer = issuer
                self.subject = subject
                self.audience = audience
                self.publicKey = publicKey
            }
        }

        /// A managed identity that may be asked for by any of its three names.
        public struct UserAssigned: Sendable {
            public var clientID: String
            public var objectID: String
            /// ARM id of the `Microsoft.ManagedIdentity/userAssignedIdentities` resource.
            public var resourceID: String

            public init(clientID: String, objectID: String, resourceID: String) {
                self.clientID = clientID
                self.objectID = objectID
                self.resourceID = resourceID
            }
        }

        public var tenant: String
        public var clientID: String
        public var clientSecret: String
        /// Certificates (PEM, RSA) with whose keys the application may sign assertions.
        public var certificates: [String]
        public var federated: [FederatedCredential]
        public var userAssigned: [UserAssigned]
        /// How long a token opens anything; 1 s or more.
        public var tokenLifetime: Duration

        public init(
            tenant: String = "00000000-0000-0000-0000-0000000000aa",
            clientID: String = "00000000-0000-0000-0000-0000000000bb", clientSecret: String = "lab-secret",
            certificates: [String] = [], federated: [FederatedCredential] = [], userAssigned: [UserAssigned] = [],
            tokenLifetime: Duration = .seconds(3600)
        ) {
            self.tenant = tenant
            self.clientID = clientID
            self.clientSecret = clientSecret
            self.certificates = certificates
            self.federated = federated
            self.userAssigned = userAssigned
            self.tokenLifetime = tokenLifetime
        }
    }

    /// Token buckets per kind of call. A call that finds its bucket empty is answered 429.
    public struct RateLimits: Sendable {
        public struct Bucket: Sendable {
            public var size: Double
            /// Calls that come back per second.
            public var perSecond: Double

            public init(size: Double, perSecond: Double) {
                self.size = size
                self.perSecond = perSecond
            }
        }

        public var reads: Bucket
        public var writes: Bucket
        public var deletes: Bucket

        public init(reads: Bucket, writes: Bucket, deletes: Bucket) {
            self.reads = reads
            self.writes = writes
            self.deletes = deletes
        }

        /// What ARM grants one principal per subscription and region (request limits page).
        public static let documented = RateLimits(
            reads: Bucket(size: 250, perSecond: 25), writes: Bucket(size: 200, perSecond: 10),
            deletes: Bucket(size: 200, perSecond: 10))
        /// Sizes as the counters of recorded answers show them; nothing that runs at human pace meets them.
        public static let generous = RateLimits(
            reads: Bucket(size: 16500, perSecond: 1000), writes: Bucket(size: 12000, perSecond: 1000),
            deletes: Bucket(size: 12000, perSecond: 1000))
    }

    /// Certificate and private key of the endpoint, both PEM.
    public struct ServerCertificate: Sendable {
        public var certificate: String
        public var key: String

        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }
}
