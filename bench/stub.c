// A stand-in for an OpenAI-compatible provider: one thread, epoll, HTTP/1.1 keep-alive, loopback only.
//
//     stub [--port P] [--delay-ms MS] [--chunks N] [--gap-ms MS] [--seconds-max S]
//
// It answers any path. A body with "stream":true gets server-sent events: N text chunks, MS apart (0 writes them back
// to back, one write each), a chunk with the usage, then [DONE]. Any other body gets one completion in JSON. The delay
// comes before the first byte of either. Port 0, the default, takes a free one; "listening PORT" on stdout says which.
// It stops on SIGTERM, when its parent ends, or after S seconds, and prints what it served as one line of JSON.

#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    INPUT_BYTES_START = 8 * 1024,
    INPUT_BYTES_MAX = 16 * 1024 * 1024, // a larger request is refused by closing the connection
    IDLE_WAIT_MS = 500,                 // how often an idle loop looks at the stop flag
};

// A block of bytes that is written as it is, made once at start.
struct piece {
    char *bytes;
    size_t length;
};

struct connection {
    int socket;
    char *input;
    size_t input_used, input_size;
    bool answering, streaming, waits_for_room;
    int step;       // the piece to write next: 0 is the head, then the chunks, then the tail
    size_t written; // bytes of that piece that are out already
    int64_t due_us; // when the answer goes on, while in the heap
    int heap_index; // -1 when no timer runs
};

static struct {
    int port, chunks, seconds_max;
    int64_t delay_us, gap_us;
} options = {.chunks = 100, .seconds_max = 900};

static struct {
    long connections, plain, streams, cut_short;
} served;

static struct piece plain_answer, stream_head, stream_chunk, stream_tail;
static int poller;
static volatile sig_atomic_t stopping;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *resized(void *block, size_t size) {
    block = realloc(block, size);
    if (!block)
        fail("realloc");
    return block;
}

// ---- timers: a binary heap of connections, the earliest at the top, each of which knows its place

static struct connection **heap;
static int heap_used, heap_size;

static void heap_put(int index, struct connection *c) {
    heap[index] = c;
    c->heap_index = index;
}

static void heap_settle(int index, struct connection *c) {
    while (index > 0 && heap[(index - 1) / 2]->due_us > c->due_us) {
        heap_put(index, heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (int child; (child = 2 * index + 1) < heap_used; index = child) {
        if (child + 1 < heap_used && heap[child + 1]->due_us < heap[child]->due_us)
            child++;
        if (heap[child]->due_us >= c->due_us)
            break;
        heap_put(index, heap[child]);
    }
    heap_put(index, c);
}

static void timer_start(struct connection *c) {
    if (heap_used == heap_size) {
        heap_size = heap_size ? heap_size * 2 : 256;
        heap = resized(heap, (size_t)heap_size * sizeof *heap);
    }
    heap_settle(heap_used++, c);
}

static void timer_stop(struct connection *c) {
    if (c->heap_index < 0)
        return;
    int hole = c->heap_index;
    struct connection *last = heap[--heap_used];
    if (last != c)
        heap_settle(hole, last);
    c->heap_index = -1;
}

// ---- connections

static void drop(struct connection *c) {
    if (c->answering)
        served.cut_short++;
    timer_stop(c);
    close(c->socket);
    free(c->input);
    free(c);
}

static void watch(struct connection *c, bool for_room) {
    if (c->waits_for_room == for_room)
        return;
    struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0U), .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, c->socket, &event))
        fail("epoll_ctl");
    c->waits_for_room = for_room;
}

static const struct piece *piece_of(const struct connection *c) {
    if (!c->streaming)
        return &plain_answer;
    if (c->step == 0)
        return &stream_head;
    return c->step <= options.chunks ? &stream_chunk : &stream_tail;
}

// Write as much of the answer as is due and fits. False when the peer has gone.
static bool go_on(struct connection *c) {
    int last_step = c->streaming ? options.chunks + 1 : 0;
    while (c->step <= last_step) {
        const struct piece *piece = piece_of(c);
        ssize_t count = write(c->socket, piece->bytes + c->written, piece->length - c->written);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN) {
            watch(c, true);
            return true;
        }
        if (count < 0)
            return false;
        c->written += (size_t)count;
        if (c->written < piece->length)
            continue;
        c->written = 0;
        c->step++;
        if (options.gap_us && c->step > 1 && c->step <= last_step) {
            // The next is due one gap after this one was, not after it was written: lateness does not add up.
            int64_t now = now_us();
            c->due_us = (c->step == 2 ? now : c->due_us) + options.gap_us;
            if (c->due_us < now - options.gap_us)
                c->due_us = now;
            watch(c, false);
            timer_start(c);
            return true;
        }
    }
    watch(c, false);
    c->answering = false;
    *(c->streaming ? &served.streams : &served.plain) += 1;
    return true;
}

// ---- requests

// Join the chunks of a chunked body in place. Gives the bytes taken from the input with the joined length in *length,
// 0 when more must come, -1 when the framing is wrong.
static ssize_t join_chunks(char *body, size_t available, size_t *length) {
    size_t from = 0, to = 0;
    for (int pass = 0; pass < 2; pass++) { // first measure, so that an incomplete body stays untouched; then move
        for (from = to = 0;;) {
            char *line_end = memmem(body + from, available - from, "\r\n", 2);
            if (!line_end)
                return available - from > 64 ? -1 : 0;
            char *digits_end;
            unsigned long size = strtoul(body + from, &digits_end, 16);
            if (digits_end == body + from || size > INPUT_BYTES_MAX)
                return -1;
            from = (size_t)(line_end - body) + 2;
            if (available - from < size + 2)
                return 0;
            if (pass)
                memmove(body + to, body + from, size);
            to += size;
            from += size + 2;
            if (size == 0)
                break;
        }
    }
    *length = to;
    return (ssize_t)from;
}

static bool asks_for_stream(const char *body, size_t length) {
    // Inside a JSON string the quotes would be escaped, so these bytes with a colon after them are a member's name.
    static const char name[] = "\"stream\"";
    const char *end = body + length, *at = body;
    while ((at = memmem(at, (size_t)(end - at), name, sizeof name - 1))) {
        at += sizeof name - 1;
        const char *value = at;
        while (value < end && (*value == ' ' || *value == ':'))
            value++;
        if (value > at && end - value >= 4 && !memcmp(value, "true", 4))
            return true;
    }
    return false;
}

// Take one request off the input. Gives 1 when an answer is to begin, 0 when more must come, -1 when it makes no sense.
static int take_request(struct connection *c) {
    char *head_end = memmem(c->input, c->input_used, "\r\n\r\n", 4);
    if (!head_end)
        return 0;
    size_t body_at = (size_t)(head_end - c->input) + 4, available = c->input_used - body_at, length = 0;
    bool chunked = false;
    for (char *line = c->input; line < head_end;) {
        char *line_end = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
        if (!strncasecmp(line, "content-length:", 15))
            length = strtoul(line + 15, NULL, 10);
        else if (!strncasecmp(line, "transfer-encoding:", 18))
            chunked = true;
        line = line_end + 2;
    }
    size_t taken = length;
    if (chunked) {
        ssize_t framed = join_chunks(c->input + body_at, available, &length);
        if (framed <= 0)
            return (int)framed;
        taken = (size_t)framed;
    } else if (available < length) {
        return 0;
    }
    c->streaming = asks_for_stream(c->input + body_at, length);
    c->input_used -= body_at + taken;
    memmove(c->input, c->input + body_at + taken, c->input_used);
    c->answering = true;
    c->step = 0;
    c->written = 0;
    return 1;
}

// Answer what has come in, one request after the other. False when the connection must go.
static bool serve_input(struct connection *c) {
    while (!c->answering && c->input_used) {
        int found = take_request(c);
        if (found <= 0)
            return found == 0;
        if (options.delay_us) {
            c->due_us = now_us() + options.delay_us;
            timer_start(c);
            return true;
        }
        if (!go_on(c))
            return false;
    }
    return true;
}

static bool read_input(struct connection *c) {
    if (c->input_size - c->input_used < 2) {
        if (c->input_size >= INPUT_BYTES_MAX)
            return false;
        c->input_size *= 2;
        c->input = resized(c->input, c->input_size);
    }
    // One byte is kept free for the zero that makes the number readers stop inside the buffer.
    ssize_t count = read(c->socket, c->input + c->input_used, c->input_size - c->input_used - 1);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    c->input_used += (size_t)count;
    c->input[c->input_used] = 0;
    return count > 0 && serve_input(c);
}

static void accept_all(int listener) {
    int socket, on = 1;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct connection *c = resized(NULL, sizeof *c);
        *c = (struct connection){.socket = socket, .input_size = INPUT_BYTES_START, .heap_index = -1};
        c->input = resized(NULL, c->input_size);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event))
            fail("epoll_ctl");
        served.connections++;
    }
}

// ---- what is said

#define COMMON_HEAD \
    "HTTP/1.1 200 OK\r\nServer: stub\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: keep-alive\r\n" \
    "X-Request-Id: req_stub000000000000\r\nOpenAI-Version: 2020-10-01\r\nOpenAI-Processing-Ms: 12\r\n"
#define IDENTITY \
    "\"created\":1767225600,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\"," \
    "\"system_fingerprint\":\"fp_stub000000\""
#define USAGE(completion, total) \
    "\"usage\":{\"prompt_tokens\":240,\"completion_tokens\":" completion ",\"total_tokens\":" total "," \
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0}," \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}}"
#define CHUNK "data: {\"id\":\"chatcmpl-stub0000000000000000000000000\",\"object\":\"chat.completion.chunk\"," IDENTITY

static struct piece copied(const char *text) { return (struct piece){strdup(text), strlen(text)}; }

// Add one HTTP chunk to a piece.
static void add_framed(struct piece *piece, const char *payload) {
    size_t length = strlen(payload);
    piece->bytes = resized(piece->bytes, piece->length + length + 32);
    piece->length += (size_t)sprintf(piece->bytes + piece->length, "%zx\r\n%s\r\n", length, payload);
}

static void compose(void) {
    static const char completion[] =
        "{\"id\":\"chatcmpl-stub0000000000000000000000000\",\"object\":\"chat.completion\"," IDENTITY ","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"A lighthouse keeper counts ships "
        "by night and gulls by day; the tally he sends ashore each month has never once been wrong.\","
        "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE("24", "264") "}";
    char answer[2048];
    snprintf(answer, sizeof answer, COMMON_HEAD "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof completion - 1, completion);
    plain_answer = copied(answer);
    stream_head = copied(COMMON_HEAD "Content-Type: text/event-stream; charset=utf-8\r\n"
                                     "Transfer-Encoding: chunked\r\n\r\n");
    add_framed(&stream_chunk, CHUNK ",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" gulls\"},\"logprobs\":null,"
                                    "\"finish_reason\":null}],\"usage\":null}\n\n");
    add_framed(&stream_tail, CHUNK ",\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
                                   "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
    add_framed(&stream_tail, CHUNK ",\"choices\":[]," USAGE("100", "340") "}\n\n");
    add_framed(&stream_tail, "data: [DONE]\n\n");
    add_framed(&stream_tail, ""); // the chunk of length zero ends the body
}

// ---- start and stop

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static void read_options(int count, char **values) {
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},   {"delay-ms", required_argument, NULL, 'd'},
        {"chunks", required_argument, NULL, 'n'}, {"gap-ms", required_argument, NULL, 'g'},
        {"seconds-max", required_argument, NULL, 's'}, {NULL, 0, NULL, 0},
    };
    for (int name; (name = getopt_long(count, values, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p': options.port = atoi(optarg); break;
        case 'd': options.delay_us = (int64_t)(atof(optarg) * 1000); break;
        case 'n': options.chunks = atoi(optarg); break;
        case 'g': options.gap_us = (int64_t)(atof(optarg) * 1000); break;
        case 's': options.seconds_max = atoi(optarg); break;
        default: exit(2);
        }
    }
    if (optind < count || options.port < 0 || options.port > 65535 || options.chunks < 1 || options.seconds_max < 1) {
        fprintf(stderr, "stub: see the head of stub.c for its options\n");
        exit(2);
    }
}

static int listen_on_loopback(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0)
        fail("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096))
        fail("bind");
    if (getsockname(listener, (struct sockaddr *)&address, &length))
        fail("getsockname");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void run_due_timers(void) {
    int64_t now = now_us();
    while (heap_used && heap[0]->due_us <= now) {
        struct connection *c = heap[0];
        timer_stop(c);
        if (!go_on(c) || !serve_input(c))
            drop(c);
    }
}

static int wait_ms(void) {
    if (!heap_used)
        return IDLE_WAIT_MS;
    int64_t left_us = heap[0]->due_us - now_us();
    if (left_us <= 0)
        return 0;
    return left_us > IDLE_WAIT_MS * 1000 ? IDLE_WAIT_MS : (int)((left_us + 999) / 1000);
}

int main(int count, char **values) {
    read_options(count, values);
    signal(SIGPIPE, SIG_IGN);
    struct sigaction stop = {.sa_handler = on_signal};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGALRM, &stop, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm((unsigned)options.seconds_max);
    compose();
    int listener = listen_on_loopback();
    struct epoll_event first = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_MAX];
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &first))
        fail("epoll");
    while (!stopping) {
        int ready = epoll_wait(poller, events, EVENTS_MAX, wait_ms());
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                accept_all(listener);
                continue;
            }
            bool alive = true;
            if (events[i].events & EPOLLOUT)
                alive = go_on(c) && serve_input(c);
            if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                alive = read_input(c);
            if (!alive)
                drop(c);
        }
        run_due_timers();
    }
    printf("{\"connections\":%ld,\"plain\":%ld,\"streams\":%ld,\"cut_short\":%ld}\n", served.connections, served.plain,
           served.streams, served.cut_short);
    return 0;
}
