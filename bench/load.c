// A closed-loop load generator: one thread, epoll, N keep-alive connections to loopback, each of which sends its next
// chat completion as soon as the last answer is whole.
//
//     load --port P [--path PATH] [--connections N] [--seconds S] [--warm S] [--stream] [--key KEY] [--model NAME]
//          [--needle BYTES] [--measure PID,PID…] [--helpers PID,PID…]
//
// After the warm-up a window of S seconds is measured. An answer counts as an error unless its status is 200 and it
// holds the needle. The CPU time of the measured processes (all their threads, those that ended too) is read at both
// edges of the window; that of the helpers and of this program says whether the harness itself was the limit. After
// the window no request is begun and those under way are let finish, so nothing is hung up on. One line of JSON goes
// to stdout; the first bad answer goes to stderr. Each request carries its own number: no answer can be a cached one.

#define _GNU_SOURCE
#include <ctype.h>
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
    CONNECTIONS_MAX = 4096,
    PIDS_MAX = 128,
    ANSWER_BYTES_START = 64 * 1024,
    ANSWER_BYTES_MAX = 4 * 1024 * 1024,
    SAMPLES_MAX = 16 * 1000 * 1000,
    SECONDS_MAX = 300,
    DRAIN_SECONDS_MAX = 5,
    SAMPLE_SHOWN_BYTES = 400,
};

struct connection {
    int socket;
    char *answer; // the head, then the body as it came, framing included
    size_t used, size;
    size_t body_at;     // where the body begins; 0 while the head is not whole
    size_t frame_at;    // chunked: where the next chunk's size line begins
    size_t looked_at;   // events are counted up to here
    int64_t length;     // from Content-Length; -1 without
    int status;
    bool chunked, last_of_connection, busy;
    int64_t sent_us, first_us;
};

struct pids {
    int list[PIDS_MAX], count;
};

static struct {
    int port, connections;
    double seconds, warm;
    bool stream;
    const char *path, *key, *model, *needle;
    struct pids measured, helpers;
} options = {.connections = 32, .seconds = 3, .warm = 1, .path = "/openai/v1/chat/completions", .key = "none",
             .model = "openai/gpt-4o-mini"};

static struct {
    uint32_t *whole_us, *first_us; // one sample an answer
    size_t answers, room;
    long errors, reconnects, events;
} window;

static enum { WARMING, MEASURING, DRAINING } phase;
static char *request, *request_number; // the number is rewritten in place for each request
static size_t request_length;
static int poller, under_way;
static bool bad_answer_shown;
static long completed; // whole answers, those outside of the window too

static void fail(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *resized(void *block, size_t size) {
    block = realloc(block, size);
    if (!block)
        fail("realloc");
    return block;
}

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

// ---- what the measured processes used

// CPU seconds from /proc/PID/stat, in clock ticks; 0 when the process has gone.
static double ticks_s(int pid) {
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = 0;
    // The name in brackets may hold anything, brackets too; the fields that matter come after the last of them.
    char *after_name = strrchr(text, ')');
    unsigned long user = 0, system = 0;
    static const char fields[] = "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";
    if (!after_name || sscanf(after_name + 2, fields, &user, &system) != 2)
        return 0;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

// CPU seconds of a process. Its own clock tells them to the nanosecond, where a tick of /proc is 10 ms.
static double cpu_s(int pid) {
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
        return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    return ticks_s(pid);
}

static double cpu_of_all_s(const struct pids *pids) {
    double total = 0;
    for (int i = 0; i < pids->count; i++)
        total += cpu_s(pids->list[i]);
    return total;
}

static double resident_mb(const struct pids *pids) {
    double pages_total = 0;
    for (int i = 0; i < pids->count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/statm", pids->list[i]);
        FILE *file = fopen(path, "r");
        long pages = 0;
        if (file && fscanf(file, "%*d %ld", &pages) == 1)
            pages_total += (double)pages;
        if (file)
            fclose(file);
    }
    return pages_total * (double)sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

// ---- connections

static void dial(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->socket < 0 || connect(c->socket, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event))
        fail("epoll_ctl");
}

// Send the next request, unless the window is over. One waits at a time, so it always fits the socket's buffer.
static void send_next(struct connection *c) {
    static unsigned long number;
    char digits[16];
    if (phase == DRAINING)
        return;
    c->used = c->body_at = c->frame_at = c->looked_at = 0;
    c->length = -1;
    c->status = 0;
    c->chunked = c->last_of_connection = false;
    c->first_us = 0;
    snprintf(digits, sizeof digits, "%010lu", ++number % 10000000000UL);
    memcpy(request_number, digits, 10);
    c->sent_us = now_us();
    if (send(c->socket, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length)
        window.errors++; // the read that follows finds the connection closed
    c->busy = true;
    under_way++;
}

static void finish(struct connection *c) {
    if (c->busy)
        under_way--;
    c->busy = false;
}

static void reconnect(struct connection *c) {
    finish(c);
    close(c->socket);
    window.reconnects++;
    if (phase == DRAINING) {
        c->socket = -1;
        return;
    }
    dial(c);
    send_next(c);
}

// ---- answers

static bool line_says(const char *line, const char *line_end, const char *name, const char *value) {
    size_t length = strlen(name);
    if ((size_t)(line_end - line) < length || strncasecmp(line, name, length))
        return false;
    for (line += length; line < line_end; line++) {
        if ((size_t)(line_end - line) >= strlen(value) && !strncasecmp(line, value, strlen(value)))
            return true;
    }
    return false;
}

static bool read_head(struct connection *c) {
    char *end = memmem(c->answer, c->used, "\r\n\r\n", 4);
    if (!end)
        return false;
    c->body_at = c->frame_at = c->looked_at = (size_t)(end - c->answer) + 4;
    c->status = c->used > 12 ? atoi(c->answer + 9) : 0;
    for (char *line = c->answer; line < end;) {
        char *line_end = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (!strncasecmp(line, "content-length:", 15))
            c->length = strtoll(line + 15, NULL, 10);
        else if (line_says(line, line_end, "transfer-encoding:", "chunked"))
            c->chunked = true;
        else if (line_says(line, line_end, "connection:", "close"))
            c->last_of_connection = true;
        line = line_end + 2;
    }
    return true;
}

// 1 when the answer is whole, 0 when more must come, -1 when its framing makes no sense.
static int progress(struct connection *c) {
    if (!c->body_at && !read_head(c))
        return 0;
    if (!c->chunked)
        return c->length < 0 ? -1 : (int64_t)(c->used - c->body_at) >= c->length;
    for (;;) {
        char *line = c->answer + c->frame_at;
        char *line_end = memmem(line, c->used - c->frame_at, "\r\n", 2);
        if (!line_end)
            return 0;
        if (!isxdigit((unsigned char)*line))
            return -1;
        unsigned long size = strtoul(line, NULL, 16);
        if (size > ANSWER_BYTES_MAX)
            return -1;
        size_t next = (size_t)(line_end - c->answer) + 2 + size + 2;
        if (next > c->used)
            return 0;
        if (size == 0)
            return 1;
        c->frame_at = next;
    }
}

// Count the events that have come since the last look: each begins with these bytes, which no event of the stub holds
// inside. A few bytes are looked at again, because the mark may have been cut in two by the network.
static long new_events(struct connection *c) {
    static const char mark[] = "data: ";
    const size_t length = sizeof mark - 1;
    long count = 0;
    char *found;
    if (!c->body_at)
        return 0;
    while ((found = memmem(c->answer + c->looked_at, c->used - c->looked_at, mark, length))) {
        c->looked_at = (size_t)(found - c->answer) + length;
        count++;
    }
    if (c->used >= c->looked_at + length)
        c->looked_at = c->used - (length - 1);
    return count;
}

static void show_bad_answer(const struct connection *c) {
    if (bad_answer_shown)
        return;
    bad_answer_shown = true;
    fprintf(stderr, "load: first bad answer:\n%.*s\n",
            (int)(c->used < SAMPLE_SHOWN_BYTES ? c->used : SAMPLE_SHOWN_BYTES), c->answer);
}

static void note_answer(struct connection *c) {
    completed++;
    bool good = c->status == 200;
    if (good && options.needle)
        good = memmem(c->answer + c->body_at, c->used - c->body_at, options.needle, strlen(options.needle)) != NULL;
    if (!good) {
        window.errors++;
        show_bad_answer(c);
    }
    if (phase != MEASURING || window.answers == SAMPLES_MAX)
        return;
    if (window.answers == window.room) {
        window.room = window.room ? window.room * 2 : 65536;
        window.whole_us = resized(window.whole_us, window.room * sizeof *window.whole_us);
        window.first_us = resized(window.first_us, window.room * sizeof *window.first_us);
    }
    window.whole_us[window.answers] = (uint32_t)(now_us() - c->sent_us);
    window.first_us[window.answers++] = (uint32_t)(c->first_us - c->sent_us);
}

static void on_readable(struct connection *c) {
    if (c->used == c->size && c->size < ANSWER_BYTES_MAX) {
        c->size *= 2;
        c->answer = resized(c->answer, c->size + 1);
    }
    ssize_t count = read(c->socket, c->answer + c->used, c->size - c->used);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) { // closed, broken, or larger than an answer may be
        if (c->busy) {
            window.errors++;
            show_bad_answer(c);
        }
        reconnect(c);
        return;
    }
    if (!c->first_us)
        c->first_us = now_us();
    c->used += (size_t)count;
    c->answer[c->used] = 0; // the number readers stop here
    int state = progress(c);
    if (options.stream && phase == MEASURING)
        window.events += new_events(c);
    if (state == 0)
        return;
    if (state < 0) {
        window.errors++;
        show_bad_answer(c);
    } else {
        note_answer(c);
    }
    if (state < 0 || c->last_of_connection) {
        reconnect(c);
        return;
    }
    finish(c);
    send_next(c);
}

// ---- start, run, report

static void add_pids(struct pids *pids, char *text) {
    for (char *one = strtok(text, ","); one; one = strtok(NULL, ",")) {
        if (pids->count == PIDS_MAX) {
            fprintf(stderr, "load: more than %d processes\n", PIDS_MAX);
            exit(2);
        }
        pids->list[pids->count++] = atoi(one);
    }
}

static void read_options(int count, char **values) {
    static const struct option names[] = {
        {"port", required_argument, NULL, 'p'},    {"path", required_argument, NULL, 'P'},
        {"seconds", required_argument, NULL, 's'}, {"connections", required_argument, NULL, 'c'},
        {"warm", required_argument, NULL, 'w'},    {"stream", no_argument, NULL, 'S'},
        {"key", required_argument, NULL, 'k'},     {"model", required_argument, NULL, 'm'},
        {"needle", required_argument, NULL, 'n'},  {"measure", required_argument, NULL, 'M'},
        {"helpers", required_argument, NULL, 'H'}, {NULL, 0, NULL, 0},
    };
    for (int name; (name = getopt_long(count, values, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p': options.port = atoi(optarg); break;
        case 'P': options.path = optarg; break;
        case 's': options.seconds = atof(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 'w': options.warm = atof(optarg); break;
        case 'S': options.stream = true; break;
        case 'k': options.key = optarg; break;
        case 'm': options.model = optarg; break;
        case 'n': options.needle = *optarg ? optarg : NULL; break;
        case 'M': add_pids(&options.measured, optarg); break;
        case 'H': add_pids(&options.helpers, optarg); break;
        default: exit(2);
        }
    }
    bool sane = optind == count && options.port > 0 && options.port < 65536 && options.connections > 0 &&
                options.connections <= CONNECTIONS_MAX && options.seconds > 0 && options.warm >= 0 &&
                options.seconds + options.warm <= SECONDS_MAX;
    if (!sane) {
        fprintf(stderr, "load: see the head of load.c for its options\n");
        exit(2);
    }
}

static void compose_request(void) {
    static const char documents[] =
        "The harbour log has four columns: the hour, the name of the ship, her flag, and where she was bound. The "
        "keeper before me wrote in pencil, and some of his pages have faded; where a word cannot be read, leave the "
        "place empty and say that you did. Ships that only passed are marked with a dash, and those that anchored "
        "for the night with a ring. In the winter of the great ice no ship came for nineteen days, so a gap of that "
        "length is no mistake of the copyist. Count each ship once, even where two watchmen saw her, and give the "
        "total for each month in a line of its own, oldest month first. If two entries do not agree, keep the one in "
        "ink, and name the other in a note below the table. Do not guess at flags: a name may be sailed under more "
        "than one, and a wrong flag is worse than none at all.";
    char *body;
    int length = asprintf(
        &body,
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":\"You copy old log books with care.\"},"
        "{\"role\":\"user\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":\"I have read the rules. Which "
        "page shall I begin with?\"},{\"role\":\"user\",\"content\":\"Begin with page ##########, please.\"}],"
        "\"temperature\":0.2,\"max_tokens\":256%s}",
        options.model, documents, options.stream ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "");
    if (length < 0)
        fail("asprintf");
    // The headers an official SDK would send, so that a gateway has as many to read.
    int whole = asprintf(&request,
                         "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: keep-alive\r\n"
                         "Accept: application/json\r\nAccept-Encoding: identity\r\nContent-Type: application/json\r\n"
                         "User-Agent: OpenAI/Python 2.0.0\r\nX-Stainless-Lang: python\r\nX-Stainless-OS: Linux\r\n"
                         "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
                         options.path, options.port, options.key, length, body);
    if (whole < 0)
        fail("asprintf");
    free(body);
    request_length = (size_t)whole;
    request_number = strstr(request, "##########");
}

static void run_until(int64_t end_us) {
    struct epoll_event events[EVENTS_MAX];
    for (int64_t left_us; (left_us = end_us - now_us()) > 0;) {
        if (phase == DRAINING && under_way == 0)
            return;
        int ready = epoll_wait(poller, events, EVENTS_MAX, (int)(left_us / 1000 + 1));
        for (int i = 0; i < ready; i++)
            on_readable(events[i].data.ptr);
    }
}

static int by_size(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

// The nearest-rank quantile of a sorted list, in milliseconds.
static double quantile_ms(const uint32_t *sorted, double share) {
    if (!window.answers)
        return 0;
    return sorted[(size_t)((double)(window.answers - 1) * share)] / 1000.0;
}

static void report(double seconds, double cpu, double helpers, double self) {
    double answers = window.answers ? (double)window.answers : 1, events = window.events ? (double)window.events : 1;
    if (window.answers) {
        qsort(window.whole_us, window.answers, sizeof *window.whole_us, by_size);
        qsort(window.first_us, window.answers, sizeof *window.first_us, by_size);
    }
    printf("{\"connections\":%d,\"stream\":%s,\"seconds\":%.3f,\"completed\":%ld,\"answers\":%zu,\"rps\":%.1f,"
           "\"chunks\":%ld,\"chunks_s\":%.1f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
           "\"ttfb_p50_ms\":%.3f,\"ttfb_p99_ms\":%.3f,\"errors\":%ld,\"reconnects\":%ld,\"cpu_us\":%.2f,"
           "\"cpu_us_chunk\":%.3f,\"cpu_share\":%.3f,\"helpers_share\":%.3f,\"load_share\":%.3f,\"rss_mb\":%.1f}\n",
           options.connections, options.stream ? "true" : "false", seconds, completed, window.answers,
           (double)window.answers / seconds, window.events, (double)window.events / seconds,
           quantile_ms(window.whole_us, 0.5), quantile_ms(window.whole_us, 0.9), quantile_ms(window.whole_us, 0.99),
           quantile_ms(window.whole_us, 1), quantile_ms(window.first_us, 0.5), quantile_ms(window.first_us, 0.99),
           window.errors, window.reconnects, cpu * 1e6 / answers, options.stream ? cpu * 1e6 / events : 0,
           cpu / seconds, helpers / seconds, self / seconds, resident_mb(&options.measured));
}

int main(int count, char **values) {
    read_options(count, values);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm((unsigned)(options.seconds + options.warm) + DRAIN_SECONDS_MAX + 10); // whatever happens, this ends
    compose_request();
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        fail("epoll_create1");
    static struct connection all[CONNECTIONS_MAX];
    for (int i = 0; i < options.connections; i++) {
        all[i].size = ANSWER_BYTES_START;
        all[i].answer = resized(NULL, all[i].size + 1);
        dial(&all[i]);
    }
    for (int i = 0; i < options.connections; i++)
        send_next(&all[i]);
    run_until(now_us() + (int64_t)(options.warm * 1e6));

    // Errors of the warm-up stay in the count: a gateway that refuses while it warms up is not well.
    for (int i = 0; i < options.connections; i++)
        new_events(&all[i]); // what has come already belongs to the warm-up
    phase = MEASURING;
    double cpu = cpu_of_all_s(&options.measured), helpers = cpu_of_all_s(&options.helpers), self = cpu_s(getpid());
    int64_t begun_us = now_us();
    run_until(begun_us + (int64_t)(options.seconds * 1e6));
    phase = DRAINING;
    double seconds = (double)(now_us() - begun_us) / 1e6;
    cpu = cpu_of_all_s(&options.measured) - cpu;
    helpers = cpu_of_all_s(&options.helpers) - helpers;
    self = cpu_s(getpid()) - self;
    run_until(now_us() + (int64_t)DRAIN_SECONDS_MAX * 1000000);
    window.errors += under_way; // an answer that does not come is an error too
    report(seconds, cpu, helpers, self);
    return 0;
}
