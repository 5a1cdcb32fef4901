// Subvolumes of btrfs (linux/btrfs.h): made, copied and removed by name in a directory held by descriptor. The program
// btrfs does the same with these three ioctls. A file system of another kind answers ENOTTY.

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/** ioctl(2) takes no O_PATH descriptor, which is what callers have. */
static int open_for_ioctl(int directory) {
  return openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int directory_ioctl(int directory, unsigned long request, void *arguments) {
  int fd = open_for_ioctl(directory);
  if (fd < 0) return -1;
  int result = ioctl(fd, request, arguments);
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

static napi_value create_subvolume_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  struct btrfs_ioctl_vol_args arguments = {0};
  int directory = fd_argument(&call, 0);
  name_argument(&call, 1, arguments.name, NAME_MAX + 1);
  if (call.failed) return NULL;
  int result = directory_ioctl(directory, BTRFS_IOC_SUBVOL_CREATE, &arguments);
  return finish_call(&call, result, "ioctl BTRFS_IOC_SUBVOL_CREATE", arguments.name);
}

static napi_value snapshot_subvolume_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  struct btrfs_ioctl_vol_args_v2 arguments = {0};
  int source = fd_argument(&call, 0);
  int directory = fd_argument(&call, 1);
  name_argument(&call, 2, arguments.name, NAME_MAX + 1);
  if (call.failed) return NULL;
  int source_fd = open_for_ioctl(source);
  if (source_fd < 0) return throw_errno(&call, "openat", NULL);
  arguments.fd = source_fd;
  int result = directory_ioctl(directory, BTRFS_IOC_SNAP_CREATE_V2, &arguments);
  int error = errno;
  close(source_fd);
  errno = error;
  return finish_call(&call, result, "ioctl BTRFS_IOC_SNAP_CREATE_V2", arguments.name);
}

static napi_value delete_subvolume_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  struct btrfs_ioctl_vol_args arguments = {0};
  int directory = fd_argument(&call, 0);
  name_argument(&call, 1, arguments.name, NAME_MAX + 1);
  if (call.failed) return NULL;
  int result = directory_ioctl(directory, BTRFS_IOC_SNAP_DESTROY, &arguments);
  return finish_call(&call, result, "ioctl BTRFS_IOC_SNAP_DESTROY", arguments.name);
}

const Binding subvolume_bindings[] = {
    {"createSubvolumeAt", create_subvolume_at},
    {"snapshotSubvolumeAt", snapshot_subvolume_at},
    {"deleteSubvolumeAt", delete_subvolume_at},
    {NULL, NULL},
};
