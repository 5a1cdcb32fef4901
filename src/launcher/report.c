// Reports are single writes of at most one line, so lines of several processes do not mix.

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

static int report_fd = STDERR_FILENO;
static void (*clean_up_at_death)(void);

void report_to(int fd) { report_fd = fd; }

void report_from_above(int lowest) {
  int moved = fcntl(report_fd, F_DUPFD_CLOEXEC, lowest + 1);
  if (moved < 0) die_errno("moving the control socket");
  close(report_fd);
  report_fd = moved;
}

void before_death(void (*clean_up)(void)) { clean_up_at_death = clean_up; }

static noreturn void end(void) {
  if (clean_up_at_death != NULL) clean_up_at_death();
  _exit(EXIT_LAUNCH_FAILED);
}

/** Text from the plan or the image must not be able to forge a second line. */
static void blank_controls(char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < ' ' || *text == 0x7f) *text = '?';
}

static void send_line(const char *kind, const char *text, const char *errno_text) {
  char line[LINE_BYTES];
  const char *prefix = report_fd == STDERR_FILENO ? "kauri-launcher: " : "";
  int length = snprintf(line, sizeof line - 1, "%s%s %s%s%s", prefix, kind, text,
                        *errno_text == '\0' ? "" : ": ", errno_text);
  if (length < 0) return;
  if ((size_t)length > sizeof line - 2) length = sizeof line - 2;
  line[length] = '\0';
  blank_controls(line);
  line[length++] = '\n';
  // The reader may be gone; a signal or a retry would not help then.
  ssize_t sent = report_fd == STDERR_FILENO ? write(report_fd, line, (size_t)length)
                                            : send(report_fd, line, (size_t)length, MSG_NOSIGNAL);
  (void)sent;
}

void report(const char *kind, const char *format, ...) {
  char text[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  send_line(kind, text, "");
}

void warn_errno(const char *format, ...) {
  const char *errno_text = strerror(errno);
  char text[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  send_line("warning", text, errno_text);
}

void die_errno(const char *format, ...) {
  const char *errno_text = strerror(errno);
  char text[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  send_line("error launch", text, errno_text);
  end();
}

void die(const char *format, ...) {
  char text[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  send_line("error launch", text, "");
  end();
}
