#ifndef NITEMS_H
#define NITEMS_H

/* How many elements an array has. */
#define nitems(a) (sizeof(a) / sizeof((a)[0]))

#endif
