"""deploy/systemd/sallyport.yaml, with an upstream on this machine that takes the secret itself, and an authority."""
import re, sys

text = open(sys.argv[1]).read()
credential = """    port: 18080
    unsafeAllowPlaintextUpstream: true
    allowPrivate: [127.0.0.0/8]
    connect: intercept
    credential: { kind: static, secret: { systemd: crm } }
"""
text, count = re.subn(r'    credential:\n(?:      .*\n)+', credential, text)
assert count == 1, 'the settings are not what they were'
print(text)
print('ca: { directory: /var/lib/sallyport/ca, bundle: /run/sallyport-ca/bundle.pem }')
print('dns: { hosts: { api.crm.example.com: [127.0.0.1] } }')
