// Lines of a log in docker's json-file form: {"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678Z"}.

#ifndef KAURI_JSON_LINE_H
#define KAURI_JSON_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/** The part of each line behind its text. */
struct json_time {
  char text[40];
  size_t length;
};

/** Room that a line of `bytes` takes at most: six for each, and what is around it. */
#define JSON_LINE_BYTES(bytes) ((size_t)(bytes) * 6 + 128)

void set_json_time(struct json_time *time, const struct timespec *now);

/** Writes one line; bytes that are no UTF-8 become U+FFFD. A partial one has no line break at its end. Returns its length. */
size_t write_json_line(char *into, const struct json_time *time, int stream, const char *text,
                       size_t length, bool is_partial);

#endif
