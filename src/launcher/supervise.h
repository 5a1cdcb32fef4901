#ifndef KAURI_SUPERVISE_H
#define KAURI_SUPERVISE_H

#include <stdnoreturn.h>

enum { CONTROL_FD = 3 };

/** Runs the plan that comes over CONTROL_FD and reports there how it ends. */
noreturn void supervise(int parent_pid);

#endif
