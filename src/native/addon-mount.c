// Detached mounts: file systems that only their descriptor reaches. They enter no mount table and end with the last
// descriptor, so a killed process leaves none behind (kernel 5.2; mount_setattr 5.12).

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/** overlayfs takes at most 500 lower directories. */
#define MAX_LOWER 500
/** fsconfig(2) refuses longer values. */
#define MAX_VALUE 256

/** A strange tree seen from here: its devices and set-id programs do nothing. */
#define HARMLESS (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

typedef struct {
  int lower[MAX_LOWER];
  uint32_t lower_count;
  int upper;
  int work;
  char **options;
  uint32_t option_count;
  /** The mount's descriptor, or -1 with `error` and the call that failed. */
  int result;
  int error;
  const char *failed_call;
} Overlay;

static int overlay_failed(Overlay *overlay, const char *failed_call) {
  overlay->error = errno;
  overlay->failed_call = failed_call;
  return -1;
}

static int set_option(int context, const char *key, const char *value) {
  unsigned command = value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  return (int)syscall(SYS_fsconfig, context, command, key, value, 0);
}

static int set_descriptor(int context, const char *key, int fd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return set_option(context, key, path);
}

/**
 * Lower directories as `lowerdir=3:4:5`, relative to /proc/self/fd: that fits some 60 of them into the 256 bytes that
 * fsconfig takes, on every kernel. More need `lowerdir+`, which came with kernel 6.7.
 */
static int set_lower(int context, const Overlay *overlay) {
  char list[MAX_VALUE];
  size_t length = 0;
  for (uint32_t i = 0; i < overlay->lower_count && length < sizeof list; i++)
    length += (size_t)snprintf(list + length, sizeof list - length, "%s%d", i == 0 ? "" : ":", overlay->lower[i]);
  if (length < sizeof list) return set_option(context, "lowerdir", list);
  for (uint32_t i = 0; i < overlay->lower_count; i++)
    if (set_descriptor(context, "lowerdir+", overlay->lower[i]) < 0) return -1;
  return 0;
}

static int set_options(int context, Overlay *overlay) {
  if (set_lower(context, overlay) < 0) return overlay_failed(overlay, "fsconfig lowerdir");
  if (overlay->upper >= 0 && set_descriptor(context, "upperdir", overlay->upper) < 0)
    return overlay_failed(overlay, "fsconfig upperdir");
  if (overlay->work >= 0 && set_descriptor(context, "workdir", overlay->work) < 0)
    return overlay_failed(overlay, "fsconfig workdir");
  for (uint32_t i = 0; i < overlay->option_count; i++) {
    char *value = strchr(overlay->options[i], '=');
    if (value != NULL) *value++ = 0;
    if (set_option(context, overlay->options[i], value) < 0) return overlay_failed(overlay, "fsconfig");
  }
  return 0;
}

static int mount_context(int context, Overlay *overlay) {
  if (set_options(context, overlay) < 0) return -1;
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
    return overlay_failed(overlay, "fsconfig create");
  int mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, HARMLESS);
  return mount < 0 ? overlay_failed(overlay, "fsmount") : mount;
}

/** Runs in a thread of its own, whose working directory is nobody else's after unshare. */
static void *mount_overlay(void *data) {
  Overlay *overlay = data;
  overlay->result = -1;
  if (unshare(CLONE_FS) < 0 || chdir("/proc/self/fd") < 0) {
    overlay_failed(overlay, "chdir");
    return NULL;
  }
  int context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (context < 0) {
    overlay_failed(overlay, "fsopen");
    return NULL;
  }
  overlay->result = mount_context(context, overlay);
  close(context);
  return NULL;
}

static int open_directory(Call *call, napi_value value) {
  char *path = call->failed ? NULL : copy_string(call, value);
  if (path == NULL) return -1;
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) throw_errno(call, "open", path);
  free(path);
  return fd;
}

static int directory_member(Call *call, napi_value layers, const char *key) {
  napi_value value;
  napi_valuetype type;
  if (call->failed || napi_get_named_property(call->env, layers, key, &value) != napi_ok ||
      napi_typeof(call->env, value, &type) != napi_ok || type == napi_undefined)
    return -1;
  return open_directory(call, value);
}

static uint32_t list_member(Call *call, napi_value layers, const char *key, napi_value *list) {
  uint32_t length = 0;
  bool is_array = false;
  if (call->failed || napi_get_named_property(call->env, layers, key, list) != napi_ok ||
      napi_is_array(call->env, *list, &is_array) != napi_ok || !is_array)
    return 0;
  napi_get_array_length(call->env, *list, &length);
  return length;
}

static void open_lower(Call *call, napi_value layers, Overlay *overlay) {
  napi_value list, path;
  uint32_t count = list_member(call, layers, "lower", &list);
  if (count > MAX_LOWER) throw_code(call, E2BIG, "fsconfig lowerdir", NULL);
  for (uint32_t i = 0; i < count && !call->failed; i++) {
    napi_get_element(call->env, list, i, &path);
    int fd = open_directory(call, path);
    if (fd >= 0) overlay->lower[overlay->lower_count++] = fd;
  }
}

static void read_options(Call *call, napi_value layers, Overlay *overlay) {
  napi_value list, option;
  uint32_t count = list_member(call, layers, "options", &list);
  overlay->options = calloc(count + 1, sizeof *overlay->options);
  if (overlay->options == NULL) throw_code(call, ENOMEM, "calloc", NULL);
  for (uint32_t i = 0; i < count && !call->failed; i++) {
    napi_get_element(call->env, list, i, &option);
    overlay->options[i] = copy_string(call, option);
    overlay->option_count = i + 1;
  }
}

static void free_overlay(Overlay *overlay) {
  for (uint32_t i = 0; i < overlay->lower_count; i++) close(overlay->lower[i]);
  if (overlay->upper >= 0) close(overlay->upper);
  if (overlay->work >= 0) close(overlay->work);
  for (uint32_t i = 0; i < overlay->option_count; i++) free(overlay->options[i]);
  free(overlay->options);
}

static napi_value mount_overlay_detached(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Overlay overlay = {.upper = -1, .work = -1, .result = -1};
  if (call.failed) return NULL;
  open_lower(&call, call.arguments[0], &overlay);
  overlay.upper = directory_member(&call, call.arguments[0], "upper");
  overlay.work = directory_member(&call, call.arguments[0], "work");
  read_options(&call, call.arguments[0], &overlay);
  if (!call.failed) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, mount_overlay, &overlay);
    if (error == 0) pthread_join(thread, NULL);
    if (error != 0)
      throw_code(&call, error, "pthread_create", NULL);
    else if (overlay.result < 0)
      throw_code(&call, overlay.error, overlay.failed_call, NULL);
  }
  free_overlay(&overlay);
  return call.failed ? NULL : make_number(&call, overlay.result);
}

static napi_value clone_tree_detached(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char path[PATH_MAX];
  char mode[16] = "read-write";
  string_argument(&call, 0, path, sizeof path);
  if (has_argument(&call, 1)) string_argument(&call, 1, mode, sizeof mode);
  if (call.failed) return NULL;
  int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (fd < 0) return throw_errno(&call, "open_tree", path);
  struct mount_attr attributes = {.attr_set = HARMLESS};
  if (strcmp(mode, "read-only") == 0) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
    int error = errno;
    close(fd);
    return throw_code(&call, error, "mount_setattr", path);
  }
  return make_number(&call, fd);
}

const Binding mount_bindings[] = {
    {"mountOverlayDetached", mount_overlay_detached},
    {"cloneTreeDetached", clone_tree_detached},
    {NULL, NULL},
};
