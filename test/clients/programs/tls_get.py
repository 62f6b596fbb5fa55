"""The standard library of Python: a reverse door by certificate, and CONNECT within TLS with TLS inside."""
import http.client
import socket
import ssl
import sys

door_port, door_ca, cert, key, target, origin_ca = sys.argv[1:7]

context = ssl.create_default_context(cafile=door_ca)
context.load_cert_chain(cert, key)

if target == "reverse":
    connection = http.client.HTTPSConnection("localhost", int(door_port), context=context)
    for path in ("/python/1", "/python/2"):
        connection.request("GET", path)
        answer = connection.getresponse()
        print(answer.status, answer.read().decode())
    sys.exit(0)

host, port = target.split(":")
outer = context.wrap_socket(socket.create_connection(("localhost", int(door_port))), server_hostname="localhost")
outer.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
head = b""
while b"\r\n\r\n" not in head:
    head += outer.recv(1)
print(head.split(b"\r\n")[0].decode())

# TLS in TLS: ssl.wrap_socket cannot, memory BIOs can.
inner_context = ssl.create_default_context(cafile=origin_ca)
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
inner = inner_context.wrap_bio(incoming, outgoing, server_hostname=host)


def drive(step):
    while True:
        try:
            result = step()
            outer.sendall(outgoing.read())
            return result
        except ssl.SSLWantReadError:
            outer.sendall(outgoing.read())
            data = outer.recv(65536)
            if not data:
                incoming.write_eof()
            incoming.write(data)


drive(inner.do_handshake)
drive(lambda: inner.write(f"GET /python/inside HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n".encode()))
answer = b""
while not answer.endswith(b"ok"):
    answer += drive(lambda: inner.read(65536))
print(answer.split(b"\r\n")[0].decode())
