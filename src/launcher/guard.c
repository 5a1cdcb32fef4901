// Guard mode: a program of the host (apt-get, xz …) under a keeper. Standard streams and extra descriptors pass through
// untouched, as do signals and the exit status.

#define _GNU_SOURCE
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "report.h"
#include "system-calls.h"

static noreturn void execute(char *const command[], const sigset_t *mask) {
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(command[0], command);
  int status = errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
  report("error", "cannot execute %s: %s", command[0], strerror(errno));
  _exit(status);
}

/** A supervisor that kept pipes open would hide from their readers that the program closed them. Keeps `fd`, as 0. */
static void close_all_but(int fd) {
  dup2(fd, 0);
  sys_close_range(1, ~0U, 0);
}

static noreturn void keep(char *const command[], const sigset_t *mask, int alive,
                          struct keeper_outcome *outcome) {
  die_with_pipe(alive, SIGKILL);
  pid_t child = fork_into(0);
  if (child < 0) die_errno("fork");
  if (child == 0) execute(command, mask);
  close_all_but(alive);
  outcome->wait_status = relay_signals_until_exit(child);
  outcome->ended = true;
  _exit(0);
}

/** Ends as the program ended, so that the caller sees the same signal or exit status. */
static noreturn void end_as(const struct keeper_outcome *outcome) {
  if (outcome->ended && WIFEXITED(outcome->wait_status)) _exit(WEXITSTATUS(outcome->wait_status));
  int signal_number = outcome->ended ? WTERMSIG(outcome->wait_status) : SIGKILL;
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  raise(signal_number);
  sigprocmask(SIG_SETMASK, &none, NULL);
  _exit(128 + signal_number);
}

void guard(int parent_pid, char *const command[]) {
  die_with_parent(parent_pid, SIGKILL);
  sigset_t mask = block_signals();
  struct keeper_outcome *outcome = share_outcome();
  int alive[2];
  if (pipe2(alive, O_CLOEXEC) != 0) die_errno("pipe");
  pid_t keeper = fork_into(CLONE_NEWPID);
  // Without the right to make a pid namespace the program itself dies with the parent, its children may not.
  if (keeper < 0 && errno == EPERM) execute(command, &mask);
  if (keeper < 0) die_errno("clone(CLONE_NEWPID)");
  if (keeper == 0) {
    close(alive[1]);
    keep(command, &mask, alive[0], outcome);
  }
  close_all_but(alive[1]);
  relay_signals_until_exit(keeper);
  end_as(outcome);
}
