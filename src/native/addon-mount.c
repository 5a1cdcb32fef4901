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
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/** overlayfs takes at most 500 lower directories. */
#define MAX_LOWER 500
/** fsconfig(2) refuses longer values; some 60 lower directories as `3:4:5`. */
#define MAX_VALUE 256
/** mount(2) takes a page. */
#define MAX_MOUNT_DATA 4096

/** A strange tree seen from here: its devices and set-id programs do nothing. */
#define HARMLESS (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

typedef struct {
  int lower[MAX_LOWER];
  uint32_t lower_count;
  int upper;
  int work;
  char **options;
  uint32_t option_count;
  /** Mount as older kernels need it. */
  bool by_page;
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

/** Lower directories as `3:4:5`, relative to /proc/self/fd; false where that is longer than the list. */
static bool format_lower(const Overlay *overlay, char *list, size_t size) {
  size_t length = 0;
  for (uint32_t i = 0; i < overlay->lower_count; i++) {
    length += (size_t)snprintf(list + length, size - length, "%s%d", i == 0 ? "" : ":", overlay->lower[i]);
    if (length >= size) return false;
  }
  return true;
}

/** In one value where that fits; each in its own, as kernels from 6.7 on take them, where not. */
static int set_lower(int context, const Overlay *overlay) {
  char list[MAX_VALUE];
  if (format_lower(overlay, list, sizeof list)) return set_option(context, "lowerdir", list);
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
    if (value != NULL) *value = 0;
    int result = set_option(context, overlay->options[i], value == NULL ? NULL : value + 1);
    if (value != NULL) *value = '=';
    if (result < 0) return overlay_failed(overlay, "fsconfig");
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

static int mount_by_context(Overlay *overlay) {
  int context = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC);
  if (context < 0) return overlay_failed(overlay, "fsopen");
  int mount = mount_context(context, overlay);
  close(context);
  return mount;
}

static bool format_mount_data(const Overlay *overlay, char *data, size_t size) {
  static const char key[] = "lowerdir=";
  memcpy(data, key, sizeof key);
  if (!format_lower(overlay, data + strlen(data), size - strlen(data))) return false;
  for (uint32_t i = 0; i < overlay->option_count + 2; i++) {
    char own[32] = "";
    const char *option = own;
    if (i == 0 && overlay->upper >= 0) snprintf(own, sizeof own, "upperdir=%d", overlay->upper);
    if (i == 1 && overlay->work >= 0) snprintf(own, sizeof own, "workdir=%d", overlay->work);
    if (i >= 2) option = overlay->options[i - 2];
    size_t length = strlen(data);
    if (*option != 0 && (size_t)snprintf(data + length, size - length, ",%s", option) >= size - length) return false;
  }
  return true;
}

static bool path_of(int fd, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length >= 0) path[length] = 0;
  return length >= 0;
}

static bool is_same_place(const struct stat *one, const struct stat *other) {
  return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

/** The same directory, but seen through this thread's own mounts: overlayfs takes no others. */
static int reopen(int fd, const char *path) {
  struct stat before, after;
  int opened = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return -1;
  bool is_same = fstat(fd, &before) == 0 && fstat(opened, &after) == 0 && is_same_place(&before, &after);
  int result = is_same ? dup3(opened, fd, O_CLOEXEC) : -1;
  if (!is_same) errno = ESTALE;
  int error = errno;
  close(opened);
  errno = error;
  return result;
}

static uint32_t all_directories(const Overlay *overlay, int fds[MAX_LOWER + 2]) {
  uint32_t count = overlay->lower_count;
  memcpy(fds, overlay->lower, count * sizeof *fds);
  if (overlay->upper >= 0) fds[count++] = overlay->upper;
  if (overlay->work >= 0) fds[count++] = overlay->work;
  return count;
}

/** In a chroot they can be named only as long as they are in the mount namespace of the root. */
static bool name_all(const int *fds, uint32_t count, char **names) {
  char path[PATH_MAX];
  for (uint32_t i = 0; i < count; i++)
    if (!path_of(fds[i], path, sizeof path) || (names[i] = strdup(path)) == NULL) return false;
  return true;
}

/** Enters a mount namespace that ends with this thread, with every directory open in it. */
static int leave_mounts(const Overlay *overlay, const char **failed_call) {
  int fds[MAX_LOWER + 2], result = -1;
  char *names[MAX_LOWER + 2] = {0};
  uint32_t count = all_directories(overlay, fds), opened = 0;
  *failed_call = "readlink";
  if (name_all(fds, count, names)) {
    *failed_call = "unshare";
    if (unshare(CLONE_NEWNS) == 0) {
      *failed_call = "open";
      while (opened < count && reopen(fds[opened], names[opened]) >= 0) opened++;
      result = opened == count ? 0 : -1;
    }
  }
  int error = errno;
  for (uint32_t i = 0; i < count; i++) free(names[i]);
  errno = error;
  return result;
}

/**
 * Nothing that is mounted from now on shall be seen outside. In a chroot the mounts in question begin above /, so this
 * thread climbs out, for which any directory below serves as a root to be outside of, and comes back.
 */
static int keep_mounts_private(void) {
  struct stat here, above;
  int own_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int result = own_root < 0 || chroot("/proc") < 0 || fchdir(own_root) < 0 || stat(".", &here) < 0 ? -1 : 0;
  while (result == 0 && (result = chdir("..") < 0 || stat(".", &above) < 0 ? -1 : 0) == 0) {
    if (is_same_place(&here, &above)) break;
    here = above;
  }
  if (result == 0) result = mount(NULL, ".", NULL, MS_REC | MS_PRIVATE, NULL);
  if (result == 0) result = fchdir(own_root) < 0 || chroot(".") < 0 ? -1 : 0;
  int error = errno;
  if (own_root >= 0) close(own_root);
  errno = error;
  return result;
}

/**
 * For more lower directories than fsconfig takes as one value, before kernel 6.7: a page for mount(2) holds 500. It needs a place, so the mount is made in a mount namespace that ends with this thread, and a
 * clone of it is what stays.
 */
static int mount_by_page(Overlay *overlay) {
  char data[MAX_MOUNT_DATA];
  char place[PATH_MAX];
  if (!format_mount_data(overlay, data, sizeof data)) {
    errno = E2BIG;
    return overlay_failed(overlay, "mount");
  }
  // Not /proc/self/fd/N: that leads below what is mounted there.
  if (!path_of(overlay->lower[0], place, sizeof place)) return overlay_failed(overlay, "readlink");
  const char *failed_call;
  if (leave_mounts(overlay, &failed_call) < 0) return overlay_failed(overlay, failed_call);
  if (keep_mounts_private() < 0) return overlay_failed(overlay, "chroot");
  if (chdir("/proc/self/fd") < 0) return overlay_failed(overlay, "chdir");
  if (mount("overlay", place, "overlay", MS_NODEV | MS_NOSUID, data) < 0) return overlay_failed(overlay, "mount");
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, place, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  return tree < 0 ? overlay_failed(overlay, "open_tree") : tree;
}

/** Runs in a thread of its own, whose working directory and mounts are nobody else's after unshare. */
static void *mount_overlay(void *data) {
  Overlay *overlay = data;
  overlay->result = -1;
  if (unshare(CLONE_FS) < 0 || chdir("/proc/self/fd") < 0) {
    overlay_failed(overlay, "chdir");
    return NULL;
  }
  if (!overlay->by_page) overlay->result = mount_by_context(overlay);
  char list[MAX_VALUE];
  bool is_old_kernel = overlay->result < 0 && overlay->error == EINVAL && !format_lower(overlay, list, sizeof list);
  if (overlay->by_page || is_old_kernel) overlay->result = mount_by_page(overlay);
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
  overlay.by_page = has_argument(&call, 1) && boolean_argument(&call, 1);
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
