// What a tmpfs covers becomes its first content (`tmpcopyup`). Both sides are walked by descriptor, and no link is
// followed: the source is a directory of the image.

#define _GNU_SOURCE
#include "copy-up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report.h"

enum { MAX_DEPTH = 128 };

static void copy_directory(int from_fd, int to_fd, int depth);

static void copy_looks(int parent_fd, const char *name, const struct stat *status) {
  const struct timespec times[] = {status->st_atim, status->st_mtim};
  if (fchownat(parent_fd, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    die_errno("the owner of %s", name);
  // After the owner, whose change takes bits away.
  if (!S_ISLNK(status->st_mode) && fchmodat(parent_fd, name, status->st_mode & 07777, 0) != 0)
    die_errno("the mode of %s", name);
  utimensat(parent_fd, name, times, AT_SYMLINK_NOFOLLOW);
}

static void copy_file(int from_fd, int to_fd, const char *name, off_t size) {
  int source = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  int copy = openat(to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (source < 0 || copy < 0) die_errno("copying %s", name);
  for (off_t left = size; left > 0;) {
    ssize_t sent = sendfile(copy, source, NULL, (size_t)left);
    if (sent < 0) die_errno("copying %s", name);
    if (sent == 0) break;
    left -= sent;
  }
  close(source);
  close(copy);
}

static void copy_link(int from_fd, int to_fd, const char *name) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(from_fd, name, target, sizeof target - 1);
  if (length < 0) die_errno("copying the link %s", name);
  target[length] = '\0';
  if (symlinkat(target, to_fd, name) != 0) die_errno("copying the link %s", name);
}

static void copy_below(int from_fd, int to_fd, const char *name, int depth) {
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if (mkdirat(to_fd, name, 0700) != 0) die_errno("copying the directory %s", name);
  int source = openat(from_fd, name, flags);
  int copy = openat(to_fd, name, flags);
  if (source < 0 || copy < 0) die_errno("copying the directory %s", name);
  copy_directory(source, copy, depth + 1);
  close(copy);
}

static void copy_entry(int from_fd, int to_fd, const char *name, int depth) {
  struct stat status;
  if (fstatat(from_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) die_errno("copying %s", name);
  if (S_ISDIR(status.st_mode)) copy_below(from_fd, to_fd, name, depth);
  else if (S_ISREG(status.st_mode)) copy_file(from_fd, to_fd, name, status.st_size);
  else if (S_ISLNK(status.st_mode)) copy_link(from_fd, to_fd, name);
  else if (mknodat(to_fd, name, status.st_mode, status.st_rdev) != 0) die_errno("copying %s", name);
  copy_looks(to_fd, name, &status);
}

/** Closes `from_fd`. */
static void copy_directory(int from_fd, int to_fd, int depth) {
  if (depth > MAX_DEPTH) die("the directories below a tmpfs are nested too deeply");
  DIR *directory = fdopendir(from_fd);
  if (directory == NULL) die_errno("reading a directory");
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(directory);
    if (entry == NULL && errno != 0) die_errno("reading a directory");
    if (entry == NULL) break;
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      copy_entry(dirfd(directory), to_fd, entry->d_name, depth);
  }
  closedir(directory);
}

/** A descriptor that can be read, of one that only names a directory, as fsmount(2) gives it. */
static int open_directory(int fd) {
  int readable_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (readable_fd < 0) die_errno("opening a directory");
  return readable_fd;
}

void copy_up(int from_fd, int to_fd) {
  int source = open_directory(from_fd);
  int copy = open_directory(to_fd);
  struct stat status;
  if (fstat(source, &status) != 0) die_errno("reading what a tmpfs covers");
  copy_directory(source, copy, 0);
  if (fchown(copy, status.st_uid, status.st_gid) != 0 || fchmod(copy, status.st_mode & 07777) != 0)
    die_errno("the owner of a tmpfs");
  close(copy);
}
