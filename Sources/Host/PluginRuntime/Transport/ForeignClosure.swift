import CFFI
import Glibc

/// C function pointers that are made at run time, each bound to a context of its own (libffi closures).
///
/// A closure is never freed: a plugin that breaks its contract may call it after its instance has ended. So their number
/// is bounded by that of the instances that a process makes, which is that of the entries in its list and their
/// restarts.
enum ForeignClosure {
    /// The kinds of arguments and results at the border.
    enum Kind: Hashable, Sendable {
        case nothing, pointer, int32, int64, uint64
        /// `egp_bytes` by value.
        case bytes
    }

    struct Signature: Hashable, Sendable {
        var result: Kind
        var arguments: [Kind]
    }

    /// - Parameters:
    ///   - results: where the result goes; as wide as a register for what is narrower (`ffi_arg`).
    ///   - arguments: pointers to the arguments.
    ///   - context: as given to ``make(_:context:_:)``.
    typealias Body =
        @convention(c) (
            _ interface: UnsafeMutablePointer<ffi_cif>?, _ result: UnsafeMutableRawPointer?,
            _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ context: UnsafeMutableRawPointer?
        ) -> Void

    /// Makes a function of that signature that calls `body`.
    ///
    /// - Returns: its address; nil if there is no memory for it, or the system forbids to make functions.
    static func make(_ signature: Signature, context: UnsafeMutableRawPointer, _ body: Body) -> UnsafeMutableRawPointer?
    {
        guard let interface = prepare(signature) else { return nil }
        var code: UnsafeMutableRawPointer?
        guard let memory = ffi_closure_alloc(MemoryLayout<ffi_closure>.size, &code), let code else { return nil }
        let closure = memory.assumingMemoryBound(to: ffi_closure.self)
        guard ffi_prep_closure_loc(closure, interface, body, context, code) == FFI_OK else {
            ffi_closure_free(memory)
            return nil
        }
        return code
    }

    /// Describes a signature to libffi; lives as long as the closure that uses it.
    private static func prepare(_ signature: Signature) -> UnsafeMutablePointer<ffi_cif>? {
        let arguments = UnsafeMutablePointer<UnsafeMutablePointer<ffi_type>?>.allocate(
            capacity: signature.arguments.count)
        for (index, kind) in signature.arguments.enumerated() { (arguments + index).initialize(to: type(kind)) }
        let interface = UnsafeMutablePointer<ffi_cif>.allocate(capacity: 1)
        interface.initialize(to: ffi_cif())
        let status = ffi_prep_cif(
            interface, FFI_DEFAULT_ABI, UInt32(signature.arguments.count), type(signature.result), arguments)
        guard status == FFI_OK else {
            interface.deallocate()
            arguments.deallocate()
            return nil
        }
        return interface
    }

    /// libffi's own descriptions are global variables, which Swift may not touch; these say the same.
    private static func type(_ kind: Kind) -> UnsafeMutablePointer<ffi_type> {
        let type = UnsafeMutablePointer<ffi_type>.allocate(capacity: 1)
        switch kind {
        case .nothing: type.initialize(to: ffi_type(size: 1, alignment: 1, type: UInt16(FFI_TYPE_VOID), elements: nil))
        case .pointer: type.initialize(to: word(FFI_TYPE_POINTER))
        case .int32: type.initialize(to: ffi_type(size: 4, alignment: 4, type: UInt16(FFI_TYPE_SINT32), elements: nil))
        case .int64: type.initialize(to: word(FFI_TYPE_SINT64))
        case .uint64: type.initialize(to: word(FFI_TYPE_UINT64))
        case .bytes:
            let members = UnsafeMutablePointer<UnsafeMutablePointer<ffi_type>?>.allocate(capacity: 3)
            members.initialize(to: self.type(.pointer))
            (members + 1).initialize(to: self.type(.uint64))
            (members + 2).initialize(to: nil)
            // Size and alignment of a struct are for libffi to find.
            type.initialize(to: ffi_type(size: 0, alignment: 0, type: UInt16(FFI_TYPE_STRUCT), elements: members))
        }
        return type
    }

    private static func word(_ type: Int32) -> ffi_type {
        ffi_type(size: 8, alignment: 8, type: UInt16(type), elements: nil)
    }
}
