#define _GNU_SOURCE
#include "stream-log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "json-line.h"
#include "report.h"

enum {
  STREAMS = 2,
  /** A longer line is written in pieces, as docker does. */
  PIECE_BYTES = 16 * 1024,
  OUT_BYTES = 256 * 1024,
  LOCAL_HEADER_BYTES = 16,
};

/** The beginning of a line whose end has not come yet. */
struct unfinished {
  size_t length;
  /** One more than a piece: whether a character ends with the piece shows in the byte behind it. */
  char bytes[PIECE_BYTES + 1];
};

static struct {
  const struct plan_log *plan;
  int fd;
  uint64_t file_bytes;
  struct timespec now;
  struct json_time time;
  struct unfinished unfinished[STREAMS];
  size_t out_length;
  char out[OUT_BYTES];
} state = {.fd = -1};

static int open_file(int flags) {
  return open(state.plan->file, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0640);
}

void open_log(const struct plan_log *log) {
  state.plan = log;
  if (log->driver == LOG_NONE) return;
  state.fd = open_file(0);
  struct stat status;
  if (state.fd < 0 || fstat(state.fd, &status) != 0) die_errno("opening the log %s", log->file);
  // Rotation renames it, which nobody wants of a device.
  if (!S_ISREG(status.st_mode)) die("the log %s is no file", log->file);
  state.file_bytes = (uint64_t)status.st_size;
}

/** file.2 becomes file.3, file.1 file.2, file file.1; the oldest goes. */
static void rotate(void) {
  close(state.fd);
  uint32_t older = state.plan->max_files == 0 ? 0 : state.plan->max_files - 1;
  char from[PATH_MAX], to[PATH_MAX];
  for (uint32_t number = older; number > 0; number--) {
    snprintf(to, sizeof to, "%s.%u", state.plan->file, number);
    if (number == 1)
      snprintf(from, sizeof from, "%s", state.plan->file);
    else
      snprintf(from, sizeof from, "%s.%u", state.plan->file, number - 1);
    rename(from, to);
  }
  state.fd = open_file(O_TRUNC);
  state.file_bytes = 0;
}

/** The limit is looked at after a write, so a file is longer than it by one write at most. */
static void flush(void) {
  for (size_t at = 0; at < state.out_length && state.fd >= 0;) {
    ssize_t written = write(state.fd, state.out + at, state.out_length - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) break;
    at += (size_t)written;
  }
  state.file_bytes += state.out_length;
  state.out_length = 0;
  if (state.plan->max_bytes > 0 && state.file_bytes >= state.plan->max_bytes) rotate();
}

static void put_local(int stream, const char *text, size_t length, bool is_partial) {
  char *out = state.out + state.out_length;
  const uint32_t size = (uint32_t)length;
  const uint64_t ns = (uint64_t)state.now.tv_sec * 1000000000u + (uint64_t)state.now.tv_nsec;
  const char kind[4] = {(char)stream, is_partial ? 1 : 0, 0, 0};
  memcpy(out, &size, sizeof size);
  memcpy(out + 4, kind, sizeof kind);
  memcpy(out + 8, &ns, sizeof ns);
  memcpy(out + LOCAL_HEADER_BYTES, text, length);
  state.out_length += LOCAL_HEADER_BYTES + length;
}

/** One line, or a piece of one; `text` is without the line break. */
static void put_line(int stream, const char *text, size_t length, bool is_partial) {
  if (state.out_length + JSON_LINE_BYTES(PIECE_BYTES) > sizeof state.out) flush();
  if (state.plan->driver == LOG_LOCAL)
    put_local(stream, text, length, is_partial);
  else
    state.out_length += write_json_line(state.out + state.out_length, &state.time, stream, text,
                                        length, is_partial);
}

/** Where a piece of a line may end: not within a character. */
static size_t piece_end(const char *text, size_t length) {
  for (size_t back = 0; back < 4 && back < length; back++) {
    unsigned char next = (unsigned char)text[length - back];
    if ((next & 0xc0) != 0x80) return length - back;
  }
  return length;
}

/** Puts pieces of a line that is longer than one; returns what they took. */
static size_t put_pieces(int stream, const char *text, size_t length) {
  size_t at = 0;
  while (length - at > PIECE_BYTES) {
    size_t piece = piece_end(text + at, PIECE_BYTES);
    put_line(stream, text + at, piece, true);
    at += piece;
  }
  return at;
}

static void remember(int stream, const char *text, size_t length) {
  struct unfinished *unfinished = &state.unfinished[stream - 1];
  while (length > 0) {
    size_t room = sizeof unfinished->bytes - unfinished->length;
    size_t taken = length < room ? length : room;
    memcpy(unfinished->bytes + unfinished->length, text, taken);
    unfinished->length += taken;
    text += taken;
    length -= taken;
    if (unfinished->length <= PIECE_BYTES) return;
    size_t piece = piece_end(unfinished->bytes, PIECE_BYTES);
    put_line(stream, unfinished->bytes, piece, true);
    unfinished->length -= piece;
    memmove(unfinished->bytes, unfinished->bytes + piece, unfinished->length);
  }
}

/** A line whose end has come: together with what was remembered of it. */
static void finish_line(int stream, const char *text, size_t length) {
  struct unfinished *unfinished = &state.unfinished[stream - 1];
  if (unfinished->length == 0) {
    size_t taken = put_pieces(stream, text, length);
    put_line(stream, text + taken, length - taken, false);
    return;
  }
  remember(stream, text, length);
  put_line(stream, unfinished->bytes, unfinished->length, false);
  unfinished->length = 0;
}

void log_bytes(int stream, const char *bytes, size_t length) {
  if (state.fd < 0) return;
  clock_gettime(CLOCK_REALTIME, &state.now);
  if (state.plan->driver == LOG_JSON) set_json_time(&state.time, &state.now);
  const char *end = bytes + length;
  while (bytes < end) {
    const char *line_end = memchr(bytes, '\n', (size_t)(end - bytes));
    if (line_end == NULL) break;
    finish_line(stream, bytes, (size_t)(line_end - bytes));
    bytes = line_end + 1;
  }
  remember(stream, bytes, (size_t)(end - bytes));
  flush();
}

void close_log(void) {
  if (state.fd < 0) return;
  for (int stream = 1; stream <= STREAMS; stream++) {
    struct unfinished *unfinished = &state.unfinished[stream - 1];
    if (unfinished->length > 0) put_line(stream, unfinished->bytes, unfinished->length, true);
    unfinished->length = 0;
  }
  flush();
  close(state.fd);
  state.fd = -1;
}
