// The plan: everything the launcher does, in one flat message. src/runtime/plan-writer.ts writes it; the numbers here
// and there are the same, which a test compares.
//
// A plan is the magic, its whole length in bytes, and records: tag, length of the body, body. A body is a sequence of
// fields: u32, u64, or text and bytes with a u32 length before them; text ends with a NUL that the length counts.
// Numbers are in the machine's byte order, for both ends are on the same machine.

#ifndef KAURI_PLAN_H
#define KAURI_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLAN_MAGIC = 0x3149554b, PLAN_HEADER_BYTES = 8, PLAN_MAX_BYTES = 4 * 1024 * 1024 };

enum plan_tag {
  TAG_NAMESPACES = 1,
  TAG_JOIN = 2,
  TAG_CGROUP = 3,
  TAG_DEVICE_PROGRAM = 4,
  TAG_HOSTNAME = 5,
  TAG_LOOPBACK = 6,
  TAG_ROOT_DIRECTORY = 7,
  TAG_ROOT_OVERLAY = 8,
  TAG_FILESYSTEM = 9,
  TAG_BIND = 10,
  TAG_DEVICE = 11,
  TAG_SYMLINK = 12,
  TAG_MASK = 13,
  TAG_READONLY = 14,
  TAG_SYSCTL = 15,
  TAG_TERMINAL = 16,
  TAG_RLIMIT = 17,
  TAG_OOM_SCORE = 18,
  TAG_USER = 19,
  TAG_CAPABILITIES = 20,
  TAG_NO_NEW_PRIVILEGES = 21,
  TAG_SECCOMP = 22,
  TAG_DIRECTORY = 23,
  TAG_ARGUMENT = 24,
  TAG_ENVIRONMENT = 25,
  TAG_MERGE_OUTPUT = 26,
  TAG_ATTRIBUTES = 27,
  TAG_CGROUP_DIRECTORY = 28,
  TAG_NETLINK_OUTSIDE = 31,
  TAG_NETLINK_INSIDE = 32,
  TAG_TREE = 29,
  TAG_FILE = 30,
};

/** How a mount step treats its target and source. */
enum step_flag {
  /** The target's path must not contain a symbolic link. */
  STEP_NO_LINKS = 1,
  /** Mount over the last component even where it is a link. */
  STEP_OVER_LINK = 2,
  /** Bind with everything mounted below the source. */
  STEP_RECURSIVE = 4,
  /** Attributes hold for what is mounted below, too. */
  STEP_RECURSIVE_ATTRIBUTES = 8,
  /** Mounts of the host below the source appear in the container. */
  STEP_SLAVE = 16,
  /** Go on where the kernel lacks the file system. */
  STEP_OPTIONAL = 32,
  /** The target may be a file of procfs or sysfs. */
  STEP_ON_KERNEL_FS = 64,
  /** Bind the host's device instead of making a node. */
  STEP_BIND_DEVICE = 128,
  /** What is made for the target stays, so it is not reported. */
  STEP_KEEP = 256,
};

/** Texts in the order of the plan; they point into it. */
struct text_list {
  const char **items;
  size_t count, capacity;
};

struct bytes {
  const void *data;
  uint32_t length;
};

struct plan_join {
  uint32_t kind;
  const char *path;
};

struct plan_root {
  /** A directory where it is not NULL, else an overlay. */
  const char *directory;
  struct text_list lower, options;
  /** Empty: read-only. */
  const char *upper, *work;
  /** MOUNT_ATTR_ bits. */
  uint32_t attributes;
};

/** One thing to do inside the new root, in the order of the plan. */
struct plan_step {
  enum plan_tag tag;
  const char *target;
  /** Type of a file system, source of a bind, path inside the tree, content of a link, value of a sysctl. */
  const char *source;
  struct text_list options;
  uint32_t attributes, flags;
  uint32_t mode, major, minor, uid, gid;
  /** Of TAG_TREE. */
  struct plan_root tree;
  /** Of TAG_FILE. */
  struct bytes content;
};

struct plan_rlimit {
  uint32_t resource;
  uint64_t soft, hard;
};

struct plan {
  /** CLONE_NEW bits. */
  uint32_t namespaces;
  struct plan_join *joins;
  size_t join_count, join_capacity;
  /** Files of cgroup version 1 into which a process writes itself. */
  struct text_list cgroups;
  /** A cgroup of version 2, in which the container's first process is born. */
  const char *cgroup_directory;
  const char *device_cgroup;
  struct bytes device_program;
  const char *hostname;
  bool loopback_up;
  /** Messages for rtnetlink: in the launcher's own network namespace, then in the container's. */
  struct bytes netlink_outside, netlink_inside;
  struct plan_root root;
  struct plan_step *steps;
  size_t step_count, step_capacity;
  bool has_terminal;
  uint32_t rows, columns;
  struct plan_rlimit *rlimits;
  size_t rlimit_count, rlimit_capacity;
  bool has_oom_score;
  int32_t oom_score;
  uint32_t uid, gid, umask;
  uint32_t *groups;
  size_t group_count;
  uint64_t bounding, effective, permitted, inheritable, ambient;
  bool no_new_privileges;
  struct bytes seccomp;
  uint32_t seccomp_flags;
  const char *directory;
  struct text_list arguments, environment;
  bool merge_output;
};

/** Parses a whole plan in memory. NULL, and why in `*problem`, for anything but a plan that is well formed. */
struct plan *parse_plan(const char *data, size_t length, const char **problem);

void free_plan(struct plan *plan);

/** Reads a plan from a socket; exits where there is none. The bytes live as long as the process. */
struct plan *read_plan(int fd);

#endif
