"""`python -m tests.site.hanging_tree FD…`: a supervisor with short deadlines over one web process for each socket."""

import signal
import socket
import sys

from imgnom.site.supervisor import Child, Tree, web_command

if __name__ == "__main__":
    children = []
    listeners = [socket.socket(fileno=int(fd)) for fd in sys.argv[1:]]
    for listener in listeners:
        command = web_command(listener, {}, module="tests.site.hanging_app")
        children.append(
            Child("web server", command, None, inherits=(listener.fileno(),), probe_host="a", has_pulse=True, pulse_seconds=2, probe_seconds=4)
        )  # fmt: skip
    tree = Tree(children)
    signal.signal(signal.SIGTERM, tree.stop)

    def started() -> bool:
        if all(child.has_answered for child in children):
            print("started", flush=True)
            return True
        return False

    sys.exit(tree.run(when_started=started))
