"""For each HOST=PORT after the CA file: whether the certificate presented there is valid for HOST."""

import socket
import ssl
import sys

context = ssl.create_default_context(cafile=sys.argv[1])
context.verify_flags |= ssl.VERIFY_X509_STRICT

for target in sys.argv[2:]:
    host, _, port = target.rpartition("=")
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
        print("ok")
    except OSError as error:
        print("refused:", error)
