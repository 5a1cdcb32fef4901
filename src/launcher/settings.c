#define _GNU_SOURCE
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "plan.h"
#include "report.h"
#include "system-calls.h"

enum { IO_PRIORITY_OF_PROCESS = 1, NODE_BITS = 64 };

static void set_memory_policy(const struct memory_policy *policy) {
  // One more than there are: the kernel leaves out the last bit that it is told of.
  const uint64_t nodes = policy->nodes;
  if (syscall(SYS_set_mempolicy, policy->mode, nodes == 0 ? NULL : &nodes, nodes == 0 ? 0 : NODE_BITS + 1) != 0)
    die_errno("setting the memory policy %#x", policy->mode);
}

/** Through a procfs of this moment's own: what the container has at /proc may be anything. */
static void set_label(const char *file, const char *label) {
  int fs_fd = sys_fsopen("proc");
  if (fs_fd < 0 || sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL) != 0)
    die_errno("a procfs to set the label %s", label);
  int proc_fd = sys_fsmount(fs_fd, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  if (proc_fd < 0) die_errno("a procfs to set the label %s", label);
  char path[64];
  snprintf(path, sizeof path, "self/%s", file);
  int fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, label, strlen(label)) < 0) die_errno("setting the label %s", label);
  close(fd);
  close(proc_fd);
  close(fs_fd);
}

void apply_settings(const struct plan *plan) {
  const struct plan_settings *settings = &plan->settings;
  if (settings->affinity != NULL && syscall(SYS_sched_setaffinity, 0, sizeof *settings->affinity,
                                            settings->affinity->words) < 0)
    die_errno("setting the CPUs of the process");
  if (settings->has_scheduler && syscall(SYS_sched_setattr, 0, &settings->scheduler, 0) != 0)
    die_errno("setting the scheduler %u", settings->scheduler.policy);
  if (settings->has_io_priority &&
      syscall(SYS_ioprio_set, IO_PRIORITY_OF_PROCESS, 0, settings->io_priority) != 0)
    die_errno("setting the priority of input and output");
  if (settings->has_memory_policy) set_memory_policy(&settings->memory_policy);
  if (settings->has_personality && personality(settings->personality) < 0)
    die_errno("setting the personality %#x", settings->personality);
  if (settings->label != NULL) set_label(settings->label_file, settings->label);
}
