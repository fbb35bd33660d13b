"""A TFTP server of fbtftp's: fbtftp_server.py FOLDER PORT"""

import os
import sys

from fbtftp.base_handler import BaseHandler, ResponseData
from fbtftp.base_server import BaseServer


class FileData(ResponseData):
    def __init__(self, path):
        self._size = os.stat(path).st_size
        self._file = open(path, "rb")

    def read(self, n):
        return self._file.read(n)

    def size(self):
        return self._size

    def close(self):
        self._file.close()


class Handler(BaseHandler):
    def get_response_data(self):
        return FileData(os.path.join(sys.argv[1], self._path))


class Server(BaseServer):
    def get_handler(self, server_addr, peer, path, options):
        return Handler(server_addr, peer, path, options, lambda stats: None)


Server("127.0.0.1", int(sys.argv[2]), retries=5, timeout=2).run()
