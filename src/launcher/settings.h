// Settings of a container's process and mounts that OCI configurations have and kauri's own do not need (runtime-spec
// v1.2.1 config.md#linux-process, config-linux.md).

#ifndef KAURI_SETTINGS_H
#define KAURI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct plan;
struct reader;

/** As sched_setattr(2) takes it; the C library's own type came late. */
struct scheduling {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

struct memory_policy {
  /** Mode and flags in one, as set_mempolicy(2) takes them. */
  uint32_t mode;
  /** One bit for each node. */
  uint64_t nodes;
};

/** CPUs as sched_setaffinity(2) takes them. */
enum { CPU_WORDS = 128 };

struct affinity {
  uint64_t words[CPU_WORDS];
};

/** Everything of TAG_SCHEDULER and its neighbours; what is not named stays as it is. */
struct plan_settings {
  bool has_scheduler, has_io_priority, has_personality, has_memory_policy;
  struct scheduling scheduler;
  uint32_t io_priority, personality;
  struct memory_policy memory_policy;
  /** NULL: all that the cgroup allows. */
  struct affinity *affinity;
  /** A file of /proc/self and what is written into it, so that the program gets the label; NULL: none. */
  const char *label_file, *label;
  const char *domain_name;
};

/** What a mount has beside its attributes (TAG_MOUNT_DETAILS). */
struct mount_details {
  /** MOUNT_ATTR_ bits that the mount loses, and that every mount below gets and loses. */
  uint32_t cleared, below_set, below_cleared;
  /** MS_ bits; 0: as the step's flags say. */
  uint32_t propagation;
  /** Of enum detail_flag. */
  uint32_t flags;
  /** Contents of uid_map and gid_map; empty: owners are as they are. */
  const char *uid_map, *gid_map;
  /** A user namespace with these maps, once it is made. */
  int id_maps_fd;
};

enum detail_flag {
  /** The propagation holds for every mount below. */
  DETAIL_PROPAGATION_BELOW = 1,
  /** The id maps do. */
  DETAIL_IDMAP_BELOW = 2,
  /** A tmpfs begins with what its mount point has. */
  DETAIL_COPY_UP = 4,
};

/** Parses a record of the plan that is about settings; false where the tag is of another kind. */
bool parse_settings_record(struct reader *reader, struct plan *plan, uint32_t tag);

/** Sets what exec keeps: scheduler, priorities, memory policy, CPUs, personality, label. */
void apply_settings(const struct plan *plan);

#endif
