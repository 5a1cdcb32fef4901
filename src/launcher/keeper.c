#define _GNU_SOURCE
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

void die_with_parent(pid_t parent, int signal_number) {
  if (prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0) die_errno("prctl(PR_SET_PDEATHSIG)");
  // The parent may have died before prctl; then nobody sends the signal.
  if (getppid() != parent) _exit(EXIT_LAUNCH_FAILED);
}

void die_with_pipe(int alive, int signal_number) {
  if (prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0) die_errno("prctl(PR_SET_PDEATHSIG)");
  struct pollfd other_end = {.fd = alive, .events = POLLIN};
  if (poll(&other_end, 1, 0) != 0) _exit(EXIT_LAUNCH_FAILED);
}

struct keeper_outcome *share_outcome(void) {
  void *page = mmap(NULL, sizeof(struct keeper_outcome), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) die_errno("mmap");
  return page;
}

pid_t fork_into(unsigned long namespaces) {
  // The raw call: without a new stack the child continues here, as after fork(2). The order of the arguments beyond the
  // second differs between architectures, and all of them are 0.
  return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
}

int open_cgroup(const char *directory) {
  int cgroup_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (cgroup_fd < 0) die_errno("opening %s", directory);
  return cgroup_fd;
}

pid_t fork_into_cgroup(unsigned long namespaces, int cgroup_fd) {
  // Moving a process there afterwards would wait for a grace period of the kernel, about 10 ms.
  struct clone_args arguments = {
      .flags = namespaces | CLONE_INTO_CGROUP,
      .exit_signal = SIGCHLD,
      .cgroup = (uint64_t)cgroup_fd,
  };
  pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  close(cgroup_fd);
  return child;
}

sigset_t block_signals(void) {
  sigset_t all, before;
  sigfillset(&all);
  // Where SIGCHLD was ignored, the kernel would throw exit statuses away.
  signal(SIGCHLD, SIG_DFL);
  if (sigprocmask(SIG_SETMASK, &all, &before) != 0) die_errno("sigprocmask");
  return before;
}

/** Reaps what has ended; true when `child` was among it. */
static bool reap(pid_t child, int *wait_status) {
  for (;;) {
    int status;
    pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended == child) {
      *wait_status = status;
      return true;
    }
    if (ended == 0) return false;
    if (ended < 0 && errno == ECHILD) die("the supervised process is gone");
    if (ended < 0 && errno != EINTR) die_errno("waitpid");
  }
}

int relay_signals_until_exit(pid_t child) {
  sigset_t all;
  sigfillset(&all);
  int wait_status;
  for (;;) {
    if (reap(child, &wait_status)) return wait_status;
    int signal_number = sigwaitinfo(&all, NULL);
    if (signal_number > 0 && signal_number != SIGCHLD) kill(child, signal_number);
  }
}
