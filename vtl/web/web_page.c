/* SPDX-License-Identifier: GPL-2.0-or-later */
/* web_page.c: the files of the page, in the program itself: page and server are never of different versions. */
#include <string.h>

#include "vtl/web/web_private.h"

#define INCLUDE(name, file)                                                                                            \
    __asm__(".section .rodata\n" #name "_begin: .incbin \"vtl/web/page/" file "\"\n" #name                             \
            "_end: .byte 0\n.previous");                                                                               \
    extern const char name##_begin[] __attribute__((visibility("hidden")));                                            \
    extern const char name##_end[] __attribute__((visibility("hidden")))

INCLUDE(web_html, "index.html");
INCLUDE(web_css, "console.css");
INCLUDE(web_js, "console.js");
INCLUDE(web_uplot, "uplot/uPlot.esm.js");
INCLUDE(web_uplot_css, "uplot/uPlot.min.css");
INCLUDE(web_uplot_licence, "uplot/LICENSE");
INCLUDE(web_icon, "icon.svg");
INCLUDE(web_openapi, "openapi.json");

static const struct web_file files[] = {
    {"/", "text/html; charset=utf-8", web_html_begin, web_html_end},
    {"/console.css", "text/css; charset=utf-8", web_css_begin, web_css_end},
    {"/console.js", "text/javascript; charset=utf-8", web_js_begin, web_js_end},
    {"/uplot/uPlot.esm.js", "text/javascript; charset=utf-8", web_uplot_begin, web_uplot_end},
    {"/uplot/uPlot.min.css", "text/css; charset=utf-8", web_uplot_css_begin, web_uplot_css_end},
    {"/uplot/LICENSE", "text/plain; charset=utf-8", web_uplot_licence_begin, web_uplot_licence_end},
    {"/icon.svg", "image/svg+xml", web_icon_begin, web_icon_end},
    {"/openapi.json", "application/json", web_openapi_begin, web_openapi_end},
};

const struct web_file *web_file(const char *url)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (!strcmp(url, files[i].url))
            return &files[i];
    return NULL;
}
