#ifndef KAURI_ROOTED_H
#define KAURI_ROOTED_H

#include <stdnoreturn.h>

/** Runs the plan's program, which is one of the host, where the plan's root is mounted on the plan's directory. */
noreturn void run_rooted(const char *plan_file);

#endif
