// Netlink: one exchange with the kernel on a socket of its own. What is said and what the answers mean is decided in
// TypeScript (runtime/netlink.ts); here bytes go there and back. And locks of single bytes, one for each address.

#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/** The kernel fills at most this much of one datagram (netlink.c, NLMSG_GOODSIZE of a dump). */
#define DATAGRAM_BYTES (64 * 1024)
/** Answers beyond this are not of any table that kauri asks for. */
#define MAX_ANSWER_BYTES (64 * 1024 * 1024)

typedef struct {
  char *bytes;
  size_t length, capacity;
} Answer;

/** Acknowledgements without a copy of the request, and with the kernel's own words on what it refuses. */
static int open_netlink(int protocol) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (fd < 0) return -1;
  const int on = 1;
  const int receive_bytes = 1024 * 1024;
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes);
  return fd;
}

static int make_room(Answer *answer) {
  if (answer->capacity - answer->length >= DATAGRAM_BYTES) return 0;
  size_t wanted = answer->capacity == 0 ? DATAGRAM_BYTES : answer->capacity * 2;
  char *grown = wanted > MAX_ANSWER_BYTES ? NULL : realloc(answer->bytes, wanted);
  if (grown == NULL) {
    errno = ENOMEM;
    return -1;
  }
  answer->bytes = grown;
  answer->capacity = wanted;
  return 0;
}

/**
 * The kernel has worked the request off when send(2) returns, and each read of a dump makes it go on with it; so the
 * answer is complete when nothing is left to read.
 */
static int exchange(int fd, const void *request, size_t length, Answer *answer) {
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, request, length, 0, (const struct sockaddr *)&kernel, sizeof kernel) < 0) return -1;
  for (;;) {
    if (make_room(answer) < 0) return -1;
    ssize_t received = recv(fd, answer->bytes + answer->length, answer->capacity - answer->length, MSG_DONTWAIT);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return errno == EAGAIN ? 0 : -1;
    answer->length += (size_t)received;
    // The last message of a datagram need not be padded; the next one begins at a multiple of four bytes.
    while (answer->length % NLMSG_ALIGNTO != 0 && answer->length < answer->capacity) answer->bytes[answer->length++] = 0;
  }
}

/** Byte-range locks of the open file (F_OFD_SETLK), which the kernel drops with its descriptor. */
static napi_value try_lock_byte(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  int fd = fd_argument(&call, 0);
  int64_t offset = integer_argument(&call, 1);
  if (call.failed) return NULL;
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0) return make_boolean(&call, true);
  if (errno == EAGAIN || errno == EACCES) return make_boolean(&call, false);
  return throw_errno(&call, "fcntl", NULL);
}

static napi_value netlink_exchange(napi_env env, napi_callback_info info) {
  Call call = begin_call(env, info);
  void *request = NULL;
  size_t length = 0;
  int protocol = (int)integer_argument(&call, 0);
  bytes_argument(&call, 1, &request, &length);
  if (call.failed) return NULL;
  int fd = open_netlink(protocol);
  if (fd < 0) return throw_errno(&call, "netlink", NULL);
  Answer answer = {0};
  napi_value result = NULL;
  if (exchange(fd, request, length, &answer) < 0)
    throw_errno(&call, "netlink", NULL);
  else
    napi_create_buffer_copy(env, answer.length, answer.bytes, NULL, &result);
  free(answer.bytes);
  close(fd);
  return result;
}

const Binding network_bindings[] = {
    {"netlinkExchange", netlink_exchange},
    {"tryLockByte", try_lock_byte},
    {NULL, NULL},
};
