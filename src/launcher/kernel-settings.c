// Sysctls, cgroups, the device program and the loopback interface.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "container.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

/**
 * CVE-2019-16884, CVE-2023-28642, CVE-2025-52881: a write meant for procfs must not be led elsewhere, so the descriptor's
 * file system is checked, and below it no link and no other mount is crossed.
 */
void write_sysctl(int root_fd, const struct plan_step *step) {
  int proc_fd = find_target(root_fd, "/proc", STEP_NO_LINKS);
  struct statfs fs;
  if (proc_fd < 0 || fstatfs(proc_fd, &fs) != 0) die_errno("opening /proc");
  if (fs.f_type != PROC_SUPER_MAGIC) die("/proc is not procfs");
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "sys/%s", step->target);
  if (length < 0 || (size_t)length >= sizeof path) die("the sysctl %s is too long", step->target);
  struct open_how how = {
      .flags = O_WRONLY | O_CLOEXEC,
      .resolve =
          RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  int fd = sys_openat2(proc_fd, path, &how);
  if (fd < 0 || write(fd, step->source, strlen(step->source)) < 0)
    die_errno("setting the sysctl %s to %s", step->target, step->source);
  close(fd);
  close(proc_fd);
}

void enter_cgroups(const struct plan *plan) {
  for (size_t i = 0; i < plan->cgroups.count; i++) {
    int fd = open(plan->cgroups.items[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) die_errno("joining %s", plan->cgroups.items[i]);
    close(fd);
  }
  // Only now: the namespace's root is the cgroup in which this process is when it enters.
  if (plan->namespaces & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) != 0)
    die_errno("unshare(CLONE_NEWCGROUP)");
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

void attach_device_program(const struct plan *plan) {
  if (plan->device_cgroup == NULL) return;
  union bpf_attr load;
  memset(&load, 0, sizeof load);
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = (uint64_t)(uintptr_t)plan->device_program.data;
  load.insn_cnt = plan->device_program.length / sizeof(struct bpf_insn);
  load.license = (uint64_t)(uintptr_t)"GPL";
  int program_fd = bpf(BPF_PROG_LOAD, &load);
  if (program_fd < 0) die_errno("loading the device program");
  int cgroup_fd = open(plan->device_cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cgroup_fd < 0) die_errno("opening %s", plan->device_cgroup);
  union bpf_attr attach;
  memset(&attach, 0, sizeof attach);
  attach.target_fd = (unsigned)cgroup_fd;
  attach.attach_bpf_fd = (unsigned)program_fd;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, &attach) != 0)
    die_errno("attaching the device program to %s", plan->device_cgroup);
  close(program_fd);
  close(cgroup_fd);
}

void set_loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  const bool is_up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  // Where kauri has no rights over networks, a container without any still runs.
  if (!is_up && errno == EPERM)
    warn_errno("bringing lo up");
  else if (!is_up)
    die_errno("bringing lo up");
  close(fd);
}
