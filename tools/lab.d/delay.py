"""Passes connections on, and keeps the first byte of each answer for so many milliseconds.

    delay.py ADDRESS PORT TARGET-PORT MILLISECONDS
"""

import socket
import sys
import threading
import time

PIECE = 1 << 20


def serve(client):
    with client, socket.create_connection((ADDRESS, TARGET)) as server:
        lock = threading.Lock()
        state = {"asked": time.monotonic(), "waits": True}

        def pass_requests():
            try:
                while data := client.recv(PIECE):
                    with lock:
                        state.update(asked=time.monotonic(), waits=True)
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threading.Thread(target=pass_requests, daemon=True).start()
        try:
            while data := server.recv(PIECE):
                with lock:
                    rest = state["asked"] + SECONDS - time.monotonic() if state["waits"] else 0
                    state["waits"] = False
                time.sleep(max(0, rest))
                client.sendall(data)
        except OSError:
            pass


if __name__ == "__main__":
    ADDRESS, PORT, TARGET, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]) / 1e3
    with socket.create_server((ADDRESS, PORT), backlog=128) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
