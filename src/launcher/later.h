#ifndef KAURI_LATER_H
#define KAURI_LATER_H

#include <stdnoreturn.h>

/** Waits, then becomes the command. Every descriptor that this process was given stays open. */
noreturn void later(int milliseconds, char *const command[]);

#endif
