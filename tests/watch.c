/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded, it writes a line into WATCH_LOG for every host name that a process looks up and for
 * every address on another machine that it would reach, and lets neither happen: what a test
 * catches never left the machine. Sockets of this machine, and the groups that DDS finds others
 * by, pass.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void told(const char *format, ...) {
  char line[512];
  const char *path = getenv("WATCH_LOG");
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  if (file < 0) return;
  if (length > (int)sizeof line - 1) length = sizeof line - 1;
  if (write(file, line, length) < 0) abort();
  close(file);
}

static int is_own_name(const char *name) {
  char own[256] = "";
  gethostname(own, sizeof own - 1);
  return !name || !*name || !strcmp(name, "localhost") || !strcmp(name, own);
}

static int is_address(const char *name) {
  unsigned char buffer[16];
  return inet_pton(AF_INET, name, buffer) == 1 || inet_pton(AF_INET6, name, buffer) == 1;
}

/* Whether an address is that of this machine, of a group, or none of the internet. */
static int is_near(const struct sockaddr *address) {
  if (!address) return 1;
  if (address->sa_family == AF_INET) {
    unsigned first = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24;
    return first == 127 || first == 0 || first >= 224;
  }
  if (address->sa_family == AF_INET6) {
    const struct in6_addr *a = &((const struct sockaddr_in6 *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_MULTICAST(a) ||
           (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
  }
  return 1;
}

static int refused(const char *what, const struct sockaddr *address) {
  char text[INET6_ADDRSTRLEN] = "?";
  int four = address->sa_family == AF_INET;
  const void *bytes = four ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                           : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
  inet_ntop(address->sa_family, bytes, text, sizeof text);
  told("%s %s\n", what, text);
  errno = ENETUNREACH;
  return -1;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
      dlsym(RTLD_NEXT, "getaddrinfo");
  if (is_own_name(name) || is_address(name)) return real(name, service, hints, result);
  told("look-up %s\n", name);
  return EAI_NONAME;
}

struct hostent *gethostbyname(const char *name) {
  struct hostent *(*real)(const char *) = dlsym(RTLD_NEXT, "gethostbyname");
  if (is_own_name(name) || is_address(name)) return real(name);
  told("look-up %s\n", name);
  h_errno = HOST_NOT_FOUND;
  return NULL;
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
  return is_near(address) ? real(socket, address, length) : refused("connect", address);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags,
               const struct sockaddr *address, socklen_t length) {
  ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) =
      dlsym(RTLD_NEXT, "sendto");
  return is_near(address) ? real(socket, data, size, flags, address, length)
                          : refused("send", address);
}
