"""Does something in the world again and again, with a child that does the same; neither heeds SIGTERM."""

import os
import signal
import socket
import subprocess
import sys

port, run, who = sys.argv[1:]
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if who == "first":
    subprocess.Popen([sys.executable, __file__, port, run, "second"])
while True:
    for line in (f"add process {run}.{who}.{os.getpid()}\n", f"add effect {run}.{who}\n"):
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(line.encode())
            connection.recv(100)  # which takes a moment
