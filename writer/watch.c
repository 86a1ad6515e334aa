#include "writer.h"
int
watch_main(const struct writer_options *o)
{
	(void)o;
	return 0;
}
