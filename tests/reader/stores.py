# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the stored objects come from: a directory tree, or S3 with Signature Version 4 of our own. Standard library only."""

import datetime
import hashlib
import hmac
import http.client
import os
import ssl
import time
import urllib.parse
import xml.etree.ElementTree

TRIES = 5


class StoreError(Exception):
    pass


class NotFound(StoreError):
    pass


class Dir:
    """The `dir` store: one file an object, its key is its path."""

    def __init__(self, path, prefix):
        self.root = os.path.join(path, prefix) if prefix else path
        if not os.path.isdir(self.root):
            raise StoreError(f"{self.root}: no such directory")

    def list(self, prefix):
        """Keys that begin with prefix (which ends with a slash), in order."""
        keys = []
        for where, _, names in os.walk(os.path.join(self.root, prefix)):
            keys += [os.path.relpath(os.path.join(where, n), self.root) for n in names]
        return sorted(keys)

    def get(self, key):
        try:
            with open(os.path.join(self.root, key), "rb") as f:
                return f.read()
        except FileNotFoundError:
            raise NotFound(f"{key}: no such object") from None


def read_credentials(path):
    values = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            name, eq, value = line.partition("=")
            if eq:
                values[name.strip()] = value.strip()
    for name in ("access_key", "secret_key"):
        if not values.get(name):
            raise StoreError(f"{path}: needs a line '{name} = ...'")
    return values["access_key"], values["secret_key"]


class S3:
    """GET and LIST of one bucket, path style."""

    def __init__(self, url, bucket, prefix, credentials, region="us-east-1", ca=None):
        u = urllib.parse.urlsplit(url)
        if u.scheme not in ("http", "https") or not u.hostname or u.path.strip("/"):
            raise StoreError(f"{url}: should be http(s)://host[:port]")
        self.host, self.tls, self.netloc = u.hostname, u.scheme == "https", u.netloc
        self.port = u.port or (443 if self.tls else 80)
        self.bucket, self.prefix, self.region, self.ca = bucket, prefix + "/" if prefix else "", region, ca
        self.access, self.secret = read_credentials(credentials)

    def sign(self, path, query, method="GET", payload=hashlib.sha256(b"").hexdigest()):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.netloc, "x-amz-content-sha256": payload, "x-amz-date": now}
        names = ";".join(sorted(headers))
        canonical = "\n".join([method, path, query, *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names, payload])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + self.secret).encode()
        for part in (now[:8], self.region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _connect(self):
        if self.tls:
            context = ssl.create_default_context(cafile=self.ca)
            return http.client.HTTPSConnection(self.host, self.port, timeout=60, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def _get_once(self, path, query):
        connection = self._connect()
        try:
            connection.request("GET", path + ("?" + query if query else ""), headers=self.sign(path, query))
            answer = connection.getresponse()
            return answer.status, answer.read()  # a short body is IncompleteRead
        finally:
            connection.close()

    def _get(self, path, query=""):
        for attempt in range(TRIES):
            try:
                status, body = self._get_once(path, query)
                if status < 500:
                    break
                problem = f"status {status}: {body[:300]!r}"
            except (OSError, http.client.HTTPException) as e:
                problem = str(e) or type(e).__name__
            if attempt + 1 == TRIES:
                raise StoreError(f"{self.netloc}{path}: {problem}")
            time.sleep(0.2 * 2**attempt)
        if status == 404:
            raise NotFound(f"{path}: no such object")
        if status not in (200, 206):
            raise StoreError(f"{self.netloc}{path}: status {status}: {body[:300].decode(errors='replace')}")
        return body

    def get(self, key):
        return self._get("/" + urllib.parse.quote(f"{self.bucket}/{self.prefix}{key}", safe="/-_.~"))

    def list(self, prefix):
        keys, token = [], None
        while True:
            query = {"list-type": "2", "max-keys": "1000", "prefix": self.prefix + prefix}
            if token:
                query["continuation-token"] = token
            pairs = sorted((k, urllib.parse.quote(v, safe="-_.~")) for k, v in query.items())
            body = self._get("/" + urllib.parse.quote(self.bucket, safe="-_.~"), "&".join(f"{k}={v}" for k, v in pairs))
            page = {}
            for e in xml.etree.ElementTree.fromstring(body).iter():
                page.setdefault(e.tag.rpartition("}")[2], []).append(e.text or "")
            keys += [k[len(self.prefix) :] for k in page.get("Key", [])]
            if page.get("IsTruncated", ["false"])[0] != "true":
                return sorted(keys)
            token = page["NextContinuationToken"][0]
