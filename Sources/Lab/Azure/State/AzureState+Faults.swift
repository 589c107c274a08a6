import JSONModel

extension AzureSimulator {
    /// Something that goes wrong once or several times, on calls of one operation.
    public struct Fault: Sendable, Equatable {
        public enum Outcome: Sendable, Equatable {
            /// The call is answered so and does nothing.
            case answer(status: Int, code: String, message: String, retryAfterSeconds: Int?)
            /// The call is accepted, and its long-running operation ends with `status` `Failed` or `Canceled`: what it
            /// wrote is stored, but not in effect.
            case operationEnds(status: String, code: String, message: String)
        }

        /// Name of the operation as in the audit, such as `LoadBalancers_Get`.
        public var operation: String
        public var outcome: Outcome
        /// How many calls it meets, 1 or more.
        public var times: Int

        public init(operation: String, outcome: Outcome, times: Int = 1) {
            self.operation = operation
            self.outcome = outcome
            self.times = times
        }
    }

    /// The faults that `egressctl lab azure inject` knows by name.
    public enum FaultKind: String, Sendable, CaseIterable {
        /// The next GET of a load balancer is 429 with Retry-After 2.
        case throttle
        /// The next PUT of a load balancer is 409 AnotherOperationInProgress.
        case conflict
        /// The operation of the next PUT of a public prefix ends Failed.
        case operationFailed = "lro-failed"
        /// The operation of the next PUT of a load balancer ends Canceled.
        case operationCanceled = "lro-canceled"
        /// The next GET of a load balancer is 500.
        case serverError = "server-error"
        /// Every ipConfiguration named `egressgateway-...` goes, from models, instances and network interfaces, as when
        /// somebody rolls out a scale set model that does not have them.
        case strip
        /// The first instance of the first scale set goes, and a new one of the current model comes.
        case replaceInstance = "replace-instance"

        /// The fault that waits for a call; nil for what happens at once.
        var fault: Fault? {
            switch self {
            case .throttle:
                Fault(
                    operation: ARMHandler.loadBalancerGet.rawValue,
                    outcome: .answer(
                        status: 429, code: "TooManyRequests", message: "The request is being throttled.",
                        retryAfterSeconds: 2))
            case .conflict:
                Fault(
                    operation: ARMHandler.loadBalancerPut.rawValue,
                    outcome: .answer(
                        status: 409, code: "AnotherOperationInProgress",
                        message: "Another operation on this or dependent resource is in progress.",
                        retryAfterSeconds: nil))
            case .operationFailed:
                Fault(
                    operation: ARMHandler.prefixPut.rawValue,
                    outcome: .operationEnds(
                        status: "Failed", code: "InternalServerError", message: "An error occurred."))
            case .operationCanceled:
                Fault(
                    operation: ARMHandler.loadBalancerPut.rawValue,
                    outcome: .operationEnds(
                        status: "Canceled", code: "CanceledAndSupersededDueToAnotherOperation",
                        message: "Operation was canceled and superseded by another operation."))
            case .serverError:
                Fault(
                    operation: ARMHandler.loadBalancerGet.rawValue,
                    outcome: .answer(
                        status: 500, code: "InternalServerError", message: "An error occurred.",
                        retryAfterSeconds: nil))
            case .strip, .replaceInstance: nil
            }
        }
    }
}

extension AzureState {
    static let armedFaults = 64

    /// - Throws: ``AzureSimulator/StartError`` if the fault can never happen or too many wait.
    mutating func arm(_ fault: AzureSimulator.Fault) throws {
        func refuse(_ message: String) -> AzureSimulator.StartError {
            AzureSimulator.StartError(code: .configuration, message: message)
        }
        guard let handler = ARMHandler(rawValue: fault.operation) else {
            throw refuse("operation: \"\(fault.operation)\" is not served; names are those of the audit")
        }
        guard fault.times >= 1 else { throw refuse("times: \(fault.times) is below 1") }
        guard faults.count < Self.armedFaults else { throw refuse("\(Self.armedFaults) faults are armed already") }
        switch fault.outcome {
        case .answer(let status, _, _, _):
            guard (400...599).contains(status) else { throw refuse("status: \(status) is not in 400..599") }
        case .operationEnds(let status, _, _):
            guard ["Failed", "Canceled"].contains(status) else {
                throw refuse("status: \"\(status)\" is neither Failed nor Canceled")
            }
            guard !handler.rawValue.contains("_Get"), !handler.rawValue.contains("_List") else {
                throw refuse("operation: \(fault.operation) starts no long-running operation")
            }
        }
        faults.append(fault)
    }

    /// The first fault that a call of this operation must be answered with; it is used up by that.
    mutating func takeAnswerFault(_ handler: ARMHandler) -> ARMFault? {
        let index = faults.firstIndex { fault in
            if case .answer = fault.outcome { fault.operation == handler.rawValue } else { false }
        }
        guard let index, case .answer(let status, let code, let message, let retryAfter) = use(index).outcome else {
            return nil
        }
        var fault = ARMFault(status, code, message)
        fault.retryAfter = retryAfter
        return fault
    }

    /// How the operation that this call starts must end, if a fault says so; it is used up by that.
    mutating func takeOperationFault(_ handler: ARMHandler?) -> OperationState.Ending? {
        let index = faults.firstIndex { fault in
            if case .operationEnds = fault.outcome { fault.operation == handler?.rawValue } else { false }
        }
        guard let index, case .operationEnds(let status, let code, let message) = use(index).outcome else {
            return nil
        }
        return OperationState.Ending(status: status, error: ARMFault(409, code, message))
    }

    private mutating func use(_ index: Int) -> AzureSimulator.Fault {
        let fault = faults[index]
        if fault.times > 1 { faults[index].times -= 1 } else { faults.remove(at: index) }
        return fault
    }
}
