#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "report.h"

/** The command has the terminal, where there is one, so that what is typed reaches it and not this process. */
static void take_terminal(void) {
  setpgid(0, 0);
  // Blocked signals, SIGTTOU among them, do not stop a process in the background here.
  tcsetpgrp(STDIN_FILENO, getpid());
}

static noreturn void become_command(char *const command[], const sigset_t *signals) {
  take_terminal();
  sigprocmask(SIG_SETMASK, signals, NULL);
  execvp(command[0], command);
  int failure = errno;
  fprintf(stderr, "exec %s failed: %s\n", command[0], strerror(failure));
  _exit(failure == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

void run_init(char *const command[]) {
  const sigset_t before = block_signals();
  pid_t child = fork();
  if (child < 0) die_errno("fork");
  if (child == 0) become_command(command, &before);
  int status = relay_signals_until_exit(child);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
