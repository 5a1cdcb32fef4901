// Between create and start: the container's first process is ready, and waits until somebody connects to start.sock. What
// it has to report from then on goes to who started it; the end of that connection says that the program runs.

#ifndef KAURI_GATE_H
#define KAURI_GATE_H

#include "container.h"
#include "plan.h"

/** A socket that listens at `directory`/`name`, whatever the length of the path. */
int listen_in(const char *directory, const char *name);

/**
 * Tells kauri that the container is created, and waits for its start. Where there are hooks for the start, who
 * starts says what they get to read, which goes to `*state`.
 */
void wait_at_gate(const struct plan *plan, const struct inheritance *inheritance,
                  struct bytes *state);

/** Lets kauri run its hooks, which "prepared" asked for; what it says the container's own get to read goes to `*state`. */
void take_host_turn(struct bytes *state);

/** Runs the plan's hooks of that moment, in order; exits with a report where one fails. */
void run_hooks(const struct plan *plan, enum hook_moment moment, const struct bytes *state);

#endif
