// A keeper is the first process of a pid namespace that holds everything kauri starts: when it dies, for whatever
// reason, the kernel kills all of it. It dies with its parent, and the parent with kauri.

#ifndef KAURI_KEEPER_H
#define KAURI_KEEPER_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/** Written by the keeper, read by its parent after the keeper's end. */
struct keeper_outcome {
  bool ended;
  /** As from waitpid(2). */
  int wait_status;
};

/** Asks the kernel for `signal_number` at the parent's death and exits at once where the parent is dead already. */
void die_with_parent(pid_t parent, int signal_number);

/** The same for a keeper, who sees no parent from inside its namespace: `alive` is a pipe whose other end the parent holds. */
void die_with_pipe(int alive, int signal_number);

/** Memory that the keeper and its parent share. */
struct keeper_outcome *share_outcome(void);

/** fork(2) into new namespaces: 0 in the child, -1 with errno. */
pid_t fork_into(unsigned long namespaces);

/** A cgroup of version 2; exits where it is not there. */
int open_cgroup(const char *directory);

/** The same as fork_into, with the child in that cgroup from its first moment; the descriptor is closed. */
pid_t fork_into_cgroup(unsigned long namespaces, int cgroup_fd);

/** Blocks every signal; returns the mask that was in force before. */
sigset_t block_signals(void);

/**
 * Passes every signal that this process receives on to `child` until that one has ended; reaps whatever else ends
 * meanwhile. Returns the child's wait status.
 */
int relay_signals_until_exit(pid_t child);

#endif
