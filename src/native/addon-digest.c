// SHA-256 on the thread pool, together with the write of the same bytes: a transfer's main thread is busy with its sockets, and
// each hop between threads costs as much as hashing some ten kilobytes. The hash is the one of Node's own OpenSSL, whose
// symbols its executable exports.

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

static const napi_type_tag sha256_tag = {0x6b61757269534841, 0x3235365f73746174};

typedef struct {
  EVP_MD_CTX *context;
  /** A job of the pool has it. */
  bool is_busy;
  bool is_ended;
} Sha256;

static void free_sha256(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  Sha256 *state = data;
  EVP_MD_CTX_free(state->context);
  free(state);
}

static napi_value open_sha256(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  if (call.failed) return NULL;
  Sha256 *state = calloc(1, sizeof *state);
  if (state == NULL) return throw_code(&call, ENOMEM, "digest", NULL);
  state->context = EVP_MD_CTX_new();
  napi_value external;
  if (state->context == NULL || EVP_DigestInit_ex(state->context, EVP_sha256(), NULL) != 1 ||
      napi_create_external(env, state, free_sha256, NULL, &external) != napi_ok) {
    free_sha256(env, state, NULL);
    return throw_code(&call, ENOMEM, "digest", NULL);
  }
  napi_type_tag_object(env, external, &sha256_tag);
  return external;
}

/** A state that nobody works on and that goes on. */
static Sha256 *sha256_argument(Call *call, size_t index) {
  void *state = NULL;
  bool is_ours = false;
  if (call->failed) return NULL;
  if (index >= call->count ||
      napi_check_object_type_tag(call->env, call->arguments[index], &sha256_tag, &is_ours) != napi_ok || !is_ours ||
      napi_get_value_external(call->env, call->arguments[index], &state) != napi_ok) {
    napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", "expected what openSha256 gave");
    call->failed = true;
    return NULL;
  }
  Sha256 *sha = state;
  if (sha->is_busy || sha->is_ended) throw_code(call, EBUSY, "digest", NULL);
  return call->failed ? NULL : sha;
}

/** One job of the pool. */
typedef struct {
  napi_async_work work;
  napi_deferred deferred;
  napi_ref state_reference;
  napi_ref bytes_reference;
  Sha256 *state;
  const unsigned char *bytes;
  size_t length;
  /** -1: nothing is written. */
  int fd;
  off64_t position;
  int error;
} Absorption;

/**
 * Hashed and written in pieces that stay in the first cache. Longer writes also make the kernel take larger folios, whose memory
 * nobody used lately: in a virtual machine that took from two to six times as long (6.18, ext4; 32 KiB were never slower).
 */
#define PIECE_BYTES ((size_t)32 * 1024)

static int write_piece(int fd, const unsigned char *bytes, size_t length, off64_t position) {
  for (size_t at = 0; at < length;) {
    ssize_t done = pwrite64(fd, bytes + at, length - at, position + (off64_t)at);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return errno;
    at += (size_t)done;
  }
  return 0;
}

static int absorb_bytes(Absorption *job) {
  int error = 0;
  for (size_t at = 0; at < job->length && error == 0; at += PIECE_BYTES) {
    size_t length = job->length - at < PIECE_BYTES ? job->length - at : PIECE_BYTES;
    if (EVP_DigestUpdate(job->state->context, job->bytes + at, length) != 1) return EIO;
    if (job->fd >= 0) error = write_piece(job->fd, job->bytes + at, length, job->position + (off64_t)at);
  }
  return error;
}

static void absorb_in_pool(napi_env env, void *data) {
  (void)env;
  Absorption *job = data;
  job->error = absorb_bytes(job);
  // The disk begins at once, so that the wait at the end is for little. A hint: some file systems know nothing of it.
  if (job->error == 0 && job->fd >= 0)
    sync_file_range(job->fd, job->position, (off64_t)job->length, SYNC_FILE_RANGE_WRITE);
}

static void free_absorption(napi_env env, Absorption *job) {
  if (job->bytes_reference != NULL) napi_delete_reference(env, job->bytes_reference);
  if (job->state_reference != NULL) napi_delete_reference(env, job->state_reference);
  if (job->work != NULL) napi_delete_async_work(env, job->work);
  free(job);
}

static void absorbed(napi_env env, napi_status status, void *data) {
  Absorption *job = data;
  job->state->is_busy = false;
  Call call = {.env = env};
  if (status != napi_ok && job->error == 0) job->error = ECANCELED;
  if (job->error == 0) {
    napi_resolve_deferred(env, job->deferred, make_undefined(&call));
  } else {
    napi_value error;
    throw_code(&call, job->error, "write", NULL);
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_reject_deferred(env, job->deferred, error);
  }
  free_absorption(env, job);
}

static napi_value absorb(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  void *bytes = NULL;
  size_t length = 0;
  Sha256 *state = sha256_argument(&call, 0);
  bytes_argument(&call, 1, &bytes, &length);
  int64_t fd = integer_argument(&call, 2);
  int64_t position = integer_argument(&call, 3);
  if (!call.failed && (fd < -1 || fd > INT_MAX || position < 0)) throw_code(&call, EINVAL, "write", NULL);
  if (call.failed) return NULL;
  Absorption *job = calloc(1, sizeof *job);
  if (job == NULL) return throw_code(&call, ENOMEM, "write", NULL);
  job->state = state;
  job->bytes = bytes;
  job->length = length;
  job->fd = (int)fd;
  job->position = position;
  napi_value name = make_string(&call, "kauri:absorb", sizeof "kauri:absorb" - 1);
  napi_value promise;
  bool is_made = napi_create_reference(env, call.arguments[0], 1, &job->state_reference) == napi_ok &&
                 napi_create_reference(env, call.arguments[1], 1, &job->bytes_reference) == napi_ok &&
                 napi_create_async_work(env, NULL, name, absorb_in_pool, absorbed, job, &job->work) == napi_ok &&
                 napi_create_promise(env, &job->deferred, &promise) == napi_ok;
  if (!is_made || napi_queue_async_work(env, job->work) != napi_ok) {
    free_absorption(env, job);
    return throw_code(&call, ENOMEM, "write", NULL);
  }
  state->is_busy = true;
  return promise;
}

/** Ends the state. */
static napi_value sha256_hex(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  Sha256 *state = sha256_argument(&call, 0);
  if (call.failed) return NULL;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  state->is_ended = true;
  if (EVP_DigestFinal_ex(state->context, digest, &length) != 1) return throw_code(&call, EIO, "digest", NULL);
  char hex[2 * EVP_MAX_MD_SIZE];
  for (unsigned int at = 0; at < length; at++) {
    hex[2 * at] = "0123456789abcdef"[digest[at] >> 4];
    hex[2 * at + 1] = "0123456789abcdef"[digest[at] & 15];
  }
  return make_string(&call, hex, 2 * length);
}

const Binding digest_bindings[] = {
    {"openSha256", open_sha256},
    {"absorb", absorb},
    {"sha256Hex", sha256_hex},
    {NULL, NULL},
};
