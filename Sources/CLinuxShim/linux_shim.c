#include "linux_shim.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

/* linux/magic.h: NSFS_MAGIC */
static const long namespace_filesystem = 0x6e736673;

int shim_setns_network(int fd) { return setns(fd, CLONE_NEWNET); }

int shim_unshare_network(void) { return unshare(CLONE_NEWNET); }

pid_t shim_gettid(void) { return gettid(); }

int shim_bind_mount(const char *source, const char *target) { return mount(source, target, 0, MS_BIND, 0); }

int shim_make_mount_shared(const char *directory) {
    if (mount("", directory, "none", MS_SHARED | MS_REC, 0) == 0)
        return 0;
    if (errno != EINVAL)
        return -1;
    /* Not a mount point yet: make it one, on itself. */
    if (mount(directory, directory, "none", MS_BIND | MS_REC, 0) != 0)
        return -1;
    return mount("", directory, "none", MS_SHARED | MS_REC, 0);
}

int shim_unmount_detach(const char *target) { return umount2(target, MNT_DETACH); }

int shim_is_namespace_file(const char *path) {
    struct statfs information;
    if (statfs(path, &information) != 0)
        return -1;
    return information.f_type == namespace_filesystem ? 1 : 0;
}

int shim_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
