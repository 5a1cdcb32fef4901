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

#include "settings.h"

enum { PLAN_MAGIC = 0x3149554b, PLAN_HEADER_BYTES = 8, PLAN_MAX_BYTES = 4 * 1024 * 1024 };

/** Most descriptors that a caller can hand on. */
enum { PLAN_MAX_DESCRIPTORS = 4096 };

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
  TAG_GATE = 33,
  TAG_MONITOR = 34,
  TAG_LOG = 35,
  TAG_CLEAN_UP = 36,
  TAG_TIMER = 37,
  TAG_OOM_FILE = 38,
  TAG_INHERITED = 39,
  TAG_HOST_TURN = 40,
  TAG_HOOK = 41,
  TAG_TARGET = 42,
  TAG_CONSOLE_SOCKET = 43,
  TAG_DETACHED = 44,
  TAG_USER_MAP = 45,
  TAG_TIME_OFFSETS = 46,
  TAG_KEEP_KEYRING = 47,
  TAG_MOUNT_DETAILS = 64,
  TAG_MEMORY_POLICY = 65,
  TAG_SCHEDULER = 66,
  TAG_IO_PRIORITY = 67,
  TAG_PERSONALITY = 68,
  TAG_AFFINITY = 69,
  TAG_LABEL = 70,
  TAG_DOMAIN_NAME = 71,
  TAG_ROOT_PROPAGATION = 72,
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
  /** MS_ bits, also for what is mounted below; 0: private. */
  uint32_t propagation;
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
  struct mount_details details;
  /** A bind's source, opened before this process became another user; -1. */
  int source_fd;
};

struct plan_rlimit {
  uint32_t resource;
  uint64_t soft, hard;
};

/** A program of the host. */
struct plan_command {
  struct text_list arguments, environment;
};

enum hook_moment { HOOK_CREATE_CONTAINER = 1, HOOK_START_CONTAINER = 2 };

struct plan_hook {
  uint32_t moment;
  const char *path;
  /** 0: as long as it takes. */
  uint32_t timeout_seconds;
  struct plan_command command;
};

enum monitor_flag { MONITOR_OPEN_INPUT = 1 };

struct plan_monitor {
  /** Where its socket and the exit file are; NULL without a monitor. */
  const char *directory;
  /** enum monitor_flag */
  uint32_t flags;
  uint32_t lock_count;
};

enum log_driver { LOG_NONE = 0, LOG_JSON = 1, LOG_LOCAL = 2 };

struct plan_log {
  /** enum log_driver */
  uint32_t driver;
  const char *file;
  /** 0: one file without end. */
  uint64_t max_bytes;
  uint32_t max_files;
};

struct plan_timer {
  uint64_t first_ms, interval_ms;
  /** Without arguments there is no timer. */
  struct plan_command command;
};

/** The process whose namespaces are joined; pid 0 for none. */
struct plan_target {
  uint32_t pid;
  uint64_t start_ticks;
  /** CLONE_NEW bits. */
  uint32_t namespaces;
};

/** How the maps of a user namespace are written. */
enum map_flag { MAP_DENY_SETGROUPS = 1, MAP_BY_HELPER = 2 };

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
  /** As /proc/PID/uid_map takes them; NULL without a user namespace of its own. */
  const char *uid_map, *gid_map;
  /** enum map_flag */
  uint32_t map_flags;
  /** As /proc/PID/timens_offsets takes them; NULL for none. */
  const char *time_offsets;
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
  struct plan_settings settings;
  bool keeps_keyring;
  /** Where the first process waits to be started; NULL: it starts at once. */
  const char *gate_directory;
  /** Kauri runs hooks of its own before the root is entered, and says what the others get to read. */
  bool has_host_turn;
  struct plan_hook *hooks;
  size_t hook_count, hook_capacity;
  struct plan_monitor monitor;
  struct plan_log log;
  struct plan_command clean_up;
  struct plan_timer timer;
  /** Files of the container's cgroups that count how often the kernel killed for want of memory. */
  struct text_list oom_files;
  /** Descriptors behind CONTROL_FD that the program gets from 3 on. */
  uint32_t inherited_count;
  struct plan_target target;
  const char *console_socket;
  /** The launcher needs nobody once the program runs. */
  bool is_detached;
  /** And stays to take its exit status; else it ends. */
  bool reaps;
};

/** Parses a whole plan in memory. NULL, and why in `*problem`, for anything but a plan that is well formed. */
struct plan *parse_plan(const char *data, size_t length, const char **problem);

void free_plan(struct plan *plan);

/** Reads a plan from a socket; exits where there is none. The bytes live as long as the process. */
struct plan *read_plan(int fd);

#endif
