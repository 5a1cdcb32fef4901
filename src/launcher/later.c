// Later mode: what is to run after a pause, such as the next start of a container, waits in a process of some hundred
// kilobytes, which holds the descriptors (locks among them) until then.

#include "later.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

void later(int milliseconds, char *const command[]) {
  struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
  execv(command[0], command);
  die_errno("executing %s", command[0]);
}
