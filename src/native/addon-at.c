// Calls on one name in a directory that is held by descriptor. A name cannot have slashes and links are not followed, so
// with a directory from openInRoot nothing outside of the root can be reached, whatever the tree looks like.

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef struct {
  int directory;
  char name[NAME_MAX + 1];
} Place;

static Place place_argument(Call *call, size_t index) {
  Place place;
  place.directory = fd_argument(call, index);
  name_argument(call, index + 1, place.name, sizeof place.name);
  return place;
}

static napi_value open_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  int flags = (int)integer_argument(&call, 2);
  mode_t mode = has_argument(&call, 3) ? (mode_t)integer_argument(&call, 3) : 0;
  if (call.failed) return NULL;
  int fd;
  do fd = openat(place.directory, place.name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd < 0 ? throw_errno(&call, "openat", place.name) : make_number(&call, fd);
}

static napi_value stat_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  struct stat stat;
  if (call.failed) return NULL;
  if (fstatat(place.directory, place.name, &stat, AT_SYMLINK_NOFOLLOW) == 0) return make_stat(&call, &stat);
  return errno == ENOENT ? make_undefined(&call) : throw_errno(&call, "fstatat", place.name);
}

static napi_value make_directory_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  mode_t mode = (mode_t)integer_argument(&call, 2);
  if (call.failed) return NULL;
  return finish_call(&call, mkdirat(place.directory, place.name, mode), "mkdirat", place.name);
}

static napi_value make_node_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  mode_t mode = (mode_t)integer_argument(&call, 2);
  unsigned major_number = (unsigned)integer_argument(&call, 3);
  unsigned minor_number = (unsigned)integer_argument(&call, 4);
  if (call.failed) return NULL;
  int result = mknodat(place.directory, place.name, mode, makedev(major_number, minor_number));
  return finish_call(&call, result, "mknodat", place.name);
}

static napi_value symlink_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char target[PATH_MAX];
  string_argument(&call, 0, target, sizeof target);
  Place place = place_argument(&call, 1);
  if (call.failed) return NULL;
  return finish_call(&call, symlinkat(target, place.directory, place.name), "symlinkat", place.name);
}

static napi_value read_link_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  char target[PATH_MAX];
  if (call.failed) return NULL;
  ssize_t length = readlinkat(place.directory, place.name, target, sizeof target);
  return length < 0 ? throw_errno(&call, "readlinkat", place.name) : make_string(&call, target, (size_t)length);
}

static napi_value link_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place old = place_argument(&call, 0);
  Place new = place_argument(&call, 2);
  if (call.failed) return NULL;
  return finish_call(&call, linkat(old.directory, old.name, new.directory, new.name, 0), "linkat", new.name);
}

static napi_value rename_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place old = place_argument(&call, 0);
  Place new = place_argument(&call, 2);
  if (call.failed) return NULL;
  return finish_call(&call, renameat(old.directory, old.name, new.directory, new.name), "renameat", new.name);
}

static napi_value unlink_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  if (call.failed) return NULL;
  return finish_call(&call, unlinkat(place.directory, place.name, 0), "unlinkat", place.name);
}

static napi_value set_owner_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  uid_t uid = (uid_t)integer_argument(&call, 2);
  gid_t gid = (gid_t)integer_argument(&call, 3);
  if (call.failed) return NULL;
  int result = fchownat(place.directory, place.name, uid, gid, AT_SYMLINK_NOFOLLOW);
  return finish_call(&call, result, "fchownat", place.name);
}

static napi_value set_mode_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  mode_t mode = (mode_t)integer_argument(&call, 2);
  if (call.failed) return NULL;
  // glibc opens the name with O_PATH where the kernel lacks fchmodat2 (6.6); a link gives EOPNOTSUPP.
  int result = fchmodat(place.directory, place.name, mode, AT_SYMLINK_NOFOLLOW);
  return finish_call(&call, result, "fchmodat", place.name);
}

static napi_value set_times_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Place place = place_argument(&call, 0);
  time_t seconds = integer_argument(&call, 2);
  long nanoseconds = integer_argument(&call, 3);
  if (call.failed) return NULL;
  struct timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  int result = utimensat(place.directory, place.name, times, AT_SYMLINK_NOFOLLOW);
  return finish_call(&call, result, "utimensat", place.name);
}

static napi_value finish_file(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  int fd = fd_argument(&call, 0);
  int64_t uid = integer_argument(&call, 1);
  int64_t gid = integer_argument(&call, 2);
  mode_t mode = (mode_t)integer_argument(&call, 3);
  time_t seconds = integer_argument(&call, 4);
  long nanoseconds = integer_argument(&call, 5);
  if (call.failed) return NULL;
  struct timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  // The mode comes after the owner, whose change clears the set-id bits.
  if ((uid >= 0 || gid >= 0) && fchown(fd, (uid_t)uid, (gid_t)gid) < 0) return throw_errno(&call, "fchown", NULL);
  if (fchmod(fd, mode) < 0) return throw_errno(&call, "fchmod", NULL);
  return finish_call(&call, futimens(fd, times), "futimens", NULL);
}

const Binding at_bindings[] = {
    {"openAt", open_at},           {"statAt", stat_at},
    {"makeDirectoryAt", make_directory_at},
    {"makeNodeAt", make_node_at},  {"makeSymlinkAt", symlink_at},
    {"readLinkAt", read_link_at},  {"makeLinkAt", link_at},
    {"renameAt", rename_at},       {"unlinkAt", unlink_at},
    {"setOwnerAt", set_owner_at},  {"setModeAt", set_mode_at},
    {"setTimesAt", set_times_at},  {"finishFile", finish_file},
    {NULL, NULL},
};
