// Parts of the monitor: what it runs on the host while the container is there, and what it does at the end.

#ifndef KAURI_MONITOR_H
#define KAURI_MONITOR_H

#include <stdnoreturn.h>
#include <sys/types.h>

#include "plan.h"

/** From now on the timer counts. */
void start_timer(const struct plan_timer *timer);

/** Milliseconds until the timer's command is due; -1 where none is. */
int timer_left_ms(void);

/** Starts the command where it is due. */
void run_timer(const struct plan_timer *timer);

/** A child has ended; where it was the command, the next one is due an interval later. */
void timer_ended(pid_t ended);

/** Ends the command. */
void stop_timer(void);

/** Writes how the container ended, tells those who attached, and becomes the command that cleans up. */
noreturn void end_monitor(const struct plan *plan, int exit_code);

#endif
