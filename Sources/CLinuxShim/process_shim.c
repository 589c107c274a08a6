#include "linux_shim.h"

#include <signal.h>
#include <sys/prctl.h>

int shim_die_with_parent(void) {
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int shim_adopt_orphans(void) {
    return prctl(PR_SET_CHILD_SUBREAPER, 1);
}
