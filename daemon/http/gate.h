/* Before evhttp sees a request: its head is read here first, when all of it is there (head.h), and
 * decides whether the body may come: who sends it, how long it is, and whether there is room for it
 * in the budget. evhttp is given the bytes of requests that may; others are answered here, what
 * still comes of them is thrown away, and the connection ends. Loop thread. For this folder's files
 * only. */
#ifndef FG_HTTP_GATE_H
#define FG_HTTP_GATE_H

#include "conn.h"

/* A connection is new: evhttp is to be told nothing yet. */
void fg_gate_open(struct fg_conn *c);
/* n bytes were added to the input. May be called from inside its callback. */
void fg_gate_input(struct fg_conn *c, size_t n);
/* Answers with an error, throws away what still comes, and has the connection end. */
void fg_gate_refuse(struct fg_conn *c, const struct fg_http_error *e);
/* A request has been answered; evhttp is about to wait for the next. */
void fg_gate_next(struct fg_conn *c);
/* The callback of c->late: a wrong key may be answered now. */
void fg_gate_late(int fd, short what, void *conn);
/* The callback of c->next: it waits. */
void fg_gate_resume(int fd, short what, void *conn);

#endif
