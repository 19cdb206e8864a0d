/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seeds_text.c: configuration files, requests to the library, answers of S3. */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/seeds.h"

static const char *const config[] = {
    ("[library]\nname = a\nstate_dir = /tmp/x\ndrives = 2\nslots = 40\nimport_export = 4\ndrive_type = LTO-8\n"
     "serial_prefix = AB\n[store]\npath = /tmp/y\n[spool]\ndurability = remote\nmax_dirty = 64M\ncache_size = 16G\n"
     "segment_size = 1M\nidle_seal = 500ms\n"),
    ("[library]\nstate_dir = /tmp/x\n[iscsi]\nportal = [::1]:3260\ntarget = iqn.2026-11.s3vtl:a\n"
     "initiators = iqn.2026-11.a:b\ninitiators = iqn.2026-11.a:c\n[store]\ntype = s3\nurl = https://host:8080\n"
     "bucket = b\nprefix = p\nregion = r\ncredentials_file = /dev/null\nstyle = virtual\nparallel = 8\n"),
    ("[iscsi]\naddresses = 192.0.2.0/24, 2001:db8::/32\nchap_user = u\nchap_password_file = /dev/null\n"
     "mutual_user = v\nmutual_password_file = /dev/null\n"),
    "# comment\n; another\n[library]\n  name = x  \nnmae = y\n",
};

static const char *const control[] = {
    "{\"op\":\"status\"}\n{\"op\":\"tape-list\"}\n",
    ("{\"op\":\"tape-create\",\"barcodes\":[\"AAA001L8\",\"AAA002L8\"],\"capacity\":1000000,\"worm\":false}\n"
     "{\"op\":\"tape-show\",\"barcode\":\"AAA001L8\"}\n{\"op\":\"tape-protect\",\"barcode\":\"AAA001L8\",\"on\":true}\n"
     "{\"op\":\"tape-remove\",\"barcode\":\"AAA001L8\",\"force\":true}\n"),
    "{\"op\":\"flush\",\"remote\":true,\"timeout_ms\":0}\n{\"op\":\"flush\"}\n",
    "{\"op\":\"tape-create\",\"barcodes\":[]}\n{\"op\":\"tape-create\",\"barcodes\":[1]}\n{\"op\":3}\n",
};

static const char *const s3xml[] = {
    ("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
     "<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>abc</NextContinuationToken>"
     "<Contents><Key>p/a&amp;b</Key><Size>12</Size></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
     "</ListBucketResult>"),
    "<Error><Code>NoSuchKey</Code><Message>The &lt;key&gt; &#x41;&#66; is not</Message></Error>",
    "<!-- a --><a:b xmlns:a=\"x\"><a:c/><![CDATA[x]]></a:b>",
    "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>",
    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
};

static void write_all(const char *fuzzer, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "%zu", i);
        seed_write(fuzzer, name, texts[i], strlen(texts[i]));
    }
}

void seeds_text(void)
{
    write_all("config", config, sizeof(config) / sizeof(config[0]));
    write_all("control", control, sizeof(control) / sizeof(control[0]));
    write_all("s3xml", s3xml, sizeof(s3xml) / sizeof(s3xml[0]));
}
