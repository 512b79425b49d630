# SPDX-License-Identifier: MIT-0
"""Opens one message: python3 example.py KEY.key.json GATEWAY=gateway.pub.json TOPIC < message"""
import sys
from sealgate_keys import load_gateway_key, load_key
from sealgate_open import Opener, Refused

gateway, path = sys.argv[2].split("=", 1)
opener = Opener([load_key(sys.argv[1])], gateways={gateway: [load_gateway_key(path)]})
try:
    m = opener.open(sys.argv[3], sys.stdin.buffer.read())
except Refused as reason:
    print("refused:", reason, file=sys.stderr)
    sys.exit(3)
print(m["payload"].decode())
print("from", m["gateway"], "on", m["topic"], "origin", m["origin"], "seq", m["seq"], file=sys.stderr)
