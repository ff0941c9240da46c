/* What a request would reuse, told without computing it. The GPU thread's. */
#ifndef FG_FORECAST_H
#define FG_FORECAST_H

struct fg_flow;
struct fg_job;

/* Ends a waiting job that is a forecast: its account tells what would be. */
void fg_forecast(struct fg_flow *flow, struct fg_job *job);

#endif
