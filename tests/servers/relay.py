"""A TCP relay that can be blocked: then it takes connections and bytes, and nothing ever comes of them."""

import socket
import threading


class Relay:
    """Listens on `address` and passes on to `target` ("host:port") until closed."""

    def __init__(self, address: str, target: str):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.is_blocked = False
        self.swallowed = 0
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(self.target) as far:
            back = threading.Thread(target=self._pass, args=(far, near), daemon=True)
            back.start()
            self._pass(near, far)
            back.join()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if self.is_blocked:
                    self.swallowed += 1
                else:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the sides is gone, and so are we
