// Hooks of the configuration that run inside of the container's namespaces (runtime-spec v1.2.1 config.md#posix-platform-hooks).
// Each reads the container's state from its standard input.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"
#include "report.h"
#include "system-calls.h"

static int state_file(const struct bytes *state) {
  int fd = memfd_create("state", MFD_CLOEXEC);
  if (fd < 0) die_errno("memory for the container's state");
  const char *at = state->data;
  for (size_t left = state->length; left > 0;) {
    ssize_t written = write(fd, at, left);
    if (written <= 0) die_errno("writing the container's state");
    at += written;
    left -= (size_t)written;
  }
  if (lseek(fd, 0, SEEK_SET) != 0) die_errno("lseek");
  return fd;
}

static noreturn void execute_hook(const struct plan_hook *hook, int state_fd) {
  static char *no_environment[] = {NULL};
  for (int number = 1; number < _NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (dup2(state_fd, STDIN_FILENO) < 0) die_errno("dup2");
  sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  const struct text_list *environment = &hook->command.environment;
  execve(hook->path, (char *const *)hook->command.arguments.items,
         environment->items == NULL ? no_environment : (char *const *)environment->items);
  die_errno("executing the hook %s", hook->path);
}

/** False where it did not end in time. */
static bool ends_in_time(pid_t pid, uint32_t seconds) {
  if (seconds == 0) return true;
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) die_errno("pidfd_open");
  struct pollfd end = {.fd = pidfd, .events = POLLIN};
  int ready = poll(&end, 1, seconds > 1000000 ? -1 : (int)seconds * 1000);
  close(pidfd);
  return ready > 0;
}

static void run_hook(const struct plan_hook *hook, const struct bytes *state) {
  int state_fd = state_file(state);
  pid_t pid = fork();
  if (pid < 0) die_errno("fork");
  if (pid == 0) execute_hook(hook, state_fd);
  close(state_fd);
  bool in_time = ends_in_time(pid, hook->timeout_seconds);
  if (!in_time) kill(pid, SIGKILL);
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) die_errno("waiting for the hook %s", hook->path);
  if (!in_time) die("the hook %s did not end in %u s", hook->path, hook->timeout_seconds);
  if (WIFSIGNALED(status)) die("the hook %s was ended by signal %d", hook->path, WTERMSIG(status));
  if (WEXITSTATUS(status) != 0)
    die("the hook %s ended with exit code %d", hook->path, WEXITSTATUS(status));
}

void run_hooks(const struct plan *plan, enum hook_moment moment, const struct bytes *state) {
  for (size_t i = 0; i < plan->hook_count; i++)
    if (plan->hooks[i].moment == moment) run_hook(&plan->hooks[i], state);
}
