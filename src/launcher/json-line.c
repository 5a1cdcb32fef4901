#define _GNU_SOURCE
#include "json-line.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void set_json_time(struct json_time *time, const struct timespec *now) {
  struct tm parts;
  gmtime_r(&now->tv_sec, &parts);
  time->length = strftime(time->text, sizeof time->text, "%Y-%m-%dT%H:%M:%S", &parts);
  time->length += (size_t)snprintf(time->text + time->length, sizeof time->text - time->length,
                                   ".%09ld", now->tv_nsec);
  // RFC 3339 with as many digits as it takes, as Go writes it.
  while (time->text[time->length - 1] == '0') time->length--;
  if (time->text[time->length - 1] == '.') time->length--;
  time->text[time->length++] = 'Z';
}

static char *append(char *at, const char *text, size_t length) {
  memcpy(at, text, length);
  return at + length;
}

/** Length of the character at `text`; 0 where it is no UTF-8 (RFC 3629). */
static size_t character_length(const unsigned char *text, size_t left) {
  static const struct {
    unsigned char first, last, second_from, second_to;
    size_t length;
  } forms[] = {
      {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
      {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
      {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
  };
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (text[0] < forms[i].first || text[0] > forms[i].last) continue;
    if (left < forms[i].length) return 0;
    if (text[1] < forms[i].second_from || text[1] > forms[i].second_to) return 0;
    for (size_t rest = 2; rest < forms[i].length; rest++)
      if ((text[rest] & 0xc0) != 0x80) return 0;
    return forms[i].length;
  }
  return 0;
}

/** Bytes that need no change; the rest of ASCII is escaped as docker does. */
static bool is_plain(unsigned char byte) {
  return byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\' && byte != '<' && byte != '>' &&
         byte != '&';
}

static char *append_escaped(char *at, unsigned char byte) {
  static const char digits[] = "0123456789abcdef";
  const char *letter = byte == '"' ? "\\\"" : byte == '\\' ? "\\\\" : byte == '\r' ? "\\r" : NULL;
  if (letter != NULL) return append(at, letter, 2);
  const char text[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
  return append(at, text, sizeof text);
}

/** Eight bytes that all are plain, which text mostly is; seven operations where a loop takes fifty. */
static bool are_plain(uint64_t word) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
#define HAS_ZERO(value) (((value) - ones) & ~(value) & tops)
#define HAS(byte) HAS_ZERO(word ^ (ones * (byte)))
  const uint64_t is_control = (word - ones * ' ') & ~word & tops;
  return !((word & tops) | is_control | HAS('"') | HAS('\\') | HAS('<') | HAS('>') | HAS('&'));
#undef HAS
#undef HAS_ZERO
}

static char *append_text(char *at, const char *text, size_t length) {
  for (size_t i = 0; i < length;) {
    uint64_t word;
    while (length - i >= sizeof word) {
      memcpy(&word, text + i, sizeof word);
      if (!are_plain(word)) break;
      memcpy(at, &word, sizeof word);
      at += sizeof word;
      i += sizeof word;
    }
    if (i >= length) break;
    unsigned char byte = (unsigned char)text[i];
    if (is_plain(byte)) {
      *at++ = (char)byte;
      i++;
    } else if (byte < 0x80) {
      at = append_escaped(at, byte);
      i++;
    } else {
      size_t size = character_length((const unsigned char *)text + i, length - i);
      // U+2028 and U+2029 end lines in JavaScript.
      bool ends_line = size == 3 && memcmp(text + i, "\xe2\x80", 2) == 0 && (text[i + 2] & ~1) == (char)0xa8;
      if (ends_line)
        at = append(at, text[i + 2] & 1 ? "\\u2029" : "\\u2028", 6);
      else if (size > 0)
        at = append(at, text + i, size);
      else
        at = append(at, "\\ufffd", 6);
      i += size > 0 ? size : 1;
    }
  }
  return at;
}

size_t write_json_line(char *into, const struct json_time *time, int stream, const char *text,
                       size_t length, bool is_partial) {
  static const char begin[] = "{\"log\":\"", line_break[] = "\\n";
  static const char out[] = "\",\"stream\":\"stdout\",\"time\":\"";
  static const char err[] = "\",\"stream\":\"stderr\",\"time\":\"";
  char *at = append(into, begin, sizeof begin - 1);
  at = append_text(at, text, length);
  if (!is_partial) at = append(at, line_break, sizeof line_break - 1);
  at = append(at, stream == 2 ? err : out, sizeof out - 1);
  at = append(at, time->text, time->length);
  at = append(at, "\"}\n", 3);
  return (size_t)(at - into);
}
