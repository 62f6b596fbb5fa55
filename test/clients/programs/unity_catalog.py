"""As written for HTTP connections of Unity Catalog: the workspace is a base URL, the token a key. Says what came back."""
import json
import os
import sys

import requests

WORKSPACE = sys.argv[1]
session = requests.Session()
session.headers['Authorization'] = 'Bearer ' + os.environ['API_KEY']


def proxy(method, connection, path, **more):
    url = f'{WORKSPACE}/api/2.0/unity-catalog/connections/{connection}/proxy{path}'
    return session.request(method, url, timeout=10, **more)


def http_request(conn, method, path, *, headers=None, params=None, json_body=None):
    """The shape of WorkspaceClient.serving_endpoints.http_request of the Databricks SDK."""
    body = {'connection_name': conn, 'method': method, 'path': path}
    for name, value in (('headers', headers), ('params', params), ('json', json_body)):
        if value is not None:
            body[name] = json.dumps(value)
    accept = {'Accept': 'text/plain', 'Content-Type': 'application/json'}
    return session.post(f'{WORKSPACE}/api/2.0/external-function', json=body, headers=accept, timeout=10)


answers = {
    'identity': proxy('GET', 'crm', '/contacts/1', params={'q': 'a b'}, headers={'Accept-Encoding': 'identity'}),
    'gzip': proxy('GET', 'crm', '/zipped'),
    'post': proxy('POST', 'crm', '/notes', json={'text': 'hello'}),
    'function': http_request('crm', 'POST', '/notes', headers={'X-Trace': 'seven'}, params={'n': 1}, json_body={'a': [1]}),
    'function_gzip': http_request('crm', 'GET', '/zipped'),
    'ungranted': proxy('GET', 'erp', '/'),
    'missing': http_request('nothing', 'GET', '/'),
}
told = {name: {'status': one.status_code, 'text': one.text} for name, one in answers.items()}
sys.stdout.write(json.dumps(told))
