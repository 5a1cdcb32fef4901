#define _GNU_SOURCE
#include "protect.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"
#include "system-calls.h"

static const char own_path[] = "/proc/self/exe";

/** A read-only mount of this file alone, attached nowhere, so nobody can make it writable again. -1 where not allowed. */
static int read_only_mount(void) {
  int mount_fd = sys_open_tree(AT_FDCWD, own_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (mount_fd < 0) return -1;
  const struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
  if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH, &read_only) == 0) return mount_fd;
  close(mount_fd);
  return -1;
}

/** A copy in memory that no descriptor can change any more. */
static int sealed_copy(void) {
  int from = open(own_path, O_RDONLY | O_CLOEXEC);
  int copy = memfd_create("kauri-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  struct stat status;
  if (from < 0 || copy < 0 || fstat(from, &status) != 0) die_errno("copying the launcher");
  for (off_t left = status.st_size; left > 0;) {
    ssize_t sent = sendfile(copy, from, NULL, (size_t)left);
    if (sent <= 0) die_errno("copying the launcher");
    left -= sent;
  }
  if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    die_errno("sealing the launcher");
  close(from);
  return copy;
}

void execute_protected(char *const arguments[]) {
  int fd = read_only_mount();
  if (fd < 0) fd = sealed_copy();
  char *const no_environment[] = {NULL};
  syscall(SYS_execveat, fd, "", arguments, no_environment, AT_EMPTY_PATH);
  die_errno("executing the protected launcher");
}
