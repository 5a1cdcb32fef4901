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
};

/** Becomes the container. Runs as the first process of the new namespaces. */
noreturn void become_container(const struct plan *plan, const struct inheritance *inheritance);

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

/** Resource limits and the OOM score. What this machine does not grant is a warning. */
void set_limits(const struct plan *plan);

/** Ids, groups, capabilities, no_new_privs and the system call filter, in the one order that works. */
void drop_privileges(const struct plan *plan);

/** Executes the plan's program; exits with 126 or 127 and a report that says why it cannot. */
noreturn void execute_program(const struct plan *plan);

#endif
