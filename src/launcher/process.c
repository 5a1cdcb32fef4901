// What the first process of a container and one that is added to it have in common, before they drop their privileges.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "report.h"
#include "supervise.h"
#include "system-calls.h"

void leave_keyring(const struct plan *plan) {
  if (plan->keeps_keyring) return;
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
    warn_errno("no session keyring of its own");
}

void enter_directory(const char *directory) {
  if (chdir(directory) != 0) die_errno("the working directory %s", directory);
  char path[PATH_MAX];
  if (syscall(SYS_getcwd, path, sizeof path) < 0) die_errno("getcwd");
  if (path[0] != '/') die("the working directory %s is outside the container", directory);
}

/** A program that drops root can then still open /dev/stdout, where that is a pipe. */
static void give_pipes_to(uid_t uid) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && status.st_uid != uid)
      if (fchown(fd, uid, (gid_t)-1) != 0) warn_errno("the owner of stream %d", fd);
  }
}

void reset_signals(void) {
  for (int number = 1; number < _NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/** A program that opens /dev/stdout needs a pipe there; launchers get sockets from Node. */
void take_streams(const struct plan *plan, const struct inheritance *inheritance) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (inheritance->streams[fd] >= 0 && dup2(inheritance->streams[fd], fd) < 0) die_errno("dup2");
  if (plan->merge_output && dup2(STDOUT_FILENO, STDERR_FILENO) < 0) die_errno("dup2");
  if (plan->uid != 0) give_pipes_to(plan->uid);
}

void keep_inherited(const struct plan *plan) {
  unsigned count = plan->inherited_count;
  report_from_above(CONTROL_FD + (int)count);
  // They came behind the control socket, which has moved out of their way.
  for (unsigned i = 0; i < count; i++)
    if (dup2(CONTROL_FD + 1 + (int)i, CONTROL_FD + (int)i) < 0)
      die_errno("descriptor %u of the caller", CONTROL_FD + i);
  if (sys_close_range(CONTROL_FD + count, ~0U, CLOSE_RANGE_CLOEXEC) != 0) die_errno("close_range");
}
