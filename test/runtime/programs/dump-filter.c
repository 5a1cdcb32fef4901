// Writes the seccomp filters of a process to standard output, the one loaded last first: PID. Each filter is its number
// of instructions and the instructions.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/ptrace.h>

int main(int count, char *arguments[]) {
  int pid = count == 2 ? atoi(arguments[1]) : 0;
  if (pid == 0 || ptrace(PTRACE_SEIZE, pid, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0 ||
      waitpid(pid, NULL, 0) != pid) {
    perror("ptrace");
    return 1;
  }
  static struct sock_filter filter[4096];
  for (unsigned long index = 0;; index++) {
    long length = ptrace((enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER, pid, index, filter);
    if (length < 0) return index == 0;
    uint32_t instructions = (uint32_t)length;
    fwrite(&instructions, sizeof instructions, 1, stdout);
    fwrite(filter, sizeof *filter, instructions, stdout);
  }
}
