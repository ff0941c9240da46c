#include "rate.h"

/* Half of what is known comes from the last 35 measurements. */
#define FADE 0.98

double fg_rate_positions(uint32_t from, uint32_t to)
{
    return to > from ? ((double)to - from) * ((double)from + to - 1) / 2 : 0;
}

void fg_rate_add(struct fg_rate *r, double tokens, double positions, double seconds)
{
    if (!(tokens > 0 && seconds > 0))
        return;
    r->tt = r->tt * FADE + tokens * tokens;
    r->tp = r->tp * FADE + tokens * positions;
    r->pp = r->pp * FADE + positions * positions;
    r->ts = r->ts * FADE + tokens * seconds;
    r->ps = r->ps * FADE + positions * seconds;
}

double fg_rate_seconds(const struct fg_rate *r, uint32_t from, uint32_t to)
{
    double det = r->tt * r->pp - r->tp * r->tp, a, b;
    double tokens = to > from ? (double)to - from : 0, positions = fg_rate_positions(from, to);

    if (r->tt == 0)
        return 0;
    /* Measurements that all look alike do not tell the two apart; neither cost can be negative. */
    if (det > 1e-6 * r->tt * r->pp) {
        a = (r->ts * r->pp - r->ps * r->tp) / det;
        b = (r->ps * r->tt - r->ts * r->tp) / det;
        if (a > 0 && b >= 0)
            return a * tokens + b * positions;
        if (a <= 0)
            return r->ps / r->pp * positions;
    }
    return r->ts / r->tt * tokens;
}
