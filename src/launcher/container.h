// The parts that make a process a container's first process; container.c calls them in order.

#ifndef KAURI_CONTAINER_H
#define KAURI_CONTAINER_H

#include <stdnoreturn.h>

#include "plan.h"

/** What the launcher hands to the container's first process. */
struct inheritance {
  /** Take the place of the standard streams; -1: the stream stays. */
  int streams[3];
  /** The master side of a terminal goes over this; -1 without one. */
  int terminal_socket;
  /** rtnetlink of the launcher's network namespace; -1 where the plan has nothing to say there. */
  int netlink_socket;
  /** Listens for the start; -1 where the program starts at once. */
  int gate;
  /** Gets one byte when the container waits at the gate, and ends with the exec; -1 where nobody listens. */
  int progress;
  /** The container's side of what makes the maps of its user namespace; -1 without one. */
  int mapping;
};

/** Becomes the container. Runs as the first process of the new namespaces. */
noreturn void become_container(const struct plan *plan, const struct inheritance *inheritance);

/** Joins a namespace by its file. */
void join_namespace(const struct plan_join *join);

/** Device nodes and links of /dev. */
void make_device(int root_fd, const struct plan_step *step);
void make_symlink(int root_fd, const struct plan_step *step);

/** Writes a kernel setting through the container's own procfs, never through what lies on top of it. */
void write_sysctl(int root_fd, const struct plan_step *step);

/** Moves this process into its cgroups, then into a cgroup namespace if there is to be one. */
void enter_cgroups(const struct plan *plan);

/** Attaches the device program to the container's cgroup (cgroup v2). */
void attach_device_program(const struct plan *plan);

/** Brings `lo` up. */
void set_loopback_up(void);

/** An rtnetlink socket of the network namespace that this process is in. */
int open_netlink(void);

/** Makes the container's interface: the plan's messages, outside over `outside_socket`, then inside. */
void connect_network(const struct plan *plan, int outside_socket);

/** A terminal from the container's own devpts: standard streams, /dev/console; its master side goes to the launcher. */
void open_terminal(int root_fd, const struct plan *plan, int terminal_socket);

/** The OOM score, by the procfs that is mounted where this process is. What this machine does not grant is a warning. */
void set_oom_score(const struct plan *plan);

/** Resource limits. What this machine does not grant is a warning. */
void set_rlimits(const struct plan *plan);

/** Ids, groups, capabilities, no_new_privs and the system call filter, in the one order that works. */
void drop_privileges(const struct plan *plan);

/** The plan's descriptors move to 3 and on; no other goes through the exec (CVE-2024-21626). */
void keep_inherited(const struct plan *plan);

/** A directory of the host must not be left as the working directory (CVE-2024-21626). */
void enter_directory(const char *directory);

/** A key that a program puts into its session keyring must not be found by the host's other processes. */
void leave_keyring(const struct plan *plan);

/** Every signal as a fresh process has it. */
void reset_signals(void);

/** Puts the streams of `inheritance` in their places. */
void take_streams(const struct plan *plan, const struct inheritance *inheritance);

/** Executes the plan's program; exits with 126 or 127 and a report that says why it cannot. */
noreturn void execute_program(const struct plan *plan);

#endif
