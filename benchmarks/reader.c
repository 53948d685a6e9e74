/* Many subscribers in one thread, cheap enough not to be what is measured: they count messages and read a stamp.
 *
 * reader PORT COUNT TIMED_EVERY; on stdin first the HTTP request of the upgrade and each frame to say, as blocks of
 * "LENGTH\n" and so many bytes, ended by "0\n". Each subscriber upgrades, says its frames one after the other, the next
 * one after each message that comes, until one has "t":"subscribed". When all have, "subscribed" is printed.
 * Then "until N MS" on stdin reads on until N messages with a stamp have come or MS have passed, and prints
 * "received bytes lost p50_us p99_us". A stamp is due=NANOSECONDS of CLOCK_MONOTONIC.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1 << 18)
#define MOST_SAYINGS 8
#define MOST_TIMES (1 << 22)

struct subscriber {
    int fd, said, is_open, is_subscribed, is_timed;
    char *rest;
    size_t held;
};

static char *sayings[MOST_SAYINGS];
static size_t lengths[MOST_SAYINGS];
static int count_of_sayings;
static long subscribed, lost;
static uint64_t received, bytes;
static uint32_t *late_us;
static size_t times;
static char chunk[2 * CHUNK + 1];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void say_next(struct subscriber *one) {
    if (one->said == count_of_sayings) return;
    if (write(one->fd, sayings[one->said], lengths[one->said]) != (ssize_t)lengths[one->said]) fail("write");
    one->said++;
}

/* The length of the server's message that begins here, with its header; 0 where that is incomplete. */
static size_t size_of(const unsigned char *at, size_t left) {
    if (left < 2) return 0;
    size_t length = at[1] & 127;
    if (length < 126) return length + 2;
    size_t wide = length == 126 ? 2 : 8, size = 0;
    if (left < 2 + wide) return 0;
    for (size_t i = 0; i < wide; i++) size = size << 8 | at[2 + i];
    return size + 2 + wide;
}

static void take(struct subscriber *one, const char *at, size_t size, int64_t now) {
    if (!one->is_subscribed) {
        if (memmem(at, size, "\"t\":\"subscribed\"", 16)) {
            one->is_subscribed = 1;
            subscribed++;
        } else {
            say_next(one);
        }
        return;
    }
    const char *stamp = memmem(at, size, "due=", 4);
    if (!stamp) return;
    received++;
    bytes += size;
    if (one->is_timed && times < MOST_TIMES) late_us[times++] = (uint32_t)((now - strtoll(stamp + 4, NULL, 10)) / 1000);
}

static void gone(struct subscriber *one, int epoll) {
    lost++;
    epoll_ctl(epoll, EPOLL_CTL_DEL, one->fd, NULL);
    close(one->fd);
    one->fd = -1;
}

static void readable(struct subscriber *one, int epoll) {
    memcpy(chunk, one->rest, one->held);
    ssize_t got = read(one->fd, chunk + one->held, CHUNK);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        gone(one, epoll);
        return;
    }
    size_t left = one->held + (size_t)got, size;
    char *at = chunk;
    chunk[left] = 0;
    int64_t now = now_ns();
    if (!one->is_open) {
        char *end = memmem(at, left, "\r\n\r\n", 4);
        if (end) {
            one->is_open = 1;
            left -= (size_t)(end + 4 - at);
            at = end + 4;
            say_next(one);
        }
    }
    if (one->is_open)
        while ((size = size_of((unsigned char *)at, left)) && size <= left) {
            take(one, at, size, now);
            at += size;
            left -= size;
        }
    if (left > CHUNK) {
        fprintf(stderr, "a message is longer than %d bytes\n", CHUNK);
        exit(1);
    }
    if (left && !one->rest && !(one->rest = malloc(CHUNK))) fail("malloc");
    if (left) memcpy(one->rest, at, left);
    one->held = left;
}

static void step(int epoll, struct subscriber *all, int wait_ms) {
    struct epoll_event ready[256];
    int found = epoll_wait(epoll, ready, 256, wait_ms);
    if (found < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < found; i++) readable(&all[ready[i].data.u32], epoll);
}

static void connect_to(struct subscriber *one, int port, int epoll, uint32_t number) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if ((one->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0) fail("socket");
    if (connect(one->fd, (struct sockaddr *)&there, sizeof there)) fail("connect");
    int on = 1;
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = number};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, one->fd, &wanted)) fail("epoll_ctl");
    say_next(one); /* the upgrade */
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void read_sayings(void) {
    size_t length;
    while (scanf("%zu", &length) == 1 && length) {
        if (count_of_sayings == MOST_SAYINGS || !(sayings[count_of_sayings] = malloc(length))) fail("too many frames");
        getchar();
        if (fread(sayings[count_of_sayings], 1, length, stdin) != length) fail("stdin");
        lengths[count_of_sayings++] = length;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("expected PORT COUNT TIMED_EVERY\n", stderr);
        return 2;
    }
    int port = atoi(argv[1]), count = atoi(argv[2]), timed_every = atoi(argv[3]);
    struct subscriber *all = calloc((size_t)count, sizeof *all);
    late_us = malloc(MOST_TIMES * sizeof *late_us);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || !late_us || epoll < 0) fail("start");
    read_sayings();
    for (int i = 0; i < count; i++) {
        all[i].is_timed = i % timed_every == 0;
        connect_to(&all[i], port, epoll, (uint32_t)i);
        step(epoll, all, 0);
    }
    while (subscribed + lost < count) step(epoll, all, 1000);
    puts("subscribed");
    fflush(stdout);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    uint64_t wanted = 0;
    long long wait_ms = 0;
    int64_t until = 0;
    char line[64] = "";
    for (size_t held = 0;;) {
        step(epoll, all, 5);
        if (!until) {
            ssize_t got = read(STDIN_FILENO, line + held, sizeof line - 1 - held);
            if (got == 0) return 0;
            if (got > 0) held += (size_t)got;
            if (sscanf(line, "until %lu %lld", &wanted, &wait_ms) == 2 && strchr(line, '\n'))
                until = now_ns() + wait_ms * 1000000;
        }
        if (until && (received >= wanted || now_ns() > until)) break;
    }
    qsort(late_us, times, sizeof *late_us, by_size);
    printf("%lu %lu %ld %u %u\n", received, bytes, lost, times ? late_us[times / 2] : 0,
           times ? late_us[(size_t)((double)(times - 1) * 0.99)] : 0);
    return 0;
}
