// Removes a whole tree below a directory held by descriptor. Links are never followed. A tree may be deeper than there are
// descriptors: from some depth on, a directory is moved up to the top and emptied there.

#include "addon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEEPEST 64

typedef struct {
  int top;
  /** Numbers the directories that were moved up; never used twice. */
  unsigned moved;
} Removal;

static int remove_children(Removal *removal, int fd, int depth);

static int move_to_top(Removal *removal, int parent, const char *name) {
  int result;
  do {
    char moved[64];
    snprintf(moved, sizeof moved, ".kauri-tmp-%d-%u", (int)getpid(), removal->moved++);
    result = renameat2(parent, name, removal->top, moved, RENAME_NOREPLACE);
  } while (result < 0 && errno == EEXIST);
  return result;
}

/** Removes what `name` is; 0, or -1 with errno. */
static int remove_entry(Removal *removal, int parent, const char *name, int depth) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
  if (errno != EISDIR) return -1;
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0) return 0;
  if (errno != ENOTEMPTY && errno != EEXIST) return -1;
  if (depth == DEEPEST) return move_to_top(removal, parent, name);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  if (remove_children(removal, fd, depth + 1) < 0) return -1;
  return unlinkat(parent, name, AT_REMOVEDIR);
}

/** Empties and closes a directory. */
static int remove_children(Removal *removal, int fd, int depth) {
  DIR *directory = fdopendir(fd);
  if (directory == NULL) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  int result = 0;
  const struct dirent *found;
  while (result == 0 && (errno = 0, found = readdir(directory)) != NULL) {
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    result = remove_entry(removal, fd, found->d_name, depth);
  }
  if (found == NULL && errno != 0) result = -1;
  int error = errno;
  closedir(directory);
  errno = error;
  return result;
}

/** Empties the top directory as often as something was moved into it meanwhile. */
static int remove_tree(int parent, const char *name) {
  Removal removal = {.top = -1};
  for (;;) {
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR) return -1;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0) return 0;
    if (errno != ENOTEMPTY && errno != EEXIST) return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    removal.top = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int result = remove_children(&removal, fd, 0);
    int error = errno;
    if (removal.top >= 0) close(removal.top);
    errno = error;
    if (result < 0) return -1;
  }
}

static napi_value remove_tree_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char name[NAME_MAX + 1];
  int directory = fd_argument(&call, 0);
  name_argument(&call, 1, name, sizeof name);
  if (call.failed) return NULL;
  return finish_call(&call, remove_tree(directory, name), "unlinkat", name);
}

const Binding remove_bindings[] = {
    {"removeTreeAt", remove_tree_at},
    {NULL, NULL},
};
