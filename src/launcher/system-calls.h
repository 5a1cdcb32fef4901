// System calls that the C library of the build machine may not know yet, as thin inline functions. Each returns -1 with
// errno as the library's own would.

#ifndef KAURI_SYSTEM_CALLS_H
#define KAURI_SYSTEM_CALLS_H

#include <sys/syscall.h>
#include <unistd.h>

// Numbers since Linux 5.0 are the same on every architecture.
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
  return (int)syscall(SYS_close_range, first, last, flags);
}

#endif
