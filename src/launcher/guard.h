#ifndef KAURI_GUARD_H
#define KAURI_GUARD_H

#include <stdnoreturn.h>

/** Runs `command` (NULL at its end) so that neither it nor a descendant of it outlives this process's parent. */
noreturn void guard(int parent_pid, char *const command[]);

#endif
