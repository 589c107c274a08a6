#include "linux_shim.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

int shim_setns_network(int fd) { return setns(fd, CLONE_NEWNET); }

int shim_unshare_network(void) { return unshare(CLONE_NEWNET); }

pid_t shim_gettid(void) { return gettid(); }

int shim_bind_mount(const char *source, const char *target) { return mount(source, target, 0, MS_BIND, 0); }

int shim_unmount_detach(const char *target) { return umount2(target, MNT_DETACH); }
