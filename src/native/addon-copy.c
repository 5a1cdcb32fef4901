// Whole regular files in one call each: read into memory, or copied to another directory with owner, mode and times. A call
// for each system call costs a copy of 20,000 small files half as much again.

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

/** Up to this size, reading and writing beats every other way. */
#define SMALL_BYTES (64 * 1024)

/** Numbers of a FileCopy; native.ts copyFields names them in this order. */
enum {
  IS_CHECKED,
  SIZE,
  MTIME_SECONDS,
  MTIME_NANOSECONDS,
  CTIME_SECONDS,
  CTIME_NANOSECONDS,
  INODE_HIGH,
  INODE_LOW,
  OWNER_UID,
  OWNER_GID,
  MODE,
  FIELDS,
};

static int open_regular(int directory, const char *name, struct stat *stat) {
  int fd;
  do fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return -1;
  if (fstat(fd, stat) == 0) {
    if (S_ISREG(stat->st_mode)) return fd;
    errno = EINVAL;
  }
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static ssize_t read_some(int fd, void *bytes, size_t size) {
  ssize_t done;
  do done = read(fd, bytes, size);
  while (done < 0 && errno == EINTR);
  return done;
}

static bool write_all(int fd, const char *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t done = write(fd, bytes + at, size - at);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    at += (size_t)done;
  }
  return true;
}

static bool copy_by_memory(int from, int into) {
  char bytes[SMALL_BYTES];
  for (;;) {
    ssize_t size = read_some(from, bytes, sizeof bytes);
    if (size <= 0) return size == 0;
    if (!write_all(into, bytes, (size_t)size)) return false;
  }
}

/** One stretch of data, at the same place in both; 0 at the end of the source. */
static ssize_t copy_stretch(int from, int into, off_t at, off_t end) {
  off64_t in = at, out = at;
  ssize_t done;
  do done = copy_file_range(from, &in, into, &out, (size_t)(end - at), 0);
  while (done < 0 && errno == EINTR);
  return done;
}

/** Shares the blocks where the file system can, leaves holes out, and otherwise lets the kernel copy. */
static bool copy_large(int from, int into, off_t size) {
  if (ioctl(into, FICLONE, from) == 0) return true;
  if (ftruncate(into, size) < 0) return false;
  for (off_t at = 0; at < size;) {
    off_t data = lseek(from, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;
    off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
    if (hole < 0) return false;
    for (at = data; at < hole;) {
      ssize_t done = copy_stretch(from, into, at, hole);
      if (done == 0) return true;
      if (done < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
        return lseek(from, 0, SEEK_SET) == 0 && lseek(into, 0, SEEK_SET) == 0 && copy_by_memory(from, into);
      if (done < 0) return false;
      at += done;
    }
  }
  return true;
}

/** The file is the one that the caller saw, and nobody has changed it since. */
static bool is_expected(const struct stat *stat, const double *fields) {
  return (double)stat->st_size == fields[SIZE] && (double)stat->st_mtim.tv_sec == fields[MTIME_SECONDS] &&
         (double)stat->st_mtim.tv_nsec == fields[MTIME_NANOSECONDS] &&
         (double)stat->st_ctim.tv_sec == fields[CTIME_SECONDS] &&
         (double)stat->st_ctim.tv_nsec == fields[CTIME_NANOSECONDS] &&
         (double)(stat->st_ino >> 32) == fields[INODE_HIGH] && (double)(stat->st_ino & 0xFFFFFFFF) == fields[INODE_LOW];
}

/** fchmod after fchown, which clears the set-id bits; the times last. */
static bool finish_copy(int into, const double *fields) {
  struct timespec time = {(time_t)fields[MTIME_SECONDS], (long)fields[MTIME_NANOSECONDS]};
  struct timespec times[2] = {time, time};
  return fchown(into, (uid_t)fields[OWNER_UID], (gid_t)fields[OWNER_GID]) == 0 &&
         fchmod(into, (mode_t)fields[MODE]) == 0 && futimens(into, times) == 0;
}

/** 1 copied, 0 not the expected file, -1 with errno. */
static int copy_open_file(int from, int into, const struct stat *before, const double *fields) {
  bool is_checked = fields[IS_CHECKED] != 0;
  if (is_checked && !is_expected(before, fields)) return 0;
  bool is_copied = before->st_size <= SMALL_BYTES ? copy_by_memory(from, into) : copy_large(from, into, before->st_size);
  if (!is_copied) return -1;
  struct stat after;
  if (is_checked && (fstat(from, &after) < 0 || !is_expected(&after, fields))) return 0;
  return finish_copy(into, fields) ? 1 : -1;
}

static const double *fields_argument(Call *call, size_t index) {
  napi_typedarray_type type;
  size_t length = 0;
  void *data = NULL;
  if (call->failed) return NULL;
  if (index < call->count && napi_get_typedarray_info(call->env, call->arguments[index], &type, &length, &data, NULL,
                                                      NULL) == napi_ok &&
      type == napi_float64_array && length >= FIELDS)
    return data;
  napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", "expected a Float64Array");
  call->failed = true;
  return NULL;
}

static napi_value copy_file_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char from_name[NAME_MAX + 1], into_name[NAME_MAX + 1];
  int from_directory = fd_argument(&call, 0);
  name_argument(&call, 1, from_name, sizeof from_name);
  int into_directory = fd_argument(&call, 2);
  name_argument(&call, 3, into_name, sizeof into_name);
  const double *fields = fields_argument(&call, 4);
  if (call.failed) return NULL;
  struct stat before;
  int from = open_regular(from_directory, from_name, &before);
  if (from < 0) return throw_errno(&call, "openat", from_name);
  int into;
  do into = openat(into_directory, into_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  while (into < 0 && errno == EINTR);
  int result = into < 0 ? -1 : copy_open_file(from, into, &before, fields);
  int error = errno;
  if (into >= 0) close(into);
  close(from);
  return result < 0 ? throw_code(&call, error, "copy", into_name) : make_boolean(&call, result == 1);
}

/** The number of bytes read; one more than the buffer holds where the file is larger. */
static napi_value read_file_at(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  char name[NAME_MAX + 1];
  void *bytes = NULL;
  size_t room = 0;
  int directory = fd_argument(&call, 0);
  name_argument(&call, 1, name, sizeof name);
  bytes_argument(&call, 2, &bytes, &room);
  if (call.failed) return NULL;
  struct stat stat;
  int fd = open_regular(directory, name, &stat);
  if (fd < 0) return throw_errno(&call, "openat", name);
  size_t size = 0;
  ssize_t done = 1;
  while (size < room && done > 0) {
    done = read_some(fd, (char *)bytes + size, room - size);
    if (done > 0) size += (size_t)done;
  }
  char beyond;
  if (done > 0) done = read_some(fd, &beyond, 1);
  int error = errno;
  close(fd);
  if (done < 0) return throw_code(&call, error, "read", name);
  return make_number(&call, (double)(size + (size_t)done));
}

const Binding copy_bindings[] = {
    {"copyFileAt", copy_file_at},
    {"readFileAt", read_file_at},
    {NULL, NULL},
};
