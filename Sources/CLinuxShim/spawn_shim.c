#include "linux_shim.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

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
