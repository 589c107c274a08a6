#include "linux_shim.h"

#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>

int shim_die_with_parent(void) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int shim_adopt_orphans(void) {
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int shim_bound_heaps(int count) {
    // Both are asked, whatever the first one answers.
    int heaps = mallopt(M_ARENA_MAX, count);
    return mallopt(M_MMAP_THRESHOLD, 128 * 1024) && heaps;
}

void shim_trim_heaps(void) {
    malloc_trim(0);
}
