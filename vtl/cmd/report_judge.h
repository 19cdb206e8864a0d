/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report_judge.h: how good or bad a report is, as a plugin of Nagios says it. A pure function of the library's answer. */
#ifndef S3VTL_REPORT_JUDGE_H
#define S3VTL_REPORT_JUDGE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* Exit statuses of plugins for Nagios. */
enum report_level { REPORT_OK, REPORT_WARNING, REPORT_CRITICAL, REPORT_UNKNOWN };

const char *report_level_name(enum report_level level); /* "OK" ... */
/* report: the answer to {"op":"report"}. backlog_age: seconds that something may be only on this disk. line: one line without
 * an end, cut at room:  S3VTL WARNING - what is not good; what was written. */
enum report_level report_judge(const json_t *report, uint64_t backlog_age, char *line, size_t room);
/* Figures for graphs, as plugins print them behind " | ". */
void report_figures(const json_t *report, char *text, size_t room);

#endif
