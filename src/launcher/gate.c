#define _GNU_SOURCE
#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "report.h"
#include "supervise.h"
#include "system-calls.h"

enum { BACKLOG = 128, MAX_STATE_BYTES = 4 * 1024 * 1024 };

int listen_in(const char *directory, const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (directory_fd < 0 || fd < 0) die_errno("opening %s", directory);
  // Through the descriptor, for a socket's path has 107 bytes at most.
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory_fd, name);
  if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
      listen(fd, BACKLOG) != 0)
    die_errno("listening at %s/%s", directory, name);
  close(directory_fd);
  return fd;
}

static void read_exactly(int fd, void *into, size_t length) {
  for (char *at = into; length > 0;) {
    ssize_t got = read(fd, at, length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) die_errno("waiting for kauri");
    if (got == 0) die("kauri ended while the container waited for it");
    at += got;
    length -= (size_t)got;
  }
}

static void read_state(int fd, struct bytes *state) {
  read_exactly(fd, &state->length, sizeof state->length);
  if (state->length > MAX_STATE_BYTES) die("the container's state is too long");
  char *data = malloc(state->length + 1);
  if (data == NULL) die_errno("memory for the container's state");
  read_exactly(fd, data, state->length);
  state->data = data;
}

static bool has_hooks(const struct plan *plan, enum hook_moment moment) {
  for (size_t i = 0; i < plan->hook_count; i++)
    if (plan->hooks[i].moment == moment) return true;
  return false;
}

/** A first process of a pid namespace has no default actions, so what would end another one ends it by this. */
static void end_by_signal(int signal_number) { _exit(128 + signal_number); }

static void handle_endings(void (*handler)(int)) {
  static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) signal(endings[i], handler);
}

static int await_starter(int gate) {
  int starter;
  do starter = accept4(gate, NULL, NULL, SOCK_CLOEXEC);
  while (starter < 0 && errno == EINTR);
  if (starter < 0) die_errno("waiting for the start");
  handle_endings(SIG_DFL);
  close(gate);
  return starter;
}

void wait_at_gate(const struct plan *plan, const struct inheritance *inheritance,
                  struct bytes *state) {
  // Whoever made this container may end now.
  if (plan->is_detached && prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) != 0)
    die_errno("prctl(PR_SET_PDEATHSIG)");
  // Before anybody knows whom to send a signal.
  handle_endings(end_by_signal);
  if (write(inheritance->progress, "c", 1) != 1) die_errno("telling of the container");
  report("created", "%s", "");
  close(CONTROL_FD);
  int starter = await_starter(inheritance->gate);
  report_to(starter);
  if (has_hooks(plan, HOOK_START_CONTAINER)) read_state(starter, state);
}

void take_host_turn(struct bytes *state) {
  read_state(CONTROL_FD, state);
}
