#include "matrix.h"

#include <stdlib.h>
#include <string.h>

#include "gpu/buffer.h"

void fg_matrix_finish(struct fg_matrix *m)
{
    for (uint32_t i = 0; m->parts && i < m->n_parts; i++)
        fg_buffer_destroy(m->parts[i].buffer);
    free(m->parts);
    memset(m, 0, sizeof *m);
}
