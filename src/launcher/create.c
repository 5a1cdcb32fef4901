// Create mode: a container without a keeper and without anybody of kauri's beside it. Its first process waits at its gate,
// and becomes the child of whoever takes this process's children, such as conmon or a shim; or this process stays until
// its end, and tells how it ended.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"
#include "report.h"
#include "supervision.h"
#include "user-namespace.h"

int open_gate(const struct plan *plan, struct inheritance *inheritance) {
  int progress[2];
  if (pipe2(progress, O_CLOEXEC) != 0) die_errno("pipe");
  inheritance->gate = listen_in(plan->gate_directory, "start.sock");
  inheritance->progress = progress[1];
  return progress[0];
}

bool await_created(int progress) {
  char byte;
  ssize_t length;
  do length = read(progress, &byte, sizeof byte);
  while (length < 0 && errno == EINTR);
  return length == 1;
}

static pid_t start_container(const struct plan *plan, struct inheritance *inheritance) {
  int alive[2];
  if (pipe2(alive, O_CLOEXEC) != 0) die_errno("pipe");
  struct mapping mapping = open_mapping(plan, inheritance);
  pid_t container = fork_container(plan);
  if (container < 0) die_errno("clone");
  if (container == 0) {
    close(alive[1]);
    die_with_pipe(alive[0], SIGKILL);
    become_container(plan, inheritance);
  }
  close(alive[0]);
  write_maps(plan, &mapping);
  close_inheritance(inheritance);
  return container;
}

void create(int parent_pid) {
  static struct supervision supervision;
  const struct plan *plan = begin_launch(0);
  if (plan->gate_directory == NULL) die("the plan has no place to wait for the start");
  begin_supervision(&supervision, plan, parent_pid);
  attach_device_program(plan);
  struct inheritance inheritance = empty_inheritance();
  int progress = open_gate(plan, &inheritance);
  if (plan->is_detached && plan->console_socket == NULL && plan->has_terminal)
    die("a terminal without a console socket needs somebody who stays");
  if (!plan->is_detached || plan->has_terminal) prepare_streams(&supervision, plan, &inheritance);
  if (plan->netlink_outside.length > 0) inheritance.netlink_socket = open_netlink();
  supervision.child = start_container(plan, &inheritance);
  bool is_created = await_created(progress);
  close(progress);
  // Without that word the container has reported why it is not there.
  if (!is_created) waitpid(supervision.child, NULL, 0);
  if (!is_created || plan->is_detached) _exit(is_created ? 0 : EXIT_LAUNCH_FAILED);
  supervise_until_end(&supervision, plan);
  report("ended", "%d", exit_code_of(supervision.wait_status));
  _exit(0);
}
