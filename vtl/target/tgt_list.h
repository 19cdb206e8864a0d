/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tgt_list.h: tgt's lists: rings of links inside of what they list, with a head that is a link of nothing. */
#ifndef S3VTL_TGT_LIST_H
#define S3VTL_TGT_LIST_H

#include <stdbool.h>

#include "vtl/target/tgt_abi.h"

#define container_of(pointer, type, member) ((type *)((uintptr_t)(pointer)-offsetof(type, member)))
#define list_entry(link, type, member) container_of(link, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)

/* In the order of the list. The first may not change the list; the second may remove pos. */
#define list_for_each_entry(pos, head, member)                                                                         \
    for ((pos) = list_entry((head)->next, typeof(*(pos)), member); &(pos)->member != (head);                           \
         (pos) = list_entry((pos)->member.next, typeof(*(pos)), member))
#define list_for_each_entry_safe(pos, after, head, member)                                                             \
    for ((pos) = list_entry((head)->next, typeof(*(pos)), member),                                                     \
        (after) = list_entry((pos)->member.next, typeof(*(pos)), member);                                              \
         &(pos)->member != (head);                                                                                     \
         (pos) = (after), (after) = list_entry((after)->member.next, typeof(*(pos)), member))

#define LIST_HEAD_INIT(name)                                                                                           \
    {                                                                                                                  \
        &(name), &(name)                                                                                               \
    }

static inline void list_init(struct list_head *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
    return head->next == head;
}

static inline void list_add_between(struct list_head *link, struct list_head *before, struct list_head *after)
{
    link->prev = before;
    link->next = after;
    before->next = after->prev = link;
}

static inline void list_add(struct list_head *link, struct list_head *head)
{
    list_add_between(link, head, head->next);
}

static inline void list_add_tail(struct list_head *link, struct list_head *head)
{
    list_add_between(link, head->prev, head);
}

/* A link in no list points nowhere: tgt asks that of a task's. */
static inline void list_del(struct list_head *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = link->prev = NULL;
}

#endif
