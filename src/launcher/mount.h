// Mounts, made detached and moved into place by descriptor.

#ifndef KAURI_MOUNT_H
#define KAURI_MOUNT_H

#include "plan.h"
#include "target.h"

/** The container's root, mounted in this mount namespace; returns a descriptor of it. */
int mount_root(const struct plan_root *root);

/** Makes the root of this process that of its mount namespace, where it is not: then it is in no chroot any more. */
void leave_chroot(void);

/** What is mounted from now on does not appear on the host; what the host mounts still appears here. */
void leave_host_propagation(void);

/** A mount of a directory or an overlay, seen nowhere yet; writable where that is. */
int detached_tree(const struct plan_root *tree);

/** Makes `root_fd` the root of this mount namespace; nothing of the old one stays reachable. */
void enter_root(int root_fd, const struct plan_root *root);

/** A file system of its own (proc, tmpfs …). */
void mount_filesystem(int root_fd, const struct plan_step *step);

/**
 * Opens the sources of all binds with the rights of the user that this process still is: root of a user namespace may not
 * be able to reach them.
 */
void open_bind_sources(const struct plan *plan);

/** A directory or file of the host. */
void mount_bind(int root_fd, const struct plan_step *step);

/** A directory or file inside a tree that has no place of its own. */
void mount_tree(int root_fd, const struct plan_step *step);

/** A file that is in memory only. */
void mount_file(int root_fd, const struct plan_step *step);

/** Hides a file or directory of the root, where it is there. */
void mask_path(int root_fd, const char *path);

/** Makes a file or directory of the root read-only, where it is there. */
void make_readonly(int root_fd, const char *path);

/** Sets attributes of the mount that is on the target, not of those below. */
void change_attributes(int root_fd, const struct plan_step *step);

/** The descriptor of a new file system with these options; exits with what the kernel says about them. */
int new_filesystem(const char *type, const struct text_list *options, unsigned attributes);

/** True where this kernel's file system of that type takes the option. */
bool takes_option(const char *type, const char *option);

/** Sets attributes of a mount, of all below it with AT_RECURSIVE. */
void set_attributes(int mount_fd, unsigned flags, uint64_t attributes, uint64_t propagation,
                    const char *path);

/** Gives a mount that is seen nowhere yet what its step says beside attributes. */
void apply_details(int mount_fd, const struct plan_step *step);

/**
 * Makes the user namespaces whose maps mounts get. Before there is a new root: with a mount on top of this process's root the
 * kernel takes it for one in a chroot, which makes none.
 */
void open_all_id_maps(const struct plan *plan);

/** True where mounts of the source and of the container shall see each other. */
bool is_to_be_shared(const struct plan_step *step);

/** What a mount point for this mount or file has to be. */
enum target_kind kind_of(int fd, const char *path);

/** A mount of one file or tree, seen nowhere yet. */
int clone_mount(int fd, unsigned flags, const char *path);

#endif
