// Init mode, inside a container: the first process, which the kernel gives no default signals and all orphans.

#ifndef KAURI_INIT_H
#define KAURI_INIT_H

#include <stdnoreturn.h>

/** Runs the command as a child, passes signals on to it, reaps whatever ends, and exits with the child's status. */
noreturn void run_init(char *const command[]);

#endif
