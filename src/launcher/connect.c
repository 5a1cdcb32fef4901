#define _GNU_SOURCE
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "container.h"
#include "report.h"
#include "supervise.h"

enum { MOST_BYTES = 64 * 1024 };

static void read_exactly(void *into, size_t length) {
  char *at = into;
  while (length > 0) {
    ssize_t got = read(CONTROL_FD, at, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) die("the messages end early");
    at += got;
    length -= (size_t)got;
  }
}

static struct bytes read_messages(void) {
  struct bytes messages;
  read_exactly(&messages.length, sizeof messages.length);
  if (messages.length > MOST_BYTES) die("the messages are too long");
  char *data = malloc(messages.length + 1);
  if (data == NULL) die_errno("memory for messages");
  read_exactly(data, messages.length);
  messages.data = data;
  return messages;
}

void connect_running(int pid) {
  report_to(CONTROL_FD);
  struct plan plan = {0};
  plan.netlink_outside = read_messages();
  plan.netlink_inside = read_messages();
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
  int namespace_fd = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace_fd < 0) die_errno("the container's network");
  int outside = open_netlink();
  if (setns(namespace_fd, CLONE_NEWNET) != 0) die_errno("joining the container's network");
  connect_network(&plan, outside);
  report("connected", "%d", pid);
  _exit(0);
}
