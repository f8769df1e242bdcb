/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * agent: keeps what the definitions in force say true. After something changed it looks, without a
 * lock, what restore would do, and does it if there is anything. It holds nothing that traffic
 * needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "agent/serve.h"
#include "agent/watch.h"
#include "change/change.h"
#include "cmd/cmd.h"
#include "config/definitions.h"
#include "dataplane/attach.h"
#include "host/netns.h"
#include "lib/file.h"
#include "lib/log.h"
#include "observe/prometheus.h"
#include "probe/announce.h"

/* All in milliseconds. */
enum {
	DEBOUNCE = 5,	  /* events come in bunches */
	BUSY = 100,	  /* until the next look while another tenantnat changes something */
	POLL = 250,	  /* for what nobody reports: links that were detached */
	RETRY_FIRST = 20, /* what cannot be mended is tried again, at twice the time each time */
	RETRY_LAST = 8000,
	LOOK_ANYWAY = 60000, /* also for entries of the maps */
	CALM = 1000,	     /* without a look */
	LASTING = 250,	     /* what is over sooner is not worth a line in the log */
};
/* What is done without an event takes at most one part in so many of the time, each. */
#define SHARE 250

#define VAIN_MAX 4

/* A page of metrics is good for as long, and at most one part in so many of the time makes one. */
#define PAGE_GOOD  1000
#define PAGE_SHARE 4
/* Of a page that is being made, so much is read at once, and so many times before all else. */
#define PAGE_PART  65536
#define PAGE_READS 16

/* Something that is not as it is to be, for as long as it lasts. */
struct trouble {
	char tenant[TENANT_NAME_MAX + 1]; /* "": everybody's */
	char *text;
	int64_t since;
	bool said;
};

/*
 * A switch's port may not forward yet when an interface comes up, so all is said again, after so
 * many milliseconds.
 */
static const int again_after[] = { 0, 1000, 4000 };

/* Addresses of a router that are to be announced. */
struct bulletin {
	struct router_row router;
	bool own; /* the router's, not of its VMs */
	int64_t begun;
	size_t times; /* that all of them have been announced */
	struct addr_list addrs;
	size_t told;
};

/* Of tenants; borrowed. */
struct names {
	VEC(char *) list;
};

/* A router that is there. */
struct known {
	struct router_row row;
	struct links links;
	bool news; /* its addresses are to be announced */
};

struct agent {
	struct invocation inv; /* of the changes that it makes: these do not wait for the lock */
	const char *file;      /* NULL: none */
	struct watch *watch;
	int lock;
	int signals;
	bool stop;
	bool has_wanted;	   /* of the file, not in force yet */
	struct model wanted;	   /* that */
	VEC(struct known) routers; /* at the last look */
	VEC(struct trouble) troubles;
	VEC(struct bulletin) news;
	char status[64]; /* what systemd was told */
	size_t stuck;	 /* lines of the plan that remained when it was last made */
	int64_t due;	 /* the next look */
	int64_t poll;
	int vain;     /* so many looks in a row found nothing to do, up to VAIN_MAX */
	int64_t took; /* the last look, of a CPU, and when it was over */
	int64_t over;
	int64_t retry;
	uint64_t watchdog;   /* interval, 0: none */
	int64_t alive;	     /* when systemd is to be told next */
	struct serve *serve; /* NULL: no metrics are asked for */
	struct agent_stats did;
	char *page; /* of metrics, as far as it has been read */
	size_t page_size;
	size_t page_room;
	bool has_page;	    /* the server has one; else none could be made */
	int64_t page_due;   /* from when it is too old */
	int64_t page_begun; /* the one that `writer` writes; 0: nobody does */
	pid_t writer;
	int page_fd; /* reads what it writes */
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ------------------------------------------------------------ troubles */

static const struct trouble *trouble_of(const struct agent *a, const char *tenant, const char *text)
{
	vec_each (t, &a->troubles) {
		if (strcmp(t->tenant, tenant) == 0 && (!text || strcmp(t->text, text) == 0))
			return t;
	}
	return NULL;
}

static void say(struct trouble *t)
{
	if (t->said || now_ms() - t->since < LASTING)
		return;
	log_error("%s", t->text);
	t->said = true;
}

/* Each one is said once, and that it is over. */
static void settle(struct agent *a, const struct failures *failed)
{
	struct agent now = { 0 };

	vec_each (f, &failed->list) {
		const struct trouble *old = trouble_of(a, f->tenant, f->text);
		struct trouble *t = vec_push(&now.troubles);

		snprintf(t->tenant, sizeof(t->tenant), "%s", f->tenant);
		t->text = xstrdup(f->text);
		t->since = old ? old->since : now_ms();
		t->said = old && old->said;
		say(t);
	}
	vec_each (old, &a->troubles) {
		if (old->said && !trouble_of(&now, old->tenant, NULL))
			log_notice("%s%s%s in order again", *old->tenant ? "tenant " : "",
				   old->tenant, *old->tenant ? " is" : "all is");
		free(old->text);
	}
	vec_free(&a->troubles);
	a->troubles.v = now.troubles.v;
	a->troubles.n = now.troubles.n;
	a->troubles.cap = now.troubles.cap;
}

static void settle_error(struct agent *a, const struct error *err)
{
	struct failure all = { .text = (char *)err->text };
	struct failures failed = { { &all, 1, 1 } };

	settle(a, &failed);
}

/* ------------------------------------------------------------ announcements */

static const struct known *known_of(const struct agent *a, uint32_t id)
{
	vec_each (known, &a->routers) {
		if (known->row.id == id && !known->row.broken)
			return known;
	}
	return NULL;
}

static bool is_elsewhere(const struct router_row *a, const struct router_row *b)
{
	return a->netns_dev != b->netns_dev || a->netns_ino != b->netns_ino ||
	       a->ifindex != b->ifindex || memcmp(a->mac, b->mac, sizeof(a->mac)) != 0;
}

static void drop_news(struct agent *a, struct bulletin *news)
{
	vec_free(&news->addrs.list);
	*news = a->news.v[--a->news.n];
}

static void push_news(struct agent *a, const struct kernel_state *have, const struct router_row *r,
		      bool own)
{
	struct bulletin *news;

	/* what is said of a router is never what was so before */
	for (size_t i = a->news.n; i-- > 0;) {
		if (a->news.v[i].router.id == r->id && a->news.v[i].own == own)
			drop_news(a, &a->news.v[i]);
	}
	news = vec_push(&a->news);
	news->router = *r;
	news->router.netns = NULL;
	news->own = own;
	news->begun = now_ms();
	kernel_state_addrs(have, r->id, own, &news->addrs);
}

static bool watch_all_pins(struct agent *a)
{
	char path[PATH_MAX];
	bool new;

	dataplane_maps_dir(a->inv.settings.bpffs, path);
	new = watch_pins(a->watch, path, 0);
	vec_each (known, &a->routers) {
		attach_pins(a->inv.settings.bpffs, known->row.id, path);
		new |= watch_pins(a->watch, path, known->row.id);
	}
	return new;
}

/*
 * What the routers are now. Those that are new, elsewhere or on the network again may be forgotten
 * or remembered otherwise there, and are announced when nothing is left to be done.
 */
static void remember(struct agent *a, struct dataplane *dp, const struct kernel_state *have,
		     bool done)
{
	__typeof__(a->routers) routers = { 0 };

	vec_each (r, &have->routers) {
		const struct known *was = known_of(a, r->id);
		bool up = watch_came_up(a->watch, r->id);
		struct known *now;

		now = vec_push(&routers);
		*now = (struct known){ .row = *r };
		now->row.netns = NULL; /* the definitions' */
		if (r->broken)
			continue;
		attach_links(dp, r, &now->links);
		now->news = !was || was->news || up || is_elsewhere(&was->row, r);
		if (!done || !now->news)
			continue;
		push_news(a, have, r, true);
		push_news(a, have, r, false);
		now->news = false;
	}
	vec_free(&a->routers);
	a->routers.v = routers.v;
	a->routers.n = routers.n;
	a->routers.cap = routers.cap;
	watch_routers(a->watch, have);
	/* what was not watched until now may have changed since it was read */
	if (watch_all_pins(a))
		a->due = now_ms();
}

static int64_t due_of(const struct bulletin *news)
{
	return news->begun + again_after[news->times];
}

/* When there is something to be announced. */
static int64_t news_due(const struct agent *a)
{
	int64_t due = INT64_MAX;

	vec_each (news, &a->news) {
		if (due_of(news) < due)
			due = due_of(news);
	}
	return due;
}

/* The next few. A router that has gone meanwhile needs none. */
static void announce_some(struct agent *a)
{
	_cleanup_netns_ struct netns ns = NETNS_NONE;
	struct bulletin *news = a->news.v;
	const struct router_row *r;
	char name[IF_NAMESIZE];
	struct error err = { 0 };
	size_t count, told = 0;

	while (due_of(news) > now_ms())
		news++;
	r = &news->router;
	count = news->addrs.list.n - news->told;
	if (count > ANNOUNCE_SLICE)
		count = ANNOUNCE_SLICE;
	if (netns_enter_id(NULL, r->netns_dev, r->netns_ino, &ns) == 0 &&
	    if_indextoname(r->ifindex, name) &&
	    announce(r->ifindex, r->mac, news->own, news->addrs.list.v + news->told, count, &told,
		     &err))
		log_warning("tenant %s: %s", r->tenant, err.text);
	news->told += told;
	if (news->told == news->addrs.list.n) {
		news->told = 0;
		news->times++;
	}
	if (news->times == ARRAY_SIZE(again_after) || !told)
		drop_news(a, news);
}

/* ------------------------------------------------------------ looking and mending */

/* What restore would do now: the lines of its plan, or -1. */
static ssize_t look(struct agent *a, struct error *err)
{
	struct change_how how = {
		.dry_run = true, .partial = true, .restore = true, .agent = true
	};
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };

	if (change_begin(&a->inv.settings, STORE_READ, NULL, &c, err))
		return -1;
	/* what was not watched until now may have changed since it was read */
	if (watch_namespaces(a->watch, &c.had))
		a->due = now_ms();
	if (change_make(&c, &how, &out, err))
		return -1;
	remember(a, c.dp, &c.have, !out.text.lines.n);
	if (!out.text.lines.n)
		settle(a, &out.failed);
	return out.text.lines.n;
}

static void log_outcome(const struct outcome *out)
{
	vec_each (line, &out->text.lines)
		log_notice("%c %s", line->sign, line->text);
}

/* Of routers that were there before; others are news by themselves. */
static void note_unannounced(struct agent *a, const struct outcome *out)
{
	vec_each (tenant, &out->unannounced) {
		vec_each (known, &a->routers)
			known->news |= strcmp(known->row.tenant, *tenant) == 0;
	}
}

/* How many routers could not be mended, or -1. */
static ssize_t mend(struct agent *a, struct error *err)
{
	struct change_how how = { .partial = true, .restore = true, .agent = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };

	if (change_begin(&a->inv.settings, STORE_WRITE, NULL, &c, err) ||
	    change_make(&c, &how, &out, err))
		return -1;
	note_unannounced(a, &out);
	/* of what is tried again and again, only the failure is worth saying, and once */
	if (!out.failed.list.n || !a->stuck)
		log_outcome(&out);
	settle(a, &out.failed);
	return out.failed.list.n;
}

/* What the file says; when that cannot be, what was in force stays. */
static int put_in_force(struct agent *a, struct error *err)
{
	struct change_how how = { .partial = true, .agent = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };
	struct error refused = { 0 };

	if (change_begin(&a->inv.settings, STORE_WRITE, &a->wanted, &c, err))
		return -1;
	a->has_wanted = false;
	if (change_make(&c, &how, &out, &refused))
		log_error("%s: %s; the definitions in force stay", a->file, refused.text);
	else
		log_outcome(&out);
	note_unannounced(a, &out);
	return 0;
}

static void try_again(struct agent *a)
{
	a->due = now_ms() + a->retry;
	a->retry *= 2;
	if (a->retry > later(RETRY_LAST, a->took * SHARE))
		a->retry = later(RETRY_LAST, a->took * SHARE);
}

/*
 * After some could not be mended. What happened meanwhile was mostly this itself, and is no
 * reason to hurry, unless something else remains to be done than the last time.
 */
static void wait_for_better(struct agent *a)
{
	struct error err = { 0 };
	size_t before = a->stuck;

	watch_read(a->watch);
	a->stuck = later(look(a, &err), 0);
	if (a->stuck != before || a->due != INT64_MAX)
		a->retry = RETRY_FIRST;
	try_again(a);
}

/* Without a lock: systemd may take its time to read it. */
static void tell_status(struct agent *a)
{
	char status[64];
	size_t good = 0;

	vec_each (known, &a->routers)
		good += !known->row.broken;
	snprintf(status, sizeof(status), "STATUS=%zu %s in order, %zu not", good,
		 good == 1 ? "router" : "routers", a->troubles.n);
	if (strcmp(status, a->status) != 0)
		sd_notify(0, status);
	memcpy(a->status, status, sizeof(status));
}

/* What came of a look, for the metrics. */
static void count(struct agent *a, ssize_t todo, ssize_t failed)
{
	struct timespec t;

	a->did.looks++;
	a->did.mends += todo > 0;
	a->did.failures += todo < 0 || failed != 0;
	if (todo < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &t);
	a->did.looked = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What restore would do for these alone; with STORE_WRITE it is done. */
static bool change_some(struct agent *a, enum store_mode mode, const struct scope *scope)
{
	struct change_how how = { .scope = scope,
				  .dry_run = mode == STORE_READ,
				  .partial = true,
				  .restore = true,
				  .agent = true };
	_cleanup_change_ struct change c = { 0 };
	_cleanup_outcome_ struct outcome out = { 0 };
	struct error err = { 0 };

	if (change_begin_some(&a->inv.settings, mode, scope, &c, &err) ||
	    change_make(&c, &how, &out, &err) || out.failed.list.n)
		return false;
	if (mode == STORE_WRITE)
		log_outcome(&out);
	note_unannounced(a, &out);
	return out.text.lines.n;
}

/*
 * Those that something is known of come first: to look at all takes a tenth of a second for every
 * hundred. What fails is for that look to find.
 */
static bool mend_first(struct agent *a, const struct names *names)
{
	struct scope scope = { .tenants = names->list.v, .n = (int)names->list.n };
	bool mended = scope.n && !store_holder(a->inv.settings.state) &&
		      change_some(a, STORE_READ, &scope) && change_some(a, STORE_WRITE, &scope);

	a->did.mends += mended;
	return mended;
}

/* Not while some cannot be mended: then it is mostly these. */
static bool mend_touched(struct agent *a)
{
	struct names names = { 0 };
	bool mended = false;

	vec_each (known, &a->routers) {
		if (watch_touched(a->watch, known->row.id))
			*vec_push(&names.list) = known->row.tenant;
	}
	if (!a->stuck && !a->has_wanted)
		mended = mend_first(a, &names);
	vec_free(&names.list);
	return mended;
}

static void check(struct agent *a)
{
	int64_t start = now_ms(), before = cpu_us();
	struct error err = { 0 };
	ssize_t todo, failed = 0;
	bool mended;

	/* it may be about to do what is missing */
	if (store_holder(a->inv.settings.state)) {
		a->due = start + BUSY;
		return;
	}
	mended = mend_touched(a);
	if (mended)
		before = cpu_us();
	a->due = INT64_MAX;
	todo = a->has_wanted && put_in_force(a, &err) ? -1 : look(a, &err);
	if (todo > 0)
		failed = mend(a, &err);
	count(a, todo, failed);
	/* when it is calm, the next event is one to be quick for */
	if (todo > 0 || mended || start - a->over > VAIN_MAX * a->took + CALM)
		a->vain = 0;
	else
		a->vain += a->vain < VAIN_MAX;
	a->over = now_ms();
	a->took = (cpu_us() - before) / 1000;
	if (todo < 0 || failed < 0) {
		if (!store_holder(a->inv.settings.state))
			settle_error(a, &err);
		a->routers.n = 0;
		try_again(a);
	} else if (failed) {
		wait_for_better(a);
	} else if (todo) {
		a->stuck = 0;
		a->retry = RETRY_FIRST;
		a->due = now_ms() + DEBOUNCE;
	} else if (a->troubles.n) {
		try_again(a);
	} else {
		a->stuck = 0;
		a->retry = RETRY_FIRST;
		if (a->due == INT64_MAX)
			a->due = a->over + later(LOOK_ANYWAY, a->took * SHARE * 2);
	}
	/* to load programs takes many times what the agent takes by itself */
	if (todo != 0 || mended)
		malloc_trim(0);
	tell_status(a);
}

/* Soon; but where it is in vain time and again, most of the time is for others. */
static void hurry(struct agent *a)
{
	int64_t soon = later(now_ms() + DEBOUNCE, a->over + a->took * a->vain);

	a->retry = RETRY_FIRST;
	if (a->due > soon)
		a->due = soon;
}

/* By the time that it takes of a CPU: that others have it meanwhile is no reason to look less. */
static void poll_links(struct agent *a)
{
	int64_t before = cpu_us(), took;
	struct names broken = { 0 };

	vec_each (known, &a->routers) {
		if (!known->row.broken && !attach_is_linked(&known->row, &known->links))
			*vec_push(&broken.list) = known->row.tenant;
	}
	took = cpu_us() - before;
	if (broken.list.n) {
		mend_first(a, &broken);
		hurry(a);
	}
	vec_free(&broken.list);
	a->poll = now_ms() + later(POLL, SHARE * took / 1000);
}

/* ------------------------------------------------------------ metrics */

/* In a process of its own, whose exit says whether there is a page in `out`. */
static int write_page(struct agent *a, int fd, struct error *err)
{
	_cleanup_view_ struct view v = { 0 };
	_cleanup_stats_ struct stats stats = { 0 };
	FILE *out = fdopen(fd, "w"); /* until the exit: its end says that this is over */
	struct page page = { .version = tenantnat_version,
			     .model = &v.model,
			     .kernel = &v.kernel,
			     .stats = &stats,
			     .agent = &a->did,
			     .mappings = cmd_value(&a->inv, "metrics-mappings") };
	int64_t start = now_ms();

	if (!out)
		return error_set(err, "cannot write a page: %m");
	if (view_load(&a->inv.settings, &v, err))
		return -1;
	stats_read(&v, &stats);
	page.seconds = (double)(now_ms() - start) / 1000;
	prometheus_write(&page, out);
	return fflush(out) ? error_set(err, "cannot write a page: %m") : 0;
}

/* It ends with the agent, and keeps no other from being the one for this state. */
static _Noreturn void be_writer(struct agent *a, int fd)
{
	struct error err = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(a->lock);
	if (write_page(a, fd, &err) == 0)
		_exit(0);
	log_warning("metrics: %s", err.text);
	_exit(1);
}

/*
 * Reading takes seconds where there are a million mappings, in which the agent is to mend what
 * breaks: another process does it, and this one only passes the page on.
 */
static int begin_page(struct agent *a, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, "no pipe for a page: %m");
	a->writer = fork();
	if (a->writer == 0)
		be_writer(a, ends[1]);
	close(ends[1]);
	if (a->writer < 0) {
		close(ends[0]);
		return error_set(err, "no process for a page: %m");
	}
	a->page_fd = ends[0];
	fcntl(a->page_fd, F_SETFL, O_NONBLOCK);
	a->page_size = 0;
	a->page_begun = now_ms();
	return 0;
}

/* All that was asked for meanwhile is answered; what could not be made, with an error. */
static void end_page(struct agent *a)
{
	int status = 1;
	int64_t now = now_ms();

	close(a->page_fd);
	a->page_fd = -1;
	if (waitpid(a->writer, &status, 0) < 0 || status || !a->page_size) {
		free(a->page);
		a->page = NULL;
	}
	a->writer = 0;
	a->page_due = now + later(PAGE_GOOD, PAGE_SHARE * (now - a->page_begun));
	a->has_page = a->page;
	serve_give(a->serve, a->page ? xrealloc(a->page, a->page_size, 1) : NULL, a->page_size);
	a->page = NULL;
	a->page_room = 0;
}

/* What the writer has written until now. */
static void read_page(struct agent *a)
{
	ssize_t got = 1;

	for (int i = 0; got > 0 && i < PAGE_READS; i++) {
		if (a->page_room - a->page_size < PAGE_PART) {
			a->page_room = 2 * a->page_room + PAGE_PART;
			a->page = xrealloc(a->page, a->page_room, 1);
		}
		got = read(a->page_fd, a->page + a->page_size, a->page_room - a->page_size);
		a->page_size += got > 0 ? got : 0;
	}
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		end_page(a);
}

/* serve_page. While somebody still reads the one before, the last is good, however old. */
static enum serve_state page_state(void *arg)
{
	struct agent *a = arg;
	struct error err = { 0 };

	if (!a->writer && now_ms() >= a->page_due && !serve_is_held(a->serve) &&
	    begin_page(a, &err)) {
		log_warning("metrics: %s", err.text);
		a->page_due = now_ms() + PAGE_GOOD;
		a->has_page = false;
	}
	if (a->writer > 0)
		return SERVE_LATER;
	a->writer = 0;
	return a->has_page ? SERVE_PAGE : SERVE_NONE;
}

static int open_metrics(struct agent *a, struct error *err)
{
	const char *where = cmd_value(&a->inv, "metrics");

	if (!where)
		return 0;
	/* a page is of its own, and gone when nobody reads it any more */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	return serve_open(where, PROMETHEUS_TYPE, page_state, a, &a->serve, err);
}

/* ------------------------------------------------------------ the process */

static void reload(struct agent *a)
{
	struct error err = { 0 };
	struct model wanted;

	if (!a->file) {
		hurry(a);
		return;
	}
	if (definitions_read(a->file, &wanted, &err)) {
		log_error("%s; the definitions in force stay", err.text);
		return;
	}
	model_free(&a->wanted);
	a->wanted = wanted;
	a->has_wanted = true;
	hurry(a);
}

static void take_signals(struct agent *a)
{
	struct signalfd_siginfo info;

	while (read(a->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			sd_notify(0, "STOPPING=1");
			a->stop = true;
			continue;
		}
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now_ms() * 1000);
		reload(a);
		check(a);
		sd_notify(0, "READY=1");
	}
}

static void wait_for_something(struct agent *a)
{
	struct pollfd fds[] = { { .fd = watch_fd(a->watch), .events = POLLIN },
				{ .fd = a->signals, .events = POLLIN },
				{ .fd = a->serve ? serve_fd(a->serve) : -1, .events = POLLIN },
				{ .fd = a->page_fd, .events = POLLIN } };
	int64_t until = a->due < a->poll ? a->due : a->poll, left;

	if (a->watchdog && a->alive < until)
		until = a->alive;
	if (news_due(a) < until)
		until = news_due(a);
	left = later(until - now_ms(), 0);
	if (a->serve && serve_wait(a->serve) >= 0 && serve_wait(a->serve) < left)
		left = serve_wait(a->serve);
	poll(fds, ARRAY_SIZE(fds), left);
	if (a->page_fd >= 0)
		read_page(a);
	if (a->serve)
		serve_run(a->serve);
	if (watch_read(a->watch))
		hurry(a);
	take_signals(a);
}

static void tell_alive(struct agent *a)
{
	if (!a->watchdog || now_ms() < a->alive)
		return;
	sd_notify(0, "WATCHDOG=1");
	a->alive = now_ms() + a->watchdog / 2000;
}

static void serve(struct agent *a)
{
	while (!a->stop) {
		tell_alive(a);
		if (now_ms() >= news_due(a))
			announce_some(a);
		if (now_ms() >= a->poll)
			poll_links(a);
		if (now_ms() >= a->due)
			check(a);
		wait_for_something(a);
	}
}

/* One agent for one state. */
static int lock(struct agent *a, struct error *err)
{
	char path[PATH_MAX], text[32] = "";
	int n;

	snprintf(path, sizeof(path), "%s/agent", a->inv.settings.state);
	a->lock = file_open(path, O_RDWR | O_CREAT, err);
	if (a->lock < 0)
		return -1;
	if (flock(a->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
		n = pread(a->lock, text, sizeof(text) - 1, 0);
		text[n > 0 ? strcspn(text, "\n") : 0] = '\0';
		return error_set(
			err,
			"an agent looks after %s already, process %s; end it first, or use "
			"another --state",
			a->inv.settings.state, *text ? text : "unknown");
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(a->lock, 0) || pwrite(a->lock, text, n, 0) != n)
		return error_set(err, "cannot write %s: %m", path);
	return 0;
}

static int open_signals(struct agent *a, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return error_set(err, "cannot block signals: %m");
	a->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? error_set(err, "cannot wait for signals: %m") : 0;
}

/* Errors that are about no single router end it here, before it says that it is ready. */
static int begin(struct agent *a, struct error *err)
{
	_cleanup_store_ struct store *store = NULL;

	/* the directory has to be there before it is locked and watched */
	if (store_open(a->inv.settings.state, STORE_WRITE, a->inv.settings.wait,
		       a->inv.settings.command, &store, err))
		return -1;
	store_close(store);
	store = NULL;
	if (lock(a, err) || open_signals(a, err) ||
	    watch_open(a->inv.settings.state, &a->watch, err))
		return -1;
	if (open_metrics(a, err))
		return -1;
	a->retry = RETRY_FIRST;
	if (a->file)
		reload(a);
	if ((a->has_wanted && put_in_force(a, err)) || mend(a, err) < 0)
		return -1;
	a->inv.settings.wait = 0;
	check(a);
	sd_watchdog_enabled(0, &a->watchdog);
	sd_notifyf(0, "READY=1\nMAINPID=%d", (int)getpid());
	return 0;
}

static void agent_cleanup(struct agent *a)
{
	while (a->news.n)
		drop_news(a, a->news.v);
	vec_free(&a->news);
	vec_each (t, &a->troubles)
		free(t->text);
	vec_free(&a->troubles);
	vec_free(&a->routers);
	model_free(&a->wanted);
	watch_close(a->watch);
	if (a->writer > 0) {
		kill(a->writer, SIGKILL);
		waitpid(a->writer, NULL, 0);
	}
	close_cleanup(&a->page_fd);
	serve_close(a->serve);
	free(a->page);
	close_cleanup(&a->signals);
	close_cleanup(&a->lock);
}

static int run(const struct invocation *inv, struct error *err)
{
	_cleanup_(agent_cleanup) struct agent a = { .inv = *inv,
						    .file = cmd_value(inv, "file"),
						    .lock = -1,
						    .signals = -1,
						    .page_fd = -1 };

	if (begin(&a, err))
		return -1;
	serve(&a);
	return 0;
}

const struct command cmd_agent = {
	.name = "agent",
	.synopsis = "[-f FILE] [--metrics ADDRESS:PORT]",
	.summary = "Keep the machine as the definitions in force say, until ended",
	.help = "Stays in the foreground, for systemd (Type=notify), and does what `restore` does "
		"whenever\n"
		"an interface, a namespace or a program went away or came back, or `apply` changed "
		"the\n"
		"definitions. SIGHUP reads the file again, SIGTERM ends it; traffic needs no "
		"agent, "
		"and\n"
		"goes on.\n\n"
		"Metrics can be read by everybody who reaches that address; it is one of this "
		"host, not\n"
		"a name, as 127.0.0.1:9876 or [::1]:9876.",
	.options = { { "file", 'f', "FILE", "apply these definitions first, and on SIGHUP" },
		     { "metrics", 0, "ADDRESS:PORT",
		       "serve metrics for Prometheus there, at /metrics; docs/metrics.md" },
		     { "metrics-mappings", 0, NULL, "and metrics of each mapping" } },
	.run = run,
};
