// Calls on whole paths, which the host resolves, and on descriptors. Paths that come out of images go through
// addon-at.c instead.

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static napi_value make_node(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  string_argument(&call, 0, path, sizeof path);
  mode_t mode = (mode_t)integer_argument(&call, 1);
  unsigned major_number = (unsigned)integer_argument(&call, 2);
  unsigned minor_number = (unsigned)integer_argument(&call, 3);
  if (call.failed) return NULL;
  return finish_call(&call, mknod(path, mode, makedev(major_number, minor_number)), "mknod", path);
}

static napi_value set_times(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  string_argument(&call, 0, path, sizeof path);
  time_t seconds = integer_argument(&call, 1);
  long nanoseconds = integer_argument(&call, 2);
  if (call.failed) return NULL;
  struct timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  return finish_call(&call, utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), "utimensat", path);
}

static napi_value stat_file(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  string_argument(&call, 0, path, sizeof path);
  struct stat stat;
  if (call.failed) return NULL;
  if (lstat(path, &stat) < 0) return throw_errno(&call, "lstat", path);
  return make_stat(&call, &stat);
}

int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode) {
  struct open_how how = {
      .flags = flags | O_CLOEXEC,
      .mode = mode,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  };
  // EAGAIN: something was renamed while the kernel resolved a `..`, so that it could not tell that it stayed inside.
  for (int attempt = 0; attempt < 128; attempt++) {
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0 || (errno != EINTR && errno != EAGAIN)) return fd;
  }
  return -1;
}

static napi_value open_confined(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  int root = fd_argument(&call, 0);
  string_argument(&call, 1, path, sizeof path);
  uint64_t flags = (uint64_t)integer_argument(&call, 2);
  uint64_t mode = has_argument(&call, 3) ? (uint64_t)integer_argument(&call, 3) : 0;
  if (call.failed) return NULL;
  // openat2 refuses a mode where nothing is created, unlike open.
  if (!(flags & (O_CREAT | __O_TMPFILE))) mode = 0;
  int fd = open_in_root(root, path, flags, mode);
  return fd < 0 ? throw_errno(&call, "openat2", path) : make_number(&call, fd);
}

static napi_value data_extents(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  int fd = fd_argument(&call, 0);
  napi_value list;
  if (call.failed || napi_create_array(env, &list) != napi_ok) return NULL;
  uint32_t count = 0;
  off_t position = lseek(fd, 0, SEEK_CUR);
  off_t hole = 0;
  for (;;) {
    off_t data = lseek(fd, hole, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;
    if (data < 0 || (hole = lseek(fd, data, SEEK_HOLE)) < 0) return throw_errno(&call, "lseek", NULL);
    napi_set_element(env, list, count++, make_number(&call, (double)data));
    napi_set_element(env, list, count++, make_number(&call, (double)(hole - data)));
  }
  if (position >= 0) lseek(fd, position, SEEK_SET);
  return list;
}

static napi_value try_lock(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char mode[16];
  int fd = fd_argument(&call, 0);
  string_argument(&call, 1, mode, sizeof mode);
  if (call.failed) return NULL;
  int operation = mode[0] == 's' ? LOCK_SH : LOCK_EX;
  int result;
  do result = flock(fd, operation | LOCK_NB);
  while (result < 0 && errno == EINTR);
  if (result < 0 && errno != EWOULDBLOCK) return throw_errno(&call, "flock", NULL);
  return make_boolean(&call, result == 0);
}

static napi_value sync_file_system(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  int fd = fd_argument(&call, 0);
  if (call.failed) return NULL;
  return finish_call(&call, syncfs(fd), "syncfs", NULL);
}

static napi_value clone_file(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  int source = fd_argument(&call, 0);
  int target = fd_argument(&call, 1);
  if (call.failed) return NULL;
  if (ioctl(target, FICLONE, source) == 0) return make_boolean(&call, true);
  bool is_unable = errno == EOPNOTSUPP || errno == EXDEV || errno == EINVAL || errno == ENOTTY || errno == ENOSYS;
  return is_unable ? make_boolean(&call, false) : throw_errno(&call, "ioctl", NULL);
}

static napi_value unblock_signal(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  int number = (int)integer_argument(&call, 0);
  if (call.failed) return NULL;
  sigset_t signals;
  sigemptyset(&signals);
  if (sigaddset(&signals, number) < 0) return throw_errno(&call, "sigaddset", NULL);
  errno = pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
  return finish_call(&call, errno == 0 ? 0 : -1, "pthread_sigmask", NULL);
}

const Binding path_bindings[] = {
    {"mknod", make_node},
    {"setTimes", set_times},
    {"statFile", stat_file},
    {"openInRoot", open_confined},
    {"dataExtents", data_extents},
    {"tryLock", try_lock},
    {"syncFileSystem", sync_file_system},
    {"cloneFile", clone_file},
    {"unblockSignal", unblock_signal},
    {NULL, NULL},
};
