"""http.client over the Unix socket of API_SOCKET."""
import http.client
import os
import socket
import sys
from urllib.parse import urlsplit


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.environ['API_SOCKET'])


url = urlsplit(sys.argv[1])
connection = Connection(url.hostname)
key = os.environ['API_KEY']
connection.request('GET', url.path, headers={'Authorization': 'Bearer ' + key})
answer = connection.getresponse()
sys.stdout.write(answer.read().decode())
sys.exit(0 if answer.status == 200 else 1)
