// Exec mode: one more program in a container. This process joins the container's cgroups and namespaces, all at once and
// by a descriptor of its first process, then starts the program, and relays for it as run mode does.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"
#include "report.h"
#include "supervision.h"
#include "system-calls.h"

/** Field 22 of /proc/PID/stat, clock ticks since boot; 0 where there is no such process. */
static uint64_t start_ticks_of(uint32_t pid) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  // The name before it may have spaces and parentheses; field 3 is behind its end.
  const char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/** The container's first process, which is what its id says only if it started when the plan says. */
static int open_process(const struct plan_target *target) {
  int pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
  if (pidfd < 0 || start_ticks_of(target->pid) != target->start_ticks)
    die("the container has ended");
  return pidfd;
}

static void join_container(const struct plan *plan) {
  int pidfd = open_process(&plan->target);
  enter_cgroups(plan);
  // By the procfs of the host; the container's could be anything.
  set_oom_score(plan);
  if (setns(pidfd, (int)plan->target.namespaces) != 0)
    die_errno("joining the namespaces of process %u", plan->target.pid);
  close(pidfd);
}

static noreturn void become_program(const struct plan *plan, const struct inheritance *inheritance) {
  if (setsid() < 0) die_errno("setsid");
  leave_keyring(plan);
  set_rlimits(plan);
  if (plan->has_terminal) {
    int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) die_errno("opening the root");
    open_terminal(root_fd, plan, inheritance->terminal_socket);
  } else {
    take_streams(plan, inheritance);
  }
  reset_signals();
  enter_directory(plan->directory);
  apply_settings(plan);
  keep_inherited(plan);
  drop_privileges(plan);
  execute_program(plan);
}

/** Moving a process of version 2 into its cgroup afterwards would wait for a grace period of the kernel. */
static pid_t fork_into_container(int cgroup_fd) {
  return cgroup_fd < 0 ? fork_into(0) : fork_into_cgroup(0, cgroup_fd);
}

/** The pipe ends with the exec; then nobody waits for the program any more. */
static noreturn void leave(const struct plan *plan, const struct supervision *supervision,
                           int progress) {
  await_created(progress);
  // The program, even one that has ended, is for whoever takes this process's children.
  if (!plan->reaps) _exit(0);
  if (prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) != 0) die_errno("prctl(PR_SET_PDEATHSIG)");
  sys_close_range(0, ~0U, 0);
  // Not everywhere does process 1 do it, and a container does not end before its last process is taken.
  while (waitpid(supervision->child, NULL, 0) < 0 && errno == EINTR) continue;
  _exit(0);
}

void execute(int parent_pid) {
  static struct supervision supervision;
  const struct plan *plan = begin_launch(0);
  if (plan->target.pid == 0) die("the plan names no container");
  begin_supervision(&supervision, plan, parent_pid);
  struct inheritance inheritance = empty_inheritance();
  if (!plan->is_detached || plan->has_terminal) prepare_streams(&supervision, plan, &inheritance);
  int progress[2];
  if (pipe2(progress, O_CLOEXEC) != 0) die_errno("pipe");
  int cgroup_fd = plan->cgroup_directory == NULL ? -1 : open_cgroup(plan->cgroup_directory);
  join_container(plan);
  supervision.child = fork_into_container(cgroup_fd);
  if (supervision.child < 0) die_errno("clone");
  if (supervision.child == 0) become_program(plan, &inheritance);
  close_inheritance(&inheritance);
  close(progress[1]);
  report("started", "%d", (int)supervision.child);
  if (plan->is_detached) leave(plan, &supervision, progress[0]);
  supervise_until_end(&supervision, plan);
  report("ended", "%d", exit_code_of(supervision.wait_status));
  _exit(0);
}
