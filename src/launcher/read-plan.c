#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plan.h"
#include "report.h"

static void read_fully(int fd, char *into, size_t length) {
  while (length > 0) {
    ssize_t got = read(fd, into, length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) die_errno("reading the plan");
    if (got == 0) die("the plan ends early");
    into += got;
    length -= (size_t)got;
  }
}

struct plan *read_plan(int fd) {
  uint32_t header[2];
  read_fully(fd, (char *)header, sizeof header);
  if (header[0] != PLAN_MAGIC || header[1] < sizeof header || header[1] > PLAN_MAX_BYTES)
    die("the plan has no valid header");
  char *data = malloc(header[1]);
  if (data == NULL) die_errno("memory for the plan");
  memcpy(data, header, sizeof header);
  read_fully(fd, data + sizeof header, header[1] - sizeof header);
  const char *problem;
  struct plan *plan = parse_plan(data, header[1], &problem);
  if (plan == NULL) die("%s", problem);
  return plan;
}
