"""The blob path of an OCI registry: GET and HEAD of /v2/NAME/blobs/sha256:HEX, with ranges.

    oci.py ADDRESS PORT FOLDER

A blob is the file of that name, without `sha256:`, in the folder.
"""

import http.server
import os
import re
import sys

PATH = re.compile(r"/v2/[a-z0-9/._-]+/blobs/sha256:([0-9a-f]{64})")


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(has_body=True)

    def do_HEAD(self):
        self.answer(has_body=False)

    def answer(self, has_body):
        match = PATH.fullmatch(self.path)
        path = os.path.join(FOLDER, match[1]) if match else ""
        if not os.path.isfile(path):
            self.send_error(404)
            return
        size = os.path.getsize(path)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(wanted[1]), int(wanted[2] or size - 1)) if wanted else (0, size - 1)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Docker-Content-Digest", f"sha256:{match[1]}")
        self.send_header("Etag", f'"sha256:{match[1]}"')
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if has_body:
            with open(path, "rb") as file:
                self.connection.sendfile(file, first, last + 1 - first)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    FOLDER = sys.argv[3]
    http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Registry).serve_forever()
