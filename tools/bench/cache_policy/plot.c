/* The plot: a panel for each trace, the part of the prefill seconds that each policy saves against
 * the budget. Written as SVG by hand, so that no library is needed. */
#include "report.h"

#include <math.h>

enum { WIDTH = 360, HEIGHT = 230, LEFT = 46, TOP = 44, GAP = 34, LEGEND = 190 };

static const char *const colors[REPORT_MAX_POLICIES] = {
    "#c0392b", "#7f8c8d", "#2471a3", "#b9770e", "#1e8449", "#52be80", "#7d3c98", "#af7ac5",
    "#5dade2", "#34495e", "#d4ac0d", "#ca6f1e", "#148f77", "#884ea0", "#2e4053", "#a93226"};

/* Text of the user's: a file's name. */
static void put_text(FILE *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '<' || *s == '>' || *s == '&' || (unsigned char)*s < 0x20)
            fprintf(out, "_");
        else
            fputc(*s, out);
    }
}

static double x_of(const struct report *r, size_t b)
{
    double least = log2((double)r->budgets[0]), most = log2((double)r->budgets[r->n_budgets - 1]);
    double part = most > least ? (log2((double)r->budgets[b]) - least) / (most - least) : 0.5;

    return LEFT + part * (WIDTH - LEFT - 10);
}

static double y_of(const struct sim_result *x)
{
    return HEIGHT - (x->seconds > 0 ? x->saved / x->seconds : 0) * (HEIGHT - 10);
}

static void axes(const struct report *r, FILE *out)
{
    for (int i = 0; i <= 4; i++) {
        double y = HEIGHT - i * (HEIGHT - 10) / 4.0;

        fprintf(out,
                "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#ddd'/>"
                "<text x='%d' y='%.1f' text-anchor='end'>%d%%</text>\n",
                LEFT, y, WIDTH - 10, y, LEFT - 4, y + 4, 25 * i);
    }
    for (size_t b = 0; b < r->n_budgets; b++)
        fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%.4g</text>\n", x_of(r, b),
                HEIGHT + 14, (double)r->budgets[b] / (1 << 30));
}

static void panel(const struct report *r, const struct report_trace *t, FILE *out)
{
    fprintf(out, "<text x='%d' y='-4' font-weight='bold'>", LEFT);
    put_text(out, t->name);
    fprintf(out, "</text>\n");
    axes(r, out);
    for (size_t p = sim_n_policies; p-- > 0;) {
        fprintf(out, "<polyline fill='none' stroke='%s' stroke-width='%s' points='", colors[p],
                p == SIM_OURS ? "3" : "1.5");
        for (size_t b = 0; b < r->n_budgets; b++)
            fprintf(out, "%.1f,%.1f ", x_of(r, b), y_of(&t->results[b][p]));
        fprintf(out, "'/>\n");
        for (size_t b = 0; b < r->n_budgets; b++)
            fprintf(out, "<circle cx='%.1f' cy='%.1f' r='2.5' fill='%s'/>\n", x_of(r, b),
                    y_of(&t->results[b][p]), colors[p]);
    }
}

void report_plot(const struct report *r, FILE *out)
{
    size_t columns = r->n_traces < 3 ? r->n_traces : 3, rows = (r->n_traces + 2) / 3;
    size_t width = columns * WIDTH + LEGEND, height = TOP + rows * (HEIGHT + GAP) + 10;

    /* The legend needs its lines. */
    if (height < TOP + 20 * sim_n_policies)
        height = TOP + 20 * sim_n_policies;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%zu' height='%zu' font-size='11' "
            "font-family='sans-serif'>\n<rect width='100%%' height='100%%' fill='white'/>\n"
            "<text x='%d' y='16' font-size='13'>Prefill seconds saved, by GiB of cache</text>\n",
            width, height, LEFT);
    for (size_t t = 0; t < r->n_traces; t++) {
        fprintf(out, "<g transform='translate(%zu %zu)'>\n", t % 3 * WIDTH,
                TOP + t / 3 * (HEIGHT + GAP));
        panel(r, &r->traces[t], out);
        fprintf(out, "</g>\n");
    }
    for (size_t p = 0; p < sim_n_policies; p++)
        fprintf(out,
                "<rect x='%zu' y='%zu' width='14' height='4' fill='%s'/>"
                "<text x='%zu' y='%zu'>%s</text>\n",
                columns * WIDTH + 20, TOP + p * 20, colors[p], columns * WIDTH + 40,
                TOP + 6 + p * 20, sim_policies[p].name);
    fprintf(out, "</svg>\n");
}
