// The last step: find the program as a shell would, and say why where it cannot be executed.

#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "report.h"

static const char default_path[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static const char *path_of(const struct text_list *environment) {
  for (size_t i = 0; i < environment->count; i++)
    if (strncmp(environment->items[i], "PATH=", 5) == 0) return environment->items[i] + 5;
  return default_path;
}

/** The interpreter that a script or a dynamically linked program names; NULL where there is none to be found. */
static const char *interpreter_of(int fd, char text[PATH_MAX]) {
  ssize_t length = pread(fd, text, PATH_MAX - 1, 0);
  if (length < 4) return NULL;
  text[length] = '\0';
  if (text[0] == '#' && text[1] == '!') {
    char *start = text + 2 + strspn(text + 2, " \t");
    start[strcspn(start, " \t\n")] = '\0';
    return start;
  }
  if (memcmp(text, ELFMAG, SELFMAG) != 0 || text[EI_CLASS] != ELFCLASS64) return NULL;
  Elf64_Ehdr header;
  Elf64_Phdr segment;
  memcpy(&header, text, sizeof header);
  for (unsigned i = 0; i < header.e_phnum; i++) {
    off_t at = (off_t)(header.e_phoff + i * sizeof segment);
    if (pread(fd, &segment, sizeof segment, at) != sizeof segment) return NULL;
    if (segment.p_type != PT_INTERP || segment.p_filesz >= PATH_MAX) continue;
    if (pread(fd, text, segment.p_filesz, (off_t)segment.p_offset) < 1) return NULL;
    text[segment.p_filesz] = '\0';
    return text;
  }
  return NULL;
}

/** execve says ENOENT of a file that is there where what it needs is missing. */
static noreturn void explain_missing(const char *program) {
  char text[PATH_MAX];
  int fd = open(program, O_RDONLY | O_CLOEXEC);
  const char *interpreter = fd < 0 ? NULL : interpreter_of(fd, text);
  size_t length = interpreter == NULL ? 0 : strlen(interpreter);
  if (length > 0 && interpreter[length - 1] == '\r')
    report("error not-found", "%s has DOS line ends, so its interpreter %.*s is not found", program,
           (int)length - 1, interpreter);
  else if (length > 0)
    report("error not-found", "%s needs %s, which is missing", program, interpreter);
  else
    report("error not-found", "%s or what it needs is missing", program);
  _exit(EXIT_NOT_FOUND);
}

static noreturn void explain(const char *program, int failure) {
  struct stat status;
  if (failure == ENOENT && stat(program, &status) == 0) explain_missing(program);
  if (failure == ENOENT || failure == ENOTDIR) {
    report("error not-found", "%s: %s", program, strerror(failure));
    _exit(EXIT_NOT_FOUND);
  }
  if (failure == EACCES && stat(program, &status) == 0 && S_ISDIR(status.st_mode))
    report("error not-executable", "%s is a directory", program);
  else if (failure == ENOEXEC)
    report("error not-executable",
           "%s is no program for this machine (neither ELF nor a script with #!)", program);
  else
    report("error not-executable", "%s: %s", program, strerror(failure));
  _exit(EXIT_NOT_EXECUTABLE);
}

/** Tries the directories of PATH; returns where none has the program. A file that may not be executed does not end the search. */
static void execute_by_path(const struct plan *plan, char *const environment[]) {
  const char *program = plan->arguments.items[0];
  char candidate[PATH_MAX], refused[PATH_MAX] = "";
  for (const char *at = path_of(&plan->environment); at != NULL;) {
    const char *colon = strchr(at, ':');
    int length = colon == NULL ? (int)strlen(at) : (int)(colon - at);
    const char *directory = length == 0 ? "." : at;
    int written = snprintf(candidate, sizeof candidate, "%.*s/%s", length == 0 ? 1 : length,
                           directory, program);
    at = colon == NULL ? NULL : colon + 1;
    if (written < 0 || (size_t)written >= sizeof candidate) continue;
    execve(candidate, (char *const *)plan->arguments.items, environment);
    int failure = errno;
    struct stat status;
    if (stat(candidate, &status) != 0 || S_ISDIR(status.st_mode)) continue;
    if (failure != EACCES) explain(candidate, failure);
    strcpy(refused, candidate);
  }
  if (*refused != '\0') explain(refused, EACCES);
}

void execute_program(const struct plan *plan) {
  static char *no_environment[] = {NULL};
  char *const *environment = plan->environment.items == NULL
                                 ? no_environment
                                 : (char *const *)plan->environment.items;
  const char *program = plan->arguments.items[0];
  if (*program != '\0' && strchr(program, '/') == NULL) {
    execute_by_path(plan, environment);
    report("error not-found", "%s is not in the PATH of the container", program);
    _exit(EXIT_NOT_FOUND);
  }
  execve(program, (char *const *)plan->arguments.items, environment);
  explain(program, errno);
}
