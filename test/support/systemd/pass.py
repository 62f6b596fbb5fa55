"""Opens what it is told to, passes it from file descriptor 3 on as systemd does, and becomes the command behind --."""
import fcntl, json, os, socket, sys

wish, command = json.loads(sys.argv[1]), sys.argv[3:]
kept = []


def opened(one):
    if one == 'file':
        return os.open('/dev/null', os.O_RDONLY)
    kind, where = one.split(' ', 1)
    if kind == 'unix':
        made = socket.socket(socket.AF_UNIX)
        made.bind('\0' + where[1:] if where[0] == '@' else where)
    else:
        host, port = where.rsplit(':', 1)
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
        made.bind((host, int(port)))
    if kind in ('tcp', 'unix'):
        made.listen()
    if kind == 'connected':
        made.close()
        made, _ = socket.socketpair()
    kept.append(made)
    return made.fileno()


# Moved out of the way first: what is opened may have one of the numbers that are to be passed.
high = [fcntl.fcntl(opened(one), fcntl.F_DUPFD_CLOEXEC, 100) for one in wish['sockets']]
for at, fd in enumerate(high):
    os.dup2(fd, 3 + at, inheritable=True)
env = {**os.environ, 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': str(len(high)), **wish['env']}
os.execvpe(command[0], command, {name: value for name, value in env.items() if value is not None})
