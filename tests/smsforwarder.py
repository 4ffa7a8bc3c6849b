"""What the app SmsForwarder does with requests and answers where its owner has chosen RSA or SM4; the arithmetic is OpenSSL's.

python3 smsforwarder.py read|write rsa PRIVATE_KEY_FILE, or read|write sm4 HEX_KEY: standard input to standard output.
"""

import base64
import subprocess
import sys

VECTOR = "03050609060905090305060906090509"


def openssl(*words, given):
    return subprocess.run(["openssl", *words], input=given, stdout=subprocess.PIPE, check=True).stdout


def raised(key, piece):
    """With the private key, without padding."""
    number = piece.rjust(256, b"\0")
    return openssl("pkeyutl", "-decrypt", "-inkey", key, "-pkeyopt", "rsa_padding_mode:none", given=number)


def main(what, cipher, key):
    given = sys.stdin.buffer.read()
    if cipher == "sm4" and what == "read":
        told = openssl("enc", "-d", "-sm4-cbc", "-K", key, "-iv", VECTOR, given=bytes.fromhex(given.decode()))
    elif cipher == "sm4":
        told = openssl("enc", "-sm4-cbc", "-K", key, "-iv", VECTOR, given=given).hex().upper().encode()
    elif what == "read":
        pieces = base64.b64decode(given, validate=True)
        assert pieces and len(pieces) % 256 == 0, "whole pieces"
        told = b"".join(raised(key, pieces[at : at + 256]).lstrip(b"\0") for at in range(0, len(pieces), 256))
        told = base64.b64decode(told, validate=True)
    else:
        inner = base64.b64encode(given)
        told = base64.b64encode(b"".join(raised(key, inner[at : at + 245]) for at in range(0, len(inner), 245)))
    sys.stdout.buffer.write(told)


main(*sys.argv[1:])
