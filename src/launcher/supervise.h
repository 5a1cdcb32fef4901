// The modes of the launcher that run containers. In each the plan comes over CONTROL_FD, and reports go back there.

#ifndef KAURI_SUPERVISE_H
#define KAURI_SUPERVISE_H

#include <stdbool.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "container.h"
#include "keeper.h"
#include "plan.h"

/** ADOPTION_FD is the monitor's: one byte there makes it independent of kauri. The locks that it holds come behind. */
enum { CONTROL_FD = 3, ADOPTION_FD = 4 };

/** Runs a container to its end, and dies with kauri. */
noreturn void supervise(int parent_pid);

/** Runs a container on its own, once kauri has adopted it out; serves those who attach, writes its output and its end. */
noreturn void monitor(int parent_pid);

/** Makes a container that waits for its start, and leaves it to whoever reaps this process's children. */
noreturn void create(int parent_pid);

/** Runs one more program in a container. */
noreturn void execute(int parent_pid);

/** What every mode does first: the plan is read, nothing of the caller's is open but what the plan names. */
const struct plan *begin_launch(unsigned expected_descriptors);

/** An inheritance that hands over nothing. */
struct inheritance empty_inheritance(void);

/** Closes this process's side of what was handed over. */
void close_inheritance(const struct inheritance *inheritance);

/**
 * Starts a keeper, and by it the container; both die with this process. A keeper with a terminal of the user's gets
 * `death_signal` for that. Returns the keeper's id.
 */
pid_t start_keeper(const struct plan *plan, int death_signal, struct inheritance *inheritance,
                   struct keeper_outcome *outcome);

/** False where the container is in a pid namespace of others, or the host's. */
bool has_own_pids(const struct plan *plan);

/** Starts a container's first process in its namespaces and cgroup: 0 in the child. */
pid_t fork_container(const struct plan *plan);

/** What the first process needs to wait for its start; returns where it tells how far it is. */
int open_gate(const struct plan *plan, struct inheritance *inheritance);

/** True once the container waits at its gate; false where it ended before. */
bool await_created(int progress);

/** The master side of a terminal goes from the container over the second of the two. */
void open_terminal_sockets(int ends[2]);

/** Exit code as a shell has it: 128+n for a signal. */
int exit_code_of(int wait_status);

#endif
