// The launcher: enters namespaces and executes. It takes no decision of its own; what it does is a plan that the
// TypeScript side has validated, or, in guard mode, a command line.
//
//   kauri-launcher guard PARENT-PID COMMAND [ARGUMENT...]

#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "report.h"

/** A process id from the command line; 0 where it is none. */
static int parse_pid(const char *text) {
  char *end;
  long pid = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && pid > 0 && pid < 1 << 30 ? (int)pid : 0;
}

int main(int count, char *arguments[]) {
  int parent = count > 2 ? parse_pid(arguments[2]) : 0;
  if (count > 3 && parent > 0 && strcmp(arguments[1], "guard") == 0) guard(parent, arguments + 3);
  die("usage: kauri-launcher guard PARENT-PID COMMAND [ARGUMENT...]");
}
