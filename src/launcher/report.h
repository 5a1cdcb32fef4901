// How the launcher speaks to the program that started it: one line for each event on the control socket, or on
// standard error where there is none (guard mode). Nothing here allocates.

#ifndef KAURI_REPORT_H
#define KAURI_REPORT_H

#include <stdnoreturn.h>

/** Exit status of the launcher itself when it fails before the container's program runs. */
enum { EXIT_LAUNCH_FAILED = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/** Sends reports to this descriptor from now on. */
void report_to(int fd);

/** Moves the descriptor that reports go to behind `lowest`. */
void report_from_above(int lowest);

/** Called before this process exits by one of the functions below. */
void before_death(void (*clean_up)(void));

/** Sends `KIND text`; a text longer than a line is cut, line breaks and control characters become `?`. */
void report(const char *kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** What could not be granted and does not stop the container. Appends the text of errno. */
void warn_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Reports `error launch <text>: <errno text>` and exits with EXIT_LAUNCH_FAILED. */
noreturn void die_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** The same for failures without an errno. */
noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
