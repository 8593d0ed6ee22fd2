#ifndef CRAFT_H
#define CRAFT_H

/*
 * Segments that no honest guest sends: options of any bytes, a data offset
 * that lies, an urgent pointer.
 */

#include "tests/pkt/pkt.h"
#include "tests/pkt/world.h"

/* s has ports and absolute numbers; g has what is odd about it. */
void craft_input(struct world *, uint32_t dst, const struct tcp_seg *s,
    const struct pkt_seg *g);

#endif
