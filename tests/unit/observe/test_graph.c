/* SPDX-License-Identifier: GPL-2.0-only */
/* Which tenants and arrows a picture has, and what is written of them. */
#include "../fixture.h"
#include "observe/graph.h"

static struct model m;
static struct graph g;
static struct graph_facts facts[1200];

static void begin(const char *definitions)
{
	m = model_of(definitions);
	model_sort(&m);
	memset(facts, 0, sizeof(facts));
	for (size_t i = 0; i < m.tenants.n; i++)
		facts[i].standing = m.tenants.v[i].router ? STANDING_ATTACHED : STANDING_ELSEWHERE;
}

static void end(void)
{
	graph_free(&g);
	model_free(&m);
}

TestSuite(graph, .fini = end);

static void carried(const char *tenant, uint64_t in, uint64_t out, uint64_t dropped)
{
	struct tenant_traffic *t = &facts[model_tenant(&m, tenant) - m.tenants.v].traffic;

	t->counters.in_packets = in;
	t->counters.out_packets = out;
	t->dropped = dropped;
}

static void build(int64_t seconds, char *word)
{
	_cleanup_selection_ struct selection selection = { 0 };
	struct error err = { 0 };

	cr_assert_eq(selection_read(&word, word != NULL, &selection, &err), 0, "%s", err.text);
	graph_build(&m, facts, seconds, 1700000000, &selection, &g);
}

static char *written(void (*write)(const struct graph *, FILE *))
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	write(&g, f);
	fclose(f);
	return text;
}

/* "red blue | blue>red web: tcp/80; icmp" */
static char *shape(void)
{
	static const char *const of[] = { "", "*", "others" };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	vec_each (b, &g.boxes)
		fprintf(f, "%s ", b->tenant ? b->tenant->name : of[b->kind]);
	vec_each (a, &g.arrows) {
		const struct graph_box *from = &g.boxes.v[a->from], *to = &g.boxes.v[a->to];

		fprintf(f, "| %s>%s", from->tenant ? from->tenant->name : of[from->kind],
			to->tenant ? to->tenant->name : of[to->kind]);
		vec_each (line, &a->lines)
			fprintf(f, " %s;", *line);
		fputc(' ', f);
	}
	fclose(f);
	return text;
}

#define FOUR                                                                  \
	"net 100.64.0.0/16;"                                                  \
	"tenant blue id=2; router id=2; map 10.0.0.5 db pin=100.64.2.5;"      \
	"accept id=1 from=red to=db tcp/5432; accept id=2 from=red/web icmp;" \
	"accept id=3 from=red to=db tcp/5432;"                                \
	"tenant green id=3; accept id=4 from=*;"                              \
	"tenant red id=1; router id=1; map 10.0.0.5 web pin=100.64.1.5;"      \
	"accept id=5 from=blue from=gone;"                                    \
	"tenant white id=4; accept id=6 from=green;"

Test(graph, who_reaches_whom)
{
	begin(FOUR);
	build(-1, NULL);
	expect_text(shape(),
		    "blue green red white * | blue>red everything; | green>white everything; "
		    "| red>blue db: tcp/5432; web to all: icmp; | *>green everything; ",
		    "all");
}

/* Neighbours are seen; what these have with each other is not. */
Test(graph, named)
{
	begin(FOUR);
	build(-1, (char *)"white");
	expect_text(shape(), "green white * | green>white everything; | *>green everything; ",
		    "white");
	graph_free(&g);
	build(-1, (char *)"red");
	expect_text(shape(),
		    "blue green red * | blue>red everything; "
		    "| red>blue db: tcp/5432; web to all: icmp; | *>green everything; ",
		    "red");
}

/* What has ended reaches nobody; what will end says when. */
Test(graph, ends)
{
	begin("net 100.64.0.0/16; tenant blue id=1; accept id=1 from=red tcp/1 until=1700000000;"
	      "accept id=2 from=* tcp/2 until=1600000000;"
	      "accept id=3 from=green tcp/3 until=1806537600; tenant green id=2; tenant red id=3;");
	build(-1, NULL);
	expect_text(shape(), "blue green red | green>blue tcp/3 until 2027-03-31; ", "all");
	graph_free(&g);
	build(-1, (char *)"red");
	expect_text(shape(), "red ", "red");
}

Test(graph, dot)
{
	begin("net 100.64.0.0/16; tenant blue id=2; router id=2; accept id=1 from=red tcp/80;"
	      "tenant far id=3; tenant red id=1; router id=1; map 10.0.0.5 web pin=100.64.1.5;");
	facts[2].standing = STANDING_DETACHED;
	carried("blue", 990, 9, 1);
	build(60, NULL);
	expect_text(written(graph_write_dot),
		    "digraph tenantnat {\n"
		    "\tlabel=\"Packets of the last 60 seconds. Green: traffic; yellow: at most 1 "
		    "of 100 packets dropped; red: more.\\nWhite: no traffic; grey: the router is "
		    "on another host.\";\n"
		    "\trankdir=LR;\n"
		    "\tfontname=\"sans-serif\";\n"
		    "\tnode [shape=box, style=\"filled,rounded\", fontname=\"sans-serif\"];\n"
		    "\tedge [fontname=\"sans-serif\", fontsize=10];\n"
		    "\tb0 [label=\"blue\\nrouter attached\\n0 mappings\\nin 990, out 9, dropped "
		    "1\", fillcolor=\"#fbe3a1\"];\n"
		    "\tb1 [label=\"far\\nrouter elsewhere\\n0 mappings\", "
		    "fillcolor=\"#e6e6e6\"];\n"
		    "\tb2 [label=\"red\\nrouter detached\\n1 mapping\", fillcolor=\"#ffffff\", "
		    "color=\"#b3261e\", penwidth=3];\n"
		    "\tb2 -> b0 [label=\"tcp/80\"];\n"
		    "}\n",
		    "dot");
}

Test(graph, mermaid)
{
	begin("net 100.64.0.0/16; tenant blue id=2; router id=2; accept id=1 from=red tcp/80;"
	      "tenant red id=1; router id=1;");
	facts[1].standing = STANDING_BROKEN;
	build(-1, NULL);
	expect_text(written(graph_write_mermaid),
		    "flowchart LR\n"
		    "\tclassDef plain fill:#ffffff,stroke:#555555,color:#000000\n"
		    "\tclassDef away fill:#e6e6e6,stroke:#555555,color:#000000\n"
		    "\tclassDef carries fill:#c9e7c5,stroke:#555555,color:#000000\n"
		    "\tclassDef drops fill:#fbe3a1,stroke:#555555,color:#000000\n"
		    "\tclassDef loses fill:#f3b5ae,stroke:#555555,color:#000000\n"
		    "\tclassDef bad stroke:#b3261e,stroke-width:3px\n"
		    "\tb0[\"blue<br/>router attached<br/>0 mappings\"]\n"
		    "\tclass b0 plain\n"
		    "\tb1[\"red<br/>router broken<br/>0 mappings\"]\n"
		    "\tclass b1 plain\n"
		    "\tclass b1 bad\n"
		    "\tb1 -->|\"tcp/80\"| b0\n"
		    "\tcaption[\"No colours: no agent keeps the traffic of the last minute.\"]\n"
		    "\tclass caption plain\n",
		    "mermaid");
}

static void has(char *text, const char *part)
{
	cr_expect(strstr(text, part), "no %s in\n%s", part, text);
	free(text);
}

/* By packets, dropped and in all. Without somebody who keeps them, nothing. */
Test(graph, colours)
{
	static const struct {
		uint64_t in, out, dropped;
		const char *fill;
	} cases[] = {
		{ 0, 0, 0, "#ffffff" },	 { 1, 0, 0, "#c9e7c5" }, { 98, 1, 1, "#fbe3a1" },
		{ 90, 8, 1, "#f3b5ae" }, { 0, 0, 1, "#f3b5ae" }, { 9900, 999, 111, "#f3b5ae" }
	};

	begin("net 100.64.0.0/16; tenant red id=1; router id=1;");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		carried("red", cases[i].in, cases[i].out, cases[i].dropped);
		build(60, NULL);
		has(written(graph_write_dot), cases[i].fill);
		graph_free(&g);
	}
	build(-1, NULL);
	has(written(graph_write_dot), "0 mappings\", fillcolor=\"#ffffff\"");
}

/* Names of the definitions have no such letters, and a picture does not rely on that. */
Test(graph, letters_are_escaped)
{
	begin("net 100.64.0.0/16; tenant red id=1;");
	free(m.tenants.v[0].name);
	m.tenants.v[0].name = xstrdup("a\"b\\N&lt;<script>|]#");
	build(-1, NULL);
	has(written(graph_write_dot), "label=\"a\\\"b\\\\N&amp;lt;<script>|]#\\nrouter");
	has(written(graph_write_mermaid),
	    "[\"a#34;b#92;N#38;lt#59;#60;script#62;#124;#93;#35;<br/>router");
}

/* An arrow names some of what it is for, in the order of the rules, each once; and how many there
 * are besides. */
Test(graph, many_rules)
{
	begin("net 100.64.0.0/16; tenant blue id=1; accept id=1 from=red tcp/9;"
	      "accept id=2 from=red tcp/2; accept id=3 from=red tcp/9; accept id=4 from=red tcp/4;"
	      "accept id=5 from=red tcp/3; accept id=6 from=red tcp/5; tenant red id=2;");
	build(-1, NULL);
	has(written(graph_write_dot), "\"tcp/9\\ntcp/2\\ntcp/4\\ntcp/3\\nand 1 more\"");
}

/* A thousand in a ring: forty are seen, the busiest, and one box is the rest. */
Test(graph, many_tenants)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("net 100.64.0.0/16;", f);
	for (int i = 0; i < 1000; i++)
		fprintf(f, "tenant t%03d id=%d; accept id=%d from=t%03d;", i, i + 1, i + 1,
			(i + 1) % 1000);
	fclose(f);
	begin(text);
	free(text);
	carried("t500", 7, 0, 0);
	carried("t502", 0, 0, 9);
	build(60, NULL);
	cr_assert_eq(g.boxes.n, GRAPH_TENANTS + 1);
	cr_expect_eq(g.others, 960);
	cr_expect_str_eq(g.boxes.v[37].tenant->name, "t037");
	cr_expect_str_eq(g.boxes.v[38].tenant->name, "t500");
	cr_expect_str_eq(g.boxes.v[39].tenant->name, "t502");
	/* 37 within t000 to t037, and six to or from others */
	cr_expect_eq(g.arrows.n, 37 + 6);
	has(written(graph_write_dot), "960 other tenants");
	has(written(graph_write_dot), "b40 -> b39 [label=\"1 rule\"]");
	graph_free(&g);
	build(60, (char *)"t700");
	expect_text(shape(), "t699 t700 t701 | t700>t699 everything; | t701>t700 everything; ",
		    "t700");
}
