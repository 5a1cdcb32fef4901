#define _GNU_SOURCE
#include "terminal.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "container.h"
#include "mount.h"
#include "report.h"
#include "system-calls.h"
#include "target.h"

static struct termios saved_mode;
static bool has_saved_mode;

void begin_raw_mode(void) {
  if (tcgetattr(STDIN_FILENO, &saved_mode) != 0) return;
  has_saved_mode = true;
  struct termios raw = saved_mode;
  cfmakeraw(&raw);
  if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0) warn_errno("raw mode of the terminal");
}

void end_raw_mode(void) {
  if (has_saved_mode) tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_mode);
  has_saved_mode = false;
}

void copy_window_size(int master_fd) {
  struct winsize size;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) continue;
    ioctl(master_fd, TIOCSWINSZ, &size);
    return;
  }
}

/** Room for one descriptor in a control message. */
union descriptor_message {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

int receive_terminal(int socket_fd) {
  char byte;
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union descriptor_message control;
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  ssize_t length = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return -1;
  int master_fd;
  memcpy(&master_fd, CMSG_DATA(header), sizeof master_fd);
  return master_fd;
}

static void send_terminal(int socket_fd, int master_fd) {
  char byte = 't';
  struct iovec data = {.iov_base = &byte, .iov_len = 1};
  union descriptor_message control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof master_fd);
  memcpy(CMSG_DATA(header), &master_fd, sizeof master_fd);
  if (sendmsg(socket_fd, &message, MSG_NOSIGNAL) != 1) die_errno("handing over the terminal");
}

/** The container's own ptmx, on a file system that is devpts and no other (CVE-2025-52565). */
static int open_master(int root_fd) {
  struct open_how how = {
      .flags = O_RDWR | O_NOCTTY | O_CLOEXEC,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  int master_fd = sys_openat2(root_fd, "/dev/pts/ptmx", &how);
  struct statfs fs;
  if (master_fd < 0 || fstatfs(master_fd, &fs) != 0) die_errno("opening /dev/pts/ptmx");
  if (fs.f_type != DEVPTS_SUPER_MAGIC) die("/dev/pts of the container is no devpts");
  return master_fd;
}

static void mount_console(int root_fd, int terminal_fd) {
  int mount_fd = clone_mount(terminal_fd, 0, "the terminal");
  int target_fd = open_target(root_fd, "/dev/console", TARGET_FILE, STEP_NO_LINKS);
  if (sys_move_mount(mount_fd, target_fd) != 0) die_errno("mounting on /dev/console");
  close(target_fd);
  close(mount_fd);
}

void open_terminal(int root_fd, const struct plan *plan, int terminal_socket) {
  int master_fd = open_master(root_fd);
  int unlocked = 0;
  if (ioctl(master_fd, TIOCSPTLCK, &unlocked) != 0) die_errno("unlocking the terminal");
  int terminal_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal_fd < 0) die_errno("opening the terminal");
  const struct winsize size = {.ws_row = (unsigned short)plan->rows,
                               .ws_col = (unsigned short)plan->columns};
  if (size.ws_row != 0) ioctl(master_fd, TIOCSWINSZ, &size);
  if (fchown(terminal_fd, plan->uid, (gid_t)-1) != 0) die_errno("the owner of the terminal");
  // A program that is added to a container has a terminal of its own beside the console.
  if (plan->target.pid == 0) mount_console(root_fd, terminal_fd);
  send_terminal(terminal_socket, master_fd);
  if (ioctl(terminal_fd, TIOCSCTTY, 0) != 0) die_errno("the controlling terminal");
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (dup2(terminal_fd, fd) < 0) die_errno("dup2");
  close(terminal_fd);
  close(master_fd);
}
