// What the files of the addon share: reading arguments, making results, throwing system errors as Node does.
//
// Names cross the border as strings without loss: a byte that is not part of valid UTF-8 becomes the lone surrogate
// U+DC00 + byte, and back (what Python calls surrogateescape).

#ifndef KAURI_ADDON_H
#define KAURI_ADDON_H

#define NAPI_VERSION 8
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <limits.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#define MAX_ARGUMENTS 8

/** One call from JavaScript; `failed` is set once an exception is pending, and the function returns at once. */
typedef struct {
  napi_env env;
  napi_value arguments[MAX_ARGUMENTS];
  size_t count;
  bool failed;
} Call;

Call begin_call(napi_env env, napi_callback_info info);

/** A file name or path; NUL inside is EINVAL, more than `size` - 1 bytes ENAMETOOLONG. */
void string_argument(Call *call, size_t index, char *buffer, size_t size);
/** One path component: a string_argument that is neither empty, `.` or `..` nor has a slash (else EINVAL). */
void name_argument(Call *call, size_t index, char *buffer, size_t size);
int64_t integer_argument(Call *call, size_t index);
bool boolean_argument(Call *call, size_t index);
int fd_argument(Call *call, size_t index);
bool has_argument(const Call *call, size_t index);
void bytes_argument(Call *call, size_t index, void **bytes, size_t *length);
/** A copy of a string value in heap memory, or NULL with an exception; the caller frees it. */
char *copy_string(Call *call, napi_value value);

/** Throws the error of `errno` with `code`, `errno`, `syscall` and, unless NULL, `path`; returns NULL. */
napi_value throw_errno(Call *call, const char *syscall_name, const char *path);
napi_value throw_code(Call *call, int error, const char *syscall_name, const char *path);

napi_value make_undefined(Call *call);
napi_value make_number(Call *call, double number);
napi_value make_boolean(Call *call, bool value);
napi_value make_string(Call *call, const char *bytes, size_t length);
/** An object as native.ts `Stat` has it. */
napi_value make_stat(Call *call, const struct stat *stat);
/** An array of the NUL-terminated names in a buffer, as listxattr(2) fills it. */
napi_value make_name_list(Call *call, const char *names, size_t length);

/** undefined, or the pending exception where `result` is negative. */
napi_value finish_call(Call *call, int result, const char *syscall_name, const char *path);

/** Descriptors are kept below directories by openat2(2) with these (linux/openat2.h). */
int open_in_root(int root, const char *path, uint64_t flags, uint64_t mode);

typedef struct {
  const char *name;
  napi_callback callback;
} Binding;

/** Each ends with an entry whose name is NULL. */
extern const Binding path_bindings[];
extern const Binding at_bindings[];
extern const Binding xattr_bindings[];
extern const Binding scan_bindings[];
extern const Binding remove_bindings[];
extern const Binding mount_bindings[];
extern const Binding network_bindings[];
extern const Binding copy_bindings[];
extern const Binding subvolume_bindings[];
extern const Binding digest_bindings[];

#endif
