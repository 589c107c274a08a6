#include "deterministic_executor.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SWIFT_CC __attribute__((swiftcall))

typedef SWIFT_CC void (*enqueue_original)(void *job);
typedef SWIFT_CC void (*enqueue_hook)(void *job, enqueue_original original);

extern enqueue_hook swift_task_enqueueGlobal_hook;
extern void *swift_task_enqueueGlobalWithDelay_hook;
extern void *swift_task_enqueueGlobalWithDeadline_hook;
// The executor reference is two words; both zero is the generic executor.
extern SWIFT_CC void swift_job_run(void *job, uintptr_t identity, uintptr_t implementation);

static deterministic_executor_enqueue handler;

static SWIFT_CC void enqueue(void *job, enqueue_original original) {
    (void)original;
    handler(job);
}

static SWIFT_CC void refuse_delay(void) {
    fputs("a job asked for a real delay; the simulation has only virtual time\n", stderr);
    abort();
}

void deterministic_executor_install(deterministic_executor_enqueue enqueue_job) {
    handler = enqueue_job;
    swift_task_enqueueGlobal_hook = enqueue;
    swift_task_enqueueGlobalWithDelay_hook = (void *)refuse_delay;
    swift_task_enqueueGlobalWithDeadline_hook = (void *)refuse_delay;
}

void deterministic_executor_run(void *job) {
    swift_job_run(job, 0, 0);
}
