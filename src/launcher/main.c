// The launcher: enters namespaces and executes. It takes no decision of its own; what it does is a plan that the
// TypeScript side has validated, or, in guard mode, a command line.
//
//   kauri-launcher run PARENT-PID                             a container, from the plan on descriptor 3
//   kauri-launcher guard PARENT-PID COMMAND [ARGUMENT...]     a program of the host

#include <stdlib.h>
#include <string.h>

#include "guard.h"
#include "protect.h"
#include "report.h"
#include "supervise.h"

/** What `run` calls itself once its file is protected. */
static char run_protected[] = "run-protected";

/** A process id from the command line; 0 where it is none. */
static int parse_pid(const char *text) {
  char *end;
  long pid = strtol(text, &end, 10);
  return *text != '\0' && *end == '\0' && pid > 0 && pid < 1 << 30 ? (int)pid : 0;
}

int main(int count, char *arguments[]) {
  int parent = count > 2 ? parse_pid(arguments[2]) : 0;
  const char *mode = parent > 0 ? arguments[1] : "";
  if (count == 3 && strcmp(mode, "run") == 0) {
    report_to(CONTROL_FD);
    char *const again[] = {arguments[0], run_protected, arguments[2], NULL};
    execute_protected(again);
  }
  if (count == 3 && strcmp(mode, run_protected) == 0) supervise(parent);
  if (count > 3 && strcmp(mode, "guard") == 0) guard(parent, arguments + 3);
  die("usage: kauri-launcher run PARENT-PID | guard PARENT-PID COMMAND [ARGUMENT...]");
}
