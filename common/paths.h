/* Where things are where nobody says so: beside the programs in a checkout, elsewhere by the XDG base directories and
 * below /etc. Installed programs never look in the current folder. */
#ifndef ACCTFLOW_PATHS_H
#define ACCTFLOW_PATHS_H

/* The state folder; valid for the program's life. */
const char *paths_home(void);

/* The configuration file, whether there is one or not. */
const char *paths_config(void);

#endif
