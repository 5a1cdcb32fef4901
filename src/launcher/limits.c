#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "report.h"

/** As prlimit(2) takes it on every ABI. */
struct limits {
  uint64_t soft, hard;
};

/** Raw, for the type of the resource's number differs between C libraries. */
static int change_rlimit(uint32_t resource, const struct limits *to, struct limits *from) {
  return (int)syscall(SYS_prlimit64, 0, resource, to, from);
}

/** A hard limit that may not be raised stays; the soft one goes as high as it lets. */
static void set_rlimit(const struct plan_rlimit *wanted) {
  const struct limits limit = {.soft = wanted->soft, .hard = wanted->hard};
  if (change_rlimit(wanted->resource, &limit, NULL) == 0) return;
  if (errno != EPERM) die_errno("setting resource limit %u", wanted->resource);
  warn_errno("resource limit %u cannot be raised to %llu", wanted->resource,
             (unsigned long long)wanted->hard);
  struct limits granted;
  if (change_rlimit(wanted->resource, NULL, &granted) != 0) die_errno("prlimit");
  granted.soft = wanted->soft < granted.hard ? wanted->soft : granted.hard;
  if (change_rlimit(wanted->resource, &granted, NULL) != 0)
    die_errno("setting resource limit %u", wanted->resource);
}

void set_oom_score(const struct plan *plan) {
  if (!plan->has_oom_score) return;
  char text[16];
  int length = snprintf(text, sizeof text, "%d", plan->oom_score);
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) die_errno("/proc/self/oom_score_adj");
  if (write(fd, text, (size_t)length) != length)
    warn_errno("the OOM score cannot be set to %d", plan->oom_score);
  close(fd);
}

void set_rlimits(const struct plan *plan) {
  for (size_t i = 0; i < plan->rlimit_count; i++) set_rlimit(&plan->rlimits[i]);
}
