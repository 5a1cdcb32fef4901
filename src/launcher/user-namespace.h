// A user namespace of the container's own: its first process waits until its maps are written from outside.

#ifndef KAURI_USER_NAMESPACE_H
#define KAURI_USER_NAMESPACE_H

#include "container.h"
#include "plan.h"

/** The side that writes maps; -1 where the plan has none. */
struct mapping {
  int fd;
};

/** Opens both sides; the container's goes to `inheritance`. */
struct mapping open_mapping(const struct plan *plan, struct inheritance *inheritance);

/** Waits for the container's process and writes its maps; harmless where the plan has none. */
void write_maps(const struct plan *plan, struct mapping *mapping);

/** The container's side: returns when the maps are there, and this process has every right in its namespace. */
void await_maps(const struct inheritance *inheritance);

/** Becomes the namespace's root, whose files are made with ids that the namespace has. */
void become_namespace_root(const struct plan *plan);

#endif
