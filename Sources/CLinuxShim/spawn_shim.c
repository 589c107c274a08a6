#include "linux_shim.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int prepare_files(posix_spawn_file_actions_t *actions) {
    int code = 0;
    for (int descriptor = 0; descriptor <= 2 && code == 0; descriptor++)
        code = posix_spawn_file_actions_addopen(actions, descriptor, "/dev/null", O_RDWR, 0);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(actions, 3);
    if (code == 0)
        code = posix_spawn_file_actions_addchdir_np(actions, "/");
    return code;
}

static int prepare_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int code = posix_spawnattr_setsigmask(attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setsigdefault(attributes, &all);
    if (code == 0)
        code = posix_spawnattr_setflags(
            attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return code;
}

int shim_spawn_detached(const char *binary, char *const arguments[], char *const environment[], pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = prepare_files(&actions);
        if (code == 0)
            code = prepare_attributes(&attributes);
        if (code == 0)
            code = posix_spawn(child, binary, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

static int reporting_files(posix_spawn_file_actions_t *actions, int output, int report) {
    // Out of the way first: either may have one of the numbers that are about to be given away.
    enum { STANDARD_ERROR = 2, REPORT = 3, SPARE_OUTPUT = 62, SPARE_REPORT = 63 };
    int code = posix_spawn_file_actions_adddup2(actions, output, SPARE_OUTPUT);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, report, SPARE_REPORT);
    if (code == 0)
        code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    for (int descriptor = 1; descriptor <= STANDARD_ERROR && code == 0; descriptor++)
        code = posix_spawn_file_actions_adddup2(actions, SPARE_OUTPUT, descriptor);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, SPARE_REPORT, REPORT);
    if (code == 0)
        code = posix_spawn_file_actions_addclosefrom_np(actions, REPORT + 1);
    return code;
}

int shim_spawn_reporting(const char *binary, char *const arguments[], char *const environment[], int output,
                         int report, pid_t *child) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0)
        return code;
    code = posix_spawnattr_init(&attributes);
    if (code == 0) {
        code = reporting_files(&actions, output, report);
        if (code == 0)
            code = posix_spawnattr_setsigmask(&attributes, &none);
        if (code == 0)
            code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        if (code == 0)
            code = posix_spawn(child, binary, &actions, &attributes, arguments, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return code;
}

int shim_pipe(int ends[2]) {
    return pipe2(ends, O_CLOEXEC);
}
