// From root of the host to the container's user. The order matters: groups before ids, ids before capabilities, the
// filter while it may still be loaded, the effective set last.

#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "report.h"

enum { CAPABILITY_WORDS = 2, MOST_CAPABILITIES = 64 };

struct capabilities {
  uint64_t effective, permitted, inheritable;
};

static void get_capabilities(struct capabilities *sets) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[CAPABILITY_WORDS];
  if (syscall(SYS_capget, &header, data) != 0) die_errno("capget");
  sets->effective = data[0].effective | (uint64_t)data[1].effective << 32;
  sets->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
  sets->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
}

static void set_capabilities(const struct capabilities *sets) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  const struct __user_cap_data_struct data[CAPABILITY_WORDS] = {
      {(uint32_t)sets->effective, (uint32_t)sets->permitted, (uint32_t)sets->inheritable},
      {(uint32_t)(sets->effective >> 32), (uint32_t)(sets->permitted >> 32),
       (uint32_t)(sets->inheritable >> 32)},
  };
  if (syscall(SYS_capset, &header, data) != 0) die_errno("capset");
}

/** Every capability that the kernel knows and the plan does not name leaves the bounding set. */
static void limit_bounding_set(uint64_t kept) {
  for (unsigned long number = 0; number < MOST_CAPABILITIES; number++) {
    int is_set = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (is_set < 0) return;
    if (is_set && !(kept >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0)
      die_errno("dropping capability %lu from the bounding set", number);
  }
}

static void raise_ambient(uint64_t wanted) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    die_errno("clearing the ambient capabilities");
  for (unsigned long number = 0; number < MOST_CAPABILITIES; number++)
    if (wanted >> number & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
      die_errno("raising ambient capability %lu", number);
}

static void become_user(const struct plan *plan) {
  if (setgroups(plan->group_count, plan->groups) != 0) die_errno("setgroups");
  if (setresgid(plan->gid, plan->gid, plan->gid) != 0) die_errno("setresgid(%u)", plan->gid);
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) die_errno("prctl(PR_SET_KEEPCAPS)");
  if (setresuid(plan->uid, plan->uid, plan->uid) != 0) die_errno("setresuid(%u)", plan->uid);
  if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) die_errno("prctl(PR_SET_KEEPCAPS)");
  umask(plan->umask);
}

static int load_filter_with(const struct sock_fprog *program, unsigned flags) {
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
}

static void load_filter(const struct plan *plan) {
  if (plan->seccomp.length == 0) return;
  const struct sock_fprog program = {
      .len = (unsigned short)(plan->seccomp.length / sizeof(struct sock_filter)),
      .filter = (struct sock_filter *)plan->seccomp.data,
  };
  if (load_filter_with(&program, plan->seccomp_flags) == 0) return;
  // Flags only make it faster; a kernel that does not know them gets none.
  if (errno != EINVAL || plan->seccomp_flags == 0 || load_filter_with(&program, 0) != 0)
    die_errno("loading the system call filter");
}

void drop_privileges(const struct plan *plan) {
  struct capabilities own;
  get_capabilities(&own);
  uint64_t granted = plan->permitted & own.permitted;
  if (granted != plan->permitted)
    report("warning", "capabilities %#llx are not this process's to give",
           (unsigned long long)(plan->permitted & ~own.permitted));
  // Before the bounding set shrinks, which limits what can become inheritable.
  const uint64_t inheritable = plan->inheritable & own.permitted;
  const struct capabilities all = {own.permitted, own.permitted, inheritable};
  set_capabilities(&all);
  limit_bounding_set(plan->bounding);
  become_user(plan);
  if (plan->no_new_privileges) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die_errno("prctl(PR_SET_NO_NEW_PRIVS)");
  } else {
    // Without no_new_privs loading a filter takes CAP_SYS_ADMIN, which a change of ids has taken out of the effective set.
    set_capabilities(&all);
    load_filter(plan);
  }
  const struct capabilities final = {
      .effective = plan->effective & granted,
      .permitted = granted,
      .inheritable = inheritable,
  };
  set_capabilities(&final);
  raise_ambient(plan->ambient & inheritable & granted);
  if (plan->no_new_privileges) load_filter(plan);
}
