// Connect mode: one more interface for a container that runs. On descriptor 3 come two groups of messages for rtnetlink, each
// after its length in bytes: for this network namespace, then for the container's. It says `connected PID`.

#ifndef KAURI_CONNECT_H
#define KAURI_CONNECT_H

#include <stdnoreturn.h>

/** `pid` is a process of the container. */
noreturn void connect_running(int pid);

#endif
