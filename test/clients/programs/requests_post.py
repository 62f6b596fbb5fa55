"""requests, with a session and a body: its errors end the program."""
import os
import sys

import requests

session = requests.Session()
if 'API_KEY' in os.environ:
    session.headers['Authorization'] = 'Bearer ' + os.environ['API_KEY']
answer = session.post(sys.argv[1], json={'from': 'requests'})
answer.raise_for_status()
sys.stdout.write(answer.text)
