/* A URL as receiver: each callback is a POST of its event, by libcurl, signed as Standard Webhooks says
 * (standardwebhooks.com). The only module that includes libcurl and libcrypto. */
#ifndef ACCTFLOW_POST_H
#define ACCTFLOW_POST_H

#include "receiver.h"

/* `secret`: the file of the key that signs; NULL: nothing is signed. `private`: addresses that only our own network
 * knows are allowed. What is wrong with either ends the program. */
void post_open(const char *url, const char *secret, bool private, const struct receiver_options *o);

/* See process.h. */
void post_start(struct job *job);
bool post_answer(struct answer *a);
int post_fd(void);
int64_t post_deadline(void);

#endif
