import CLinuxShim
import Glibc
import LinuxNet
import Testing

@Suite("Network namespaces", .enabled(if: isRoot, needsRoot))
struct NamespaceTests {
    @Test("are made once, seen by iproute2, and removed once")
    func lifeCycle() throws {
        let name = "kegwt-ln-life-\(getpid())"
        let namespace = try NetworkNamespace(name: name)
        defer { _ = try? namespace.delete() }
        #expect(!namespace.exists)
        #expect(try namespace.create())
        #expect(try !namespace.create())
        #expect(namespace.exists)
        #expect(try run("ip netns list").contains(name))
        #expect(try run("ip netns exec \(name) ip -o link").contains("lo:"))
        #expect(try namespace.open().identity() != NetworkNamespace.current.open().identity())
        #expect(try namespace.delete())
        #expect(try !namespace.delete())
        #expect(try !run("ip netns list").contains(name))
    }

    @Test("accept what iproute2 made, and a placeholder left by a creation that died")
    func adoption() throws {
        let name = "kegwt-ln-adopt-\(getpid())"
        _ = try run("ip netns add \(name)")
        let namespace = try NetworkNamespace(name: name)
        defer { _ = try? namespace.delete() }
        #expect(try !namespace.create())
        #expect(try namespace.delete())
        _ = try run("touch \(namespace.path)")
        #expect(!namespace.exists)
        #expect(try namespace.create())
        #expect(namespace.exists)
    }

    @Test("run code on a thread of its own and leave every other thread alone")
    func running() async throws {
        let inside = try await TestNamespace("run")
        let before = try NetworkNamespace.current.open().identity()
        let identity = try inside.namespace.open().identity()
        let threads = try await withThrowingTaskGroup(of: pid_t.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    try await inside.namespace.run {
                        let here = try NetworkNamespace(path: "/proc/thread-self/ns/net").open().identity()
                        #expect(here == identity)
                        return shim_gettid()
                    }
                }
            }
            return try await group.reduce(into: Set<pid_t>()) { $0.insert($1) }
        }
        #expect(!threads.contains(getpid()))
        #expect(try NetworkNamespace.current.open().identity() == before)
        let thread = try NetworkNamespace(path: "/proc/thread-self/ns/net").open().identity()
        #expect(thread == before)
        #expect(try inside.namespace.runBlocking { try RouteSocket().links().map(\.name) } == ["lo"])
    }

    @Test("give the body's error back")
    func errors() async throws {
        let inside = try await TestNamespace("err")
        await #expect(throws: LinuxNetError.self) {
            try await inside.namespace.run { try RouteSocket().requireLink(named: "absent") }
        }
    }

    @Test("that are gone say so, and a socket opened before keeps working")
    func missing() async throws {
        let gone = try NetworkNamespace(name: "kegwt-ln-never-\(getpid())")
        let error = await #expect(throws: LinuxNetError.self) { try await gone.run { 1 } }
        #expect(error?.code == .namespaceMissing)
        let file = #expect(throws: LinuxNetError.self) { try NetworkNamespace(path: "/etc/hostname").open() }
        #expect(file?.code == .namespaceMissing)

        let inside = try await TestNamespace("gone")
        try inside.namespace.delete()
        #expect(try inside.routes.requireLink(named: "lo").isLoopback)
    }

    @Test("have their own sysctls")
    func sysctl() async throws {
        let inside = try await TestNamespace("sysctl")
        let key = "net/ipv4/conf/all/rp_filter"
        let outside = try Sysctl.get(key)
        let other = outside == "2" ? "1" : "2"
        try await inside.namespace.run { try Sysctl.set(key, other) }
        #expect(try inside.shell("cat /proc/sys/\(key)") == "\(other)\n")
        #expect(try await inside.namespace.run { try Sysctl.get(key) } == other)
        #expect(try Sysctl.get(key) == outside)
        let error = #expect(throws: LinuxNetError.self) { try Sysctl.set("net/../kernel/hostname", "x") }
        #expect(error?.code == .invalidValue)
        #expect(throws: LinuxNetError.self) { try Sysctl.get("net/ipv4/no_such_setting") }
    }

    @Test("refuse names that are no file name", arguments: ["", ".", "..", "a/b", "a b", "a\n"])
    func names(name: String) {
        let error = #expect(throws: LinuxNetError.self) { try NetworkNamespace(name: name) }
        #expect(error?.code == .invalidValue)
    }
}
