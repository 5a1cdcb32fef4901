// Extended attributes of a path, or of a name in a directory held by descriptor; never of what a link points to.

#include "addon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

/** linux/limits.h XATTR_SIZE_MAX and XATTR_LIST_MAX: the most that the kernel gives or takes. */
#define LARGEST 65536

/**
 * The file of a call (path, …) or (directory descriptor, name, …), and the index of the argument behind it. Kernels before
 * 6.13 have no call for the second form: /proc/self/fd/N is that directory itself, and the l…xattr calls do not follow
 * the name behind it.
 */
static size_t file_argument(Call *call, char *path, size_t size) {
  napi_valuetype type = napi_undefined;
  if (call->count == 0 || napi_typeof(call->env, call->arguments[0], &type) != napi_ok || type != napi_number) {
    string_argument(call, 0, path, size);
    return 1;
  }
  char name[NAME_MAX + 1];
  int directory = fd_argument(call, 0);
  name_argument(call, 1, name, sizeof name);
  snprintf(path, size, "/proc/self/fd/%d/%s", directory, name);
  return 2;
}

static napi_value list_xattrs(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  file_argument(&call, path, sizeof path);
  char names[LARGEST];
  if (call.failed) return NULL;
  ssize_t length = llistxattr(path, names, sizeof names);
  if (length < 0 && errno == EOPNOTSUPP) length = 0;
  return length < 0 ? throw_errno(&call, "llistxattr", path) : make_name_list(&call, names, (size_t)length);
}

static napi_value get_xattr(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  char name[NAME_MAX + 1];
  size_t next = file_argument(&call, path, sizeof path);
  string_argument(&call, next, name, sizeof name);
  char value[LARGEST];
  if (call.failed) return NULL;
  ssize_t length = lgetxattr(path, name, value, sizeof value);
  if (length < 0) return throw_errno(&call, "lgetxattr", path);
  napi_value buffer = NULL;
  napi_create_buffer_copy(env, (size_t)length, value, NULL, &buffer);
  return buffer;
}

static napi_value set_xattr(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  char name[NAME_MAX + 1];
  void *value = NULL;
  size_t length = 0;
  size_t next = file_argument(&call, path, sizeof path);
  string_argument(&call, next, name, sizeof name);
  bytes_argument(&call, next + 1, &value, &length);
  if (call.failed) return NULL;
  return finish_call(&call, lsetxattr(path, name, value, length, 0), "lsetxattr", path);
}

static napi_value remove_xattr(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  char name[NAME_MAX + 1];
  size_t next = file_argument(&call, path, sizeof path);
  string_argument(&call, next, name, sizeof name);
  if (call.failed) return NULL;
  return finish_call(&call, lremovexattr(path, name), "lremovexattr", path);
}

const Binding xattr_bindings[] = {
    {"listXattrs", list_xattrs}, {"getXattr", get_xattr},     {"setXattr", set_xattr}, {"removeXattr", remove_xattr},
    {"listXattrsAt", list_xattrs}, {"getXattrAt", get_xattr}, {"setXattrAt", set_xattr}, {"removeXattrAt", remove_xattr},
    {NULL, NULL},
};
