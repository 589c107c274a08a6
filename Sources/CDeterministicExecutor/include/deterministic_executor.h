// Takes the place of Swift's global executor, for simulations that decide themselves what runs next.
//
// The Swift runtime calls the functions stored in its `swift_task_enqueueGlobal*_hook` variables, where set, instead of
// its own (swift/stdlib/public/Concurrency/GlobalExecutor.cpp of the toolchain's source). They exist for the whole
// process, so only a program made for it may install this.

#ifndef DETERMINISTIC_EXECUTOR_H
#define DETERMINISTIC_EXECUTOR_H

// Called for every job that becomes ready, on whichever thread made it so. The job must be given to
// deterministic_executor_run once.
typedef void (*deterministic_executor_enqueue)(void *job);

// From now on ready jobs go to `enqueue`. Jobs that ask for a real delay end the process with a message: whoever wants
// time must take it from the simulation.
void deterministic_executor_install(deterministic_executor_enqueue enqueue);

// Runs a job on this thread up to its next suspension.
void deterministic_executor_run(void *job);

#endif
