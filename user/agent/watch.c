/* SPDX-License-Identifier: GPL-2.0-only */
/* One file: all of it reads and changes what nobody else sees, struct watch. */
#include "agent/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <linux/net_namespace.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/netns.h"
#include "model/iface.h"

/* The number of our own namespace among the others: messages of it bear none. */
#define NSID_OWN     (-1)
#define NSID_UNKNOWN (-2)

#define SELF_EVENTS  (IN_DELETE_SELF | IN_MOVE_SELF)
#define STATE_EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | SELF_EVENTS)
#define NAMES_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM)
#define PINS_EVENTS  (IN_DELETE | IN_MOVED_FROM | SELF_EVENTS)

/* The kernel says all again after a message was lost (ENOBUFS), so this is only for comfort. */
#define EVENTS_ROOM (1 << 20)

static const int groups[] = {
	RTNLGRP_LINK,	    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,  RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV6_ROUTE, RTNLGRP_TC,		 RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF,
};

/* A namespace that is watched. */
struct space {
	uint64_t dev;
	uint64_t ino;
	int nsid;
	bool seen;
};

/* The name of a namespace in a directory. */
struct name {
	int dir; /* inotify's number of it */
	char *name;
};

/* The shared interface of a router. */
struct shared_link {
	uint32_t router;
	uint32_t ifindex;
	int nsid;
	bool running;
	bool came_up;
	bool touched;
};

/* A directory of pins. */
struct pins {
	int wd; /* inotify's number of it */
	uint32_t router;
};

/* What decides whether packets may go past it: rules of nf_tables, and policies of IPsec. */
static const struct {
	int protocol;
	int group;
} rules[] = { { NETLINK_NETFILTER, NFNLGRP_NFTABLES }, { NETLINK_XFRM, XFRMNLGRP_POLICY } };
#define RULES ((int)ARRAY_SIZE(rules))

struct watch {
	int epoll;
	int events;	  /* rtnetlink: what is reported */
	int asking;	  /* rtnetlink: requests */
	int rules[RULES]; /* changes of what forwarding heeds; -1: this kernel has none */
	int mounts;
	int names;
	int state_wd;
	char *state;
	VEC(struct space) spaces;
	VEC(struct name) named;
	VEC(struct pins) pins;
	VEC(struct shared_link) links;
};

/* ------------------------------------------------------------ opening */

static int open_events(struct watch *w, struct error *err)
{
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	int on = 1, room = EVENTS_ROOM;

	w->events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	w->asking = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (w->events < 0 || w->asking < 0 ||
	    bind(w->events, (struct sockaddr *)&own, sizeof(own)) ||
	    setsockopt(w->events, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)))
		return error_set(err, "cannot listen to the kernel's rtnetlink: %m");
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (setsockopt(w->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])))
			return error_set(err, "cannot listen to rtnetlink group %d: %m", groups[i]);
	}
	setsockopt(w->events, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return 0;
}

/* What is reported of `group`, in all namespaces; -1: this kernel does not have it. */
static int open_rules(int protocol, int group)
{
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol), on = 1;

	if (fd >= 0 && (bind(fd, (struct sockaddr *)&own, sizeof(own)) ||
			setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) ||
			setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))))
		close_cleanup(&fd);
	return fd;
}

static int add(struct watch *w, int fd, uint32_t events, struct error *err)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event)
		       ? error_set(err, "cannot wait for events: %m")
		       : 0;
}

static int add_rules(struct watch *w, struct error *err)
{
	for (int i = 0; i < RULES; i++) {
		if (w->rules[i] >= 0 && add(w, w->rules[i], EPOLLIN, err))
			return -1;
	}
	return 0;
}

static void watch_state(struct watch *w)
{
	int wd = inotify_add_watch(w->names, w->state, STATE_EVENTS | IN_ONLYDIR);

	if (w->state_wd != wd && w->state_wd >= 0)
		inotify_rm_watch(w->names, w->state_wd);
	w->state_wd = wd;
}

int watch_open(const char *state, struct watch **out, struct error *err)
{
	struct watch *w = xzalloc(sizeof(*w));

	*out = NULL;
	w->state = xstrdup(state);
	w->events = w->asking = w->state_wd = -1;
	for (int i = 0; i < RULES; i++)
		w->rules[i] = open_rules(rules[i].protocol, rules[i].group);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->names = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* bind mounts are how namespaces get their names, and inotify does not see them */
	w->mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (w->epoll < 0 || w->names < 0 || w->mounts < 0) {
		error_set(err, "cannot watch the machine: %m");
		watch_close(w);
		return -1;
	}
	if (open_events(w, err) || add(w, w->events, EPOLLIN, err) ||
	    add(w, w->names, EPOLLIN, err) || add(w, w->mounts, EPOLLPRI, err) ||
	    add_rules(w, err)) {
		watch_close(w);
		return -1;
	}
	watch_state(w);
	*out = w;
	return 0;
}

static void forget_names(struct name *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].name);
	free(v);
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	close_cleanup(&w->events);
	close_cleanup(&w->asking);
	for (int i = 0; i < RULES; i++)
		close_cleanup(&w->rules[i]);
	close_cleanup(&w->mounts);
	close_cleanup(&w->names);
	close_cleanup(&w->epoll);
	forget_names(w->named.v, w->named.n);
	vec_free(&w->spaces);
	vec_free(&w->pins);
	vec_free(&w->links);
	free(w->state);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->epoll;
}

/* ------------------------------------------------------------ reading */

static struct pins *pins_of(const struct watch *w, int wd)
{
	vec_each (pins, &w->pins) {
		if (pins->wd == wd)
			return pins;
	}
	return NULL;
}

static bool is_concern(const struct watch *w, const struct inotify_event *e)
{
	if (e->mask & (IN_IGNORED | IN_Q_OVERFLOW | SELF_EVENTS))
		return true;
	if (!e->len)
		return false;
	vec_each (known, &w->named) {
		if (known->dir == e->wd && strcmp(known->name, e->name) == 0)
			return true;
	}
	/* a writer closes its lock when it is done, also when it is killed */
	return e->wd == w->state_wd &&
	       strcmp(e->name, e->mask & IN_CLOSE_WRITE ? "lock" : "state.db") == 0;
}

static bool note_pins(struct watch *w, const struct inotify_event *e)
{
	struct pins *pins = pins_of(w, e->wd);

	if (!pins)
		return false;
	vec_each (link, &w->links)
		link->touched |= link->router == pins->router;
	if (e->mask & IN_IGNORED) /* it is not there any more */
		*pins = w->pins.v[--w->pins.n];
	return true;
}

static bool read_names(struct watch *w)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool concern = false;
	ssize_t n;

	while ((n = read(w->names, buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *e;

		for (const char *p = buffer; p < buffer + n; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)p;
			concern |= note_pins(w, e) || is_concern(w, e);
		}
	}
	return concern;
}

static int nsid_of(struct msghdr *msg)
{
	int nsid = NSID_OWN;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID)
			memcpy(&nsid, CMSG_DATA(c), sizeof(nsid));
	}
	return nsid;
}

static bool is_watched(const struct watch *w, int nsid)
{
	vec_each (space, &w->spaces) {
		if (space->nsid == nsid)
			return true;
	}
	return false;
}

static void note_link(struct watch *w, int nsid, const struct ifinfomsg *info)
{
	bool running = info->ifi_flags & IFF_RUNNING;

	vec_each (link, &w->links) {
		if (link->nsid != nsid || link->ifindex != (uint32_t)info->ifi_index)
			continue;
		link->came_up |= running && !link->running;
		link->running = running;
	}
}

static void note_links(struct watch *w, int nsid, const void *data, size_t n)
{
	for (const struct nlmsghdr *h = data; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == RTM_NEWLINK &&
		    h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)))
			note_link(w, nsid, NLMSG_DATA(h));
	}
}

/* An elected address is renewed every other second, which changes nothing. */
static bool is_renewal(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *info = NLMSG_DATA(h);
	const struct ifa_cacheinfo *life = NULL;
	const uint8_t *mark = NULL;
	int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*info));

	if (h->nlmsg_type != RTM_NEWADDR || left < 0)
		return false;
	for (const struct rtattr *a = IFA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFA_CACHEINFO && RTA_PAYLOAD(a) >= sizeof(*life))
			life = RTA_DATA(a);
		if (a->rta_type == IFA_PROTO && RTA_PAYLOAD(a) >= sizeof(*mark))
			mark = RTA_DATA(a);
	}
	return mark && *mark == TN_PROTOCOL_ELECTED && life && life->cstamp != life->tstamp;
}

static bool is_news(const void *data, size_t n)
{
	for (const struct nlmsghdr *h = data; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (!is_renewal(h))
			return true;
	}
	return false;
}

static bool read_events(struct watch *w, int fd)
{
	static char data[1 << 15] __attribute__((aligned(NLMSG_ALIGNTO)));
	char control[CMSG_SPACE(sizeof(int)) * 4];
	struct iovec iov = { data, sizeof(data) };
	bool concern = false;
	ssize_t n;

	for (;;) {
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control,
				      .msg_controllen = sizeof(control) };
		int nsid;

		n = recvmsg(fd, &msg, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS) {
			concern = true;
			continue;
		}
		if (n <= 0)
			return concern;
		nsid = nsid_of(&msg);
		if (!is_watched(w, nsid) || (fd == w->events && !is_news(data, n)))
			continue;
		concern = true;
		vec_each (link, &w->links)
			link->touched |= link->nsid == nsid;
		if (fd == w->events)
			note_links(w, nsid, data, n);
	}
}

bool watch_read(struct watch *w)
{
	struct epoll_event events[3 + RULES];
	int n = epoll_wait(w->epoll, events, ARRAY_SIZE(events), 0);
	bool concern = false;

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == w->names)
			concern |= read_names(w);
		else if (events[i].data.fd == w->mounts)
			concern = true; /* epoll_wait() itself has taken note of it */
		else
			concern |= read_events(w, events[i].data.fd);
	}
	return concern;
}

/* ------------------------------------------------------------ namespaces */

/* A request about the namespace `fd`, and the number in the answer to `answer`; 0 or an errno. */
static int ask(struct watch *w, int type, int flags, int fd, int *answer)
{
	static uint32_t sequence;
	struct {
		struct nlmsghdr head;
		struct rtgenmsg gen __attribute__((aligned(NLMSG_ALIGNTO)));
		struct rtattr fd_head __attribute__((aligned(NLMSG_ALIGNTO)));
		int fd;
		struct rtattr nsid_head;
		int nsid;
	} request = {
		.head = { .nlmsg_len = sizeof(request),
			  .nlmsg_type = type,
			  .nlmsg_flags = NLM_F_REQUEST | flags,
			  .nlmsg_seq = ++sequence },
		.fd_head = { RTA_LENGTH(sizeof(int)), NETNSA_FD },
		.fd = fd,
		.nsid_head = { RTA_LENGTH(sizeof(int)), NETNSA_NSID },
		.nsid = NETNSA_NSID_NOT_ASSIGNED, /* to be chosen by the kernel */
	};
	struct {
		struct nlmsghdr head;
		char data[512];
	} reply;
	ssize_t n;

	if (type == RTM_GETNSID)
		request.head.nlmsg_len -= RTA_LENGTH(sizeof(int));
	if (send(w->asking, &request, request.head.nlmsg_len, 0) < 0)
		return errno;
	do {
		n = recv(w->asking, &reply, sizeof(reply), 0);
		if (n < (ssize_t)sizeof(reply.head))
			return n < 0 ? errno : EPROTO;
	} while (reply.head.nlmsg_seq != sequence);
	if (reply.head.nlmsg_type == NLMSG_ERROR)
		return -((struct nlmsgerr *)NLMSG_DATA(&reply.head))->error;
	if (reply.head.nlmsg_len >= NLMSG_SPACE(sizeof(struct rtgenmsg)) + RTA_LENGTH(sizeof(int)))
		memcpy(answer,
		       (char *)&reply.head + NLMSG_SPACE(sizeof(struct rtgenmsg)) + RTA_LENGTH(0),
		       sizeof(*answer));
	return 0;
}

/* The number by which our namespace knows that one, which it gets if it has none. */
static int number(struct watch *w, int fd)
{
	int nsid = NSID_UNKNOWN;
	int ret = ask(w, RTM_NEWNSID, NLM_F_ACK, fd, &nsid);

	if (ret && ret != EEXIST)
		return NSID_UNKNOWN;
	return ask(w, RTM_GETNSID, 0, fd, &nsid) || nsid < 0 ? NSID_UNKNOWN : nsid;
}

static bool is_own(const struct stat *st)
{
	struct stat own;

	return stat("/proc/self/ns/net", &own) == 0 && own.st_dev == st->st_dev &&
	       own.st_ino == st->st_ino;
}

/* True when it was not watched until now. A number of its own is what tells it from its
 * predecessor with the same inode. */
static bool watch_space(struct watch *w, const char *path)
{
	_cleanup_close_ int fd = netns_open(path);
	struct space new = { .seen = true };
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return false;
	new.dev = st.st_dev;
	new.ino = st.st_ino;
	new.nsid = is_own(&st) ? NSID_OWN : number(w, fd);
	if (new.nsid == NSID_UNKNOWN)
		return false;
	vec_each (space, &w->spaces) {
		if (space->dev == new.dev && space->ino == new.ino && space->nsid == new.nsid) {
			space->seen = true;
			return false;
		}
	}
	*vec_push(&w->spaces) = new;
	return true;
}

/* A directory that is not there yet is one for the next call. */
static void watch_name(struct watch *w, char *path)
{
	char *slash = strrchr(path, '/');
	int dir;

	*slash = '\0';
	dir = inotify_add_watch(w->names, *path ? path : "/", NAMES_EVENTS | IN_ONLYDIR);
	if (dir >= 0)
		*vec_push(&w->named) = (struct name){ dir, xstrdup(slash + 1) };
}

static bool has_name_in(const struct watch *w, int dir)
{
	vec_each (known, &w->named) {
		if (known->dir == dir)
			return true;
	}
	return false;
}

static void forget_unseen(struct watch *w)
{
	size_t n = 0;

	vec_each (space, &w->spaces) {
		if (space->seen)
			w->spaces.v[n++] = *space;
	}
	w->spaces.n = n;
}

bool watch_namespaces(struct watch *w, const struct model *m)
{
	__typeof__(w->named) before = w->named;
	char path[PATH_MAX];
	bool new = false;

	memset(&w->named, 0, sizeof(w->named));
	vec_each (space, &w->spaces)
		space->seen = false;
	/* what has the name may be another directory than the last time */
	watch_state(w);
	vec_each (t, &m->tenants) {
		if (!t->router || t->router->detached)
			continue;
		netns_path(t->router->netns, path);
		new |= watch_space(w, path);
		watch_name(w, path);
	}
	forget_unseen(w);
	vec_each (old, &before) {
		if (!has_name_in(w, old->dir))
			inotify_rm_watch(w->names, old->dir);
	}
	forget_names(before.v, before.n);
	return new;
}

/* ------------------------------------------------------------ pins */

bool watch_pins(struct watch *w, const char *path, uint32_t router)
{
	int wd = inotify_add_watch(w->names, path, PINS_EVENTS | IN_ONLYDIR);

	if (wd < 0 || pins_of(w, wd))
		return false;
	*vec_push(&w->pins) = (struct pins){ wd, router };
	return true;
}

/* ------------------------------------------------------------ interfaces */

static const struct shared_link *link_of(const struct watch *w, const struct shared_link *like)
{
	vec_each (link, &w->links) {
		if (link->router == like->router && link->nsid == like->nsid &&
		    link->ifindex == like->ifindex)
			return link;
	}
	return NULL;
}

void watch_routers(struct watch *w, const struct kernel_state *have)
{
	__typeof__(w->links) links = { 0 };

	vec_each (r, &have->routers) {
		struct shared_link new = { .router = r->id,
					   .ifindex = r->ifindex,
					   .nsid = NSID_UNKNOWN,
					   .running = true };
		const struct shared_link *old;

		vec_each (space, &w->spaces) {
			if (space->dev == r->netns_dev && space->ino == r->netns_ino)
				new.nsid = space->nsid;
		}
		old = link_of(w, &new);
		*vec_push(&links) = old ? *old : new;
	}
	vec_free(&w->links);
	w->links.v = links.v;
	w->links.n = links.n;
	w->links.cap = links.cap;
}

bool watch_touched(struct watch *w, uint32_t router)
{
	bool touched = false;

	vec_each (link, &w->links) {
		if (link->router == router) {
			touched |= link->touched;
			link->touched = false;
		}
	}
	return touched;
}

bool watch_is_touched(const struct watch *w, uint32_t router)
{
	vec_each (link, &w->links) {
		if (link->router == router && link->touched)
			return true;
	}
	return false;
}

bool watch_came_up(struct watch *w, uint32_t router)
{
	vec_each (link, &w->links) {
		if (link->router == router && link->came_up) {
			link->came_up = false;
			return true;
		}
	}
	return false;
}
