import CFFI
import CMnl
import CNFTables
import COpenSSL
import CSodium
import Testing

/// Each C library is found by its module map, links, and works.
@Suite struct SystemLibraryTests {
    @Test func libffiCallsAFunctionWhoseSignatureIsData() throws {
        let function: @convention(c) (Int64) -> Int64 = { $0 * 2 }
        var interface = ffi_cif()
        let types = UnsafeMutablePointer<UnsafeMutablePointer<ffi_type>?>.allocate(capacity: 1)
        defer { types.deallocate() }
        let integer = UnsafeMutablePointer<ffi_type>.allocate(capacity: 1)
        defer { integer.deallocate() }
        integer.initialize(to: ffi_type(size: 8, alignment: 8, type: UInt16(FFI_TYPE_SINT64), elements: nil))
        types[0] = integer
        #expect(ffi_prep_cif(&interface, FFI_DEFAULT_ABI, 1, integer, types) == FFI_OK)
        var argument: Int64 = 21
        var result: Int64 = 0
        withUnsafeMutablePointer(to: &argument) { pointer in
            var values: [UnsafeMutableRawPointer?] = [UnsafeMutableRawPointer(pointer)]
            ffi_call(&interface, unsafeBitCast(function, to: (@convention(c) () -> Void).self), &result, &values)
        }
        #expect(result == 42)
    }

    @Test func libcryptoKnowsSHA256() {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        // FIPS 180-2, the digest of "abc".
        #expect(EVP_Digest(Array("abc".utf8), 3, &digest, &length, EVP_sha256(), nil) == 1)
        #expect(digest.prefix(4) == [0xba, 0x78, 0x16, 0xbf])
    }

    @Test func libsodiumIsReady() {
        #expect(sodium_init() >= 0)
        #expect(crypto_scalarmult_curve25519_bytes() == 32)
    }

    @Test func libmnlOpensASocket() throws {
        let socket = try #require(mnl_socket_open(NETLINK_ROUTE))
        #expect(mnl_socket_get_fd(socket) >= 0)
        #expect(mnl_socket_close(socket) == 0)
    }

    @Test func libnftablesMakesAContext() throws {
        let context = try #require(nft_ctx_new(UInt32(NFT_CTX_DEFAULT)))
        #expect(nft_ctx_get_dry_run(context) == false)
        nft_ctx_free(context)
    }
}
