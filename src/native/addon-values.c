// Values from and to JavaScript: arguments with checked types and lengths, results, system errors.

#include "addon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

Call begin_call(napi_env env, napi_callback_info info) {
  Call call = {.env = env, .count = MAX_ARGUMENTS};
  call.failed = napi_get_cb_info(env, info, &call.count, call.arguments, NULL, NULL) != napi_ok;
  if (call.count > MAX_ARGUMENTS) call.count = MAX_ARGUMENTS;
  return call;
}

static void throw_type(Call *call, const char *message) {
  if (!call->failed) napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", message);
  call->failed = true;
}

/** Writes text with lone surrogates as the bytes they stand for; returns the length, or 0 where memory is out. */
static size_t encode_escaped(Call *call, napi_value value, char **bytes) {
  size_t units = 0;
  if (napi_get_value_string_utf16(call->env, value, NULL, 0, &units) != napi_ok) return 0;
  char16_t *text = malloc((units + 1) * sizeof *text);
  unsigned char *out = malloc(units * 3 + 1);
  *bytes = (char *)out;
  if (text == NULL || out == NULL || napi_get_value_string_utf16(call->env, value, text, units + 1, &units) != napi_ok) {
    free(text);
    free(out);
    *bytes = NULL;
    return 0;
  }
  size_t length = 0;
  for (size_t i = 0; i < units; i++) {
    uint32_t point = text[i];
    bool is_pair = point >= 0xD800 && point < 0xDC00 && i + 1 < units && text[i + 1] >= 0xDC00 && text[i + 1] < 0xE000;
    bool is_byte = point >= 0xDC80 && point <= 0xDCFF;
    if (is_pair)
      point = 0x10000 + ((point - 0xD800) << 10) + (text[++i] - 0xDC00u);
    else if (point >= 0xD800 && point < 0xE000 && !is_byte)
      point = 0xFFFD;
    if (point < 0x80 || is_byte) {
      out[length++] = (unsigned char)point;
    } else if (point < 0x800) {
      out[length++] = (unsigned char)(0xC0 | point >> 6);
      out[length++] = (unsigned char)(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      out[length++] = (unsigned char)(0xE0 | point >> 12);
      out[length++] = (unsigned char)(0x80 | (point >> 6 & 0x3F));
      out[length++] = (unsigned char)(0x80 | (point & 0x3F));
    } else {
      out[length++] = (unsigned char)(0xF0 | point >> 18);
      out[length++] = (unsigned char)(0x80 | (point >> 12 & 0x3F));
      out[length++] = (unsigned char)(0x80 | (point >> 6 & 0x3F));
      out[length++] = (unsigned char)(0x80 | (point & 0x3F));
    }
  }
  out[length] = 0;
  free(text);
  return length;
}

char *copy_string(Call *call, napi_value value) {
  char *bytes = NULL;
  size_t length = encode_escaped(call, value, &bytes);
  if (bytes == NULL)
    throw_type(call, "expected a string");
  else if (strlen(bytes) != length) {
    throw_code(call, EINVAL, "open", bytes);
    free(bytes);
    return NULL;
  }
  return bytes;
}

/** The rare name with U+FFFD or lone surrogates, which Node-API's UTF-8 does not tell apart. */
static void escaped_argument(Call *call, size_t index, char *buffer, size_t size) {
  char *bytes = copy_string(call, call->arguments[index]);
  if (bytes == NULL) return;
  if (strlen(bytes) >= size)
    throw_code(call, ENAMETOOLONG, "open", NULL);
  else
    strcpy(buffer, bytes);
  free(bytes);
}

void string_argument(Call *call, size_t index, char *buffer, size_t size) {
  buffer[0] = 0;
  if (call->failed) return;
  size_t length = 0;
  if (index >= call->count ||
      napi_get_value_string_utf8(call->env, call->arguments[index], buffer, size, &length) != napi_ok) {
    throw_type(call, "expected a string");
    return;
  }
  if (memmem(buffer, length, "\xEF\xBF\xBD", 3) != NULL) {
    escaped_argument(call, index, buffer, size);
    return;
  }
  // Node-API cuts at a whole character, so a name that was cut may end up to three bytes early.
  size_t whole = 0;
  if (length + 4 >= size && napi_get_value_string_utf8(call->env, call->arguments[index], NULL, 0, &whole) == napi_ok &&
      whole > length) {
    throw_code(call, ENAMETOOLONG, "open", NULL);
    return;
  }
  if (strlen(buffer) != length) throw_code(call, EINVAL, "open", buffer);
}

void name_argument(Call *call, size_t index, char *buffer, size_t size) {
  string_argument(call, index, buffer, size);
  if (call->failed) return;
  if (buffer[0] == 0 || strchr(buffer, '/') != NULL || strcmp(buffer, ".") == 0 || strcmp(buffer, "..") == 0)
    throw_code(call, EINVAL, "open", buffer);
}

int64_t integer_argument(Call *call, size_t index) {
  int64_t value = 0;
  if (call->failed) return 0;
  if (index >= call->count || napi_get_value_int64(call->env, call->arguments[index], &value) != napi_ok)
    throw_type(call, "expected a number");
  return value;
}

bool boolean_argument(Call *call, size_t index) {
  bool value = false;
  if (call->failed) return false;
  if (index >= call->count || napi_get_value_bool(call->env, call->arguments[index], &value) != napi_ok)
    throw_type(call, "expected a boolean");
  return value;
}

int fd_argument(Call *call, size_t index) {
  int64_t value = integer_argument(call, index);
  if (call->failed) return -1;
  // A negative number could be AT_FDCWD, which no caller of these functions means.
  if (value >= 0 && value <= INT_MAX) return (int)value;
  throw_code(call, EBADF, "open", NULL);
  return -1;
}

bool has_argument(const Call *call, size_t index) {
  napi_valuetype type = napi_undefined;
  return index < call->count && napi_typeof(call->env, call->arguments[index], &type) == napi_ok &&
         type != napi_undefined;
}

void bytes_argument(Call *call, size_t index, void **bytes, size_t *length) {
  if (call->failed) return;
  napi_typedarray_type type;
  if (index >= call->count || napi_get_typedarray_info(call->env, call->arguments[index], &type, length, bytes, NULL,
                                                       NULL) != napi_ok || type != napi_uint8_array)
    throw_type(call, "expected a Uint8Array");
}

napi_value throw_errno(Call *call, const char *syscall_name, const char *path) {
  return throw_code(call, errno, syscall_name, path);
}

static void set_string(Call *call, napi_value object, const char *key, const char *text) {
  napi_value value = make_string(call, text, strlen(text));
  if (value != NULL) napi_set_named_property(call->env, object, key, value);
}

napi_value throw_code(Call *call, int error, const char *syscall_name, const char *path) {
  if (call->failed) return NULL;
  call->failed = true;
  const char *code = strerrorname_np(error);
  char message[PATH_MAX + 256];
  snprintf(message, sizeof message, "%s: %s, %s%s%s%s", code == NULL ? "EUNKNOWN" : code, strerrordesc_np(error),
           syscall_name, path == NULL ? "" : " '", path == NULL ? "" : path, path == NULL ? "" : "'");
  napi_value text = make_string(call, message, strlen(message));
  napi_value exception;
  if (text == NULL || napi_create_error(call->env, NULL, text, &exception) != napi_ok) return NULL;
  set_string(call, exception, "code", code == NULL ? "EUNKNOWN" : code);
  set_string(call, exception, "syscall", syscall_name);
  if (path != NULL) set_string(call, exception, "path", path);
  napi_set_named_property(call->env, exception, "errno", make_number(call, -error));
  napi_throw(call->env, exception);
  return NULL;
}

napi_value make_undefined(Call *call) {
  napi_value value = NULL;
  napi_get_undefined(call->env, &value);
  return value;
}

napi_value make_number(Call *call, double number) {
  napi_value value = NULL;
  napi_create_double(call->env, number, &value);
  return value;
}

napi_value make_boolean(Call *call, bool boolean) {
  napi_value value = NULL;
  napi_get_boolean(call->env, boolean, &value);
  return value;
}

/** Bytes of the UTF-8 character at `text`, or 0 where the bytes are none (RFC 3629: no surrogates, no long forms). */
static size_t character_length(const unsigned char *text, size_t left) {
  unsigned char lead = text[0];
  size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3
                  : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  for (size_t i = 1; i < length; i++)
    if ((text[i] & 0xC0) != 0x80) return 0;
  bool is_bad = (lead == 0xE0 && text[1] < 0xA0) || (lead == 0xED && text[1] >= 0xA0) ||
                (lead == 0xF0 && text[1] < 0x90) || (lead == 0xF4 && text[1] >= 0x90);
  return is_bad ? 0 : length;
}

static napi_value make_escaped_string(Call *call, const unsigned char *bytes, size_t length) {
  char16_t *text = malloc((length + 1) * sizeof *text);
  if (text == NULL) return throw_code(call, ENOMEM, "malloc", NULL);
  size_t units = 0;
  for (size_t i = 0; i < length;) {
    size_t step = character_length(bytes + i, length - i);
    uint32_t point = bytes[i];
    if (step == 0) point = 0xDC00 + bytes[i];
    if (step > 1) point = bytes[i] & (0xFF >> (step + 1));
    for (size_t j = 1; j < step; j++) point = point << 6 | (bytes[i + j] & 0x3F);
    if (point >= 0x10000) {
      text[units++] = (char16_t)(0xD800 + ((point - 0x10000) >> 10));
      point = 0xDC00 + ((point - 0x10000) & 0x3FF);
    }
    text[units++] = (char16_t)point;
    i += step == 0 ? 1 : step;
  }
  napi_value value = NULL;
  napi_create_string_utf16(call->env, text, units, &value);
  free(text);
  return value;
}

napi_value make_string(Call *call, const char *bytes, size_t length) {
  const unsigned char *text = (const unsigned char *)bytes;
  napi_value value = NULL;
  size_t ascii = 0;
  while (ascii < length && text[ascii] < 0x80) ascii++;
  if (ascii == length)
    napi_create_string_latin1(call->env, bytes, length, &value);
  else
    value = make_escaped_string(call, text, length);
  return value;
}

napi_value make_stat(Call *call, const struct stat *stat) {
  const struct {
    const char *key;
    double value;
  } fields[] = {
      {"dev", (double)stat->st_dev},
      {"ino", (double)stat->st_ino},
      {"inodeHigh", (double)(stat->st_ino >> 32)},
      {"inodeLow", (double)(stat->st_ino & 0xFFFFFFFF)},
      {"mode", stat->st_mode},
      {"nlink", (double)stat->st_nlink},
      {"uid", stat->st_uid},
      {"gid", stat->st_gid},
      {"rdev", (double)stat->st_rdev},
      {"size", (double)stat->st_size},
      {"mtimeSeconds", (double)stat->st_mtim.tv_sec},
      {"mtimeNanoseconds", (double)stat->st_mtim.tv_nsec},
      {"ctimeSeconds", (double)stat->st_ctim.tv_sec},
      {"ctimeNanoseconds", (double)stat->st_ctim.tv_nsec},
      {"blocks", (double)stat->st_blocks},
  };
  napi_value object;
  if (napi_create_object(call->env, &object) != napi_ok) return NULL;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    napi_set_named_property(call->env, object, fields[i].key, make_number(call, fields[i].value));
  return object;
}

napi_value make_name_list(Call *call, const char *names, size_t length) {
  napi_value list;
  if (napi_create_array(call->env, &list) != napi_ok) return NULL;
  uint32_t count = 0;
  for (size_t at = 0; at < length; at += strlen(names + at) + 1) {
    napi_value name = make_string(call, names + at, strlen(names + at));
    if (name != NULL) napi_set_element(call->env, list, count++, name);
  }
  return list;
}

napi_value finish_call(Call *call, int result, const char *syscall_name, const char *path) {
  return result < 0 ? throw_errno(call, syscall_name, path) : make_undefined(call);
}
