#pragma once

// System calls that Swift's Glibc module does not show: they need _GNU_SOURCE or are variadic.
// Every function follows the C convention: -1 and errno on failure.

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/// setns(2) with CLONE_NEWNET. Moves the calling thread only.
int shim_setns_network(int fd);

/// unshare(2) with CLONE_NEWNET. Affects the calling thread only.
int shim_unshare_network(void);

/// gettid(2).
pid_t shim_gettid(void);

/// mount(2) of `source` onto `target` with MS_BIND.
int shim_bind_mount(const char *source, const char *target);

/// Makes `directory` a mount point with shared propagation (as `ip netns add` does for /run/netns), so that what is
/// mounted below it later is seen in every mount namespace that received the directory.
int shim_make_mount_shared(const char *directory);

/// umount2(2) with MNT_DETACH.
int shim_unmount_detach(const char *target);

/// 1 if `path` is a file of the kernel's namespace file system (a namespace, not its empty placeholder), 0 if it is
/// another file, -1 and errno if it cannot be examined.
int shim_is_namespace_file(const char *path);

/// memfd_create(2) with MFD_CLOEXEC: a file descriptor on an anonymous file in memory.
int shim_memory_file(const char *name);

/// Starts a program that is to outlive the caller: in a session of its own, in "/", with /dev/null as standard input,
/// output and error, no other descriptor, no signal blocked and every signal's action the default. Its network
/// namespace is that of the calling thread.
///
/// `arguments` and `environment` end with NULL. Returns 0 and sets `child`, or gives an errno as posix_spawn(3) does.
int shim_spawn_detached(const char *binary, char *const arguments[], char *const environment[], pid_t *child);

/// Has the kernel kill the calling process when the thread that started it ends: PR_SET_PDEATHSIG of prctl(2).
int shim_die_with_parent(void);

/// Makes the calling process the parent of its orphaned descendants: PR_SET_CHILD_SUBREAPER of prctl(2).
int shim_adopt_orphans(void);

/// Starts a program in a process group of its own, in the caller's working directory and with no signal blocked.
/// Standard input is /dev/null; standard output and error go to `output`, descriptor 3 is `report`; it has no other.
///
/// `arguments` and `environment` end with NULL. Returns 0 and sets `child`, or gives an errno as posix_spawn(3) does.
int shim_spawn_reporting(const char *binary, char *const arguments[], char *const environment[], int output,
                         int report, pid_t *child);

/// pipe2(2) with O_CLOEXEC.
int shim_pipe(int ends[2]);

/// Bounds how many heaps (arenas) the threads of this process make: mallopt(3), M_ARENA_MAX, and keeps blocks of 128 KiB
/// and more out of them (M_MMAP_THRESHOLD). What a heap has free is of no use to other heaps. To be called before other
/// threads are started. Returns 1, or 0 if the allocator takes none of it.
int shim_bound_heaps(int count);

/// Gives free memory of all heaps back to the kernel: malloc_trim(3).
void shim_trim_heaps(void);

#ifdef __cplusplus
}
#endif
