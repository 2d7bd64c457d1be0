"""A service account for a simulated Vertex AI: its key file, and the public key that the simulator checks with."""

import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

EMAIL = "gateway@tides.iam.gserviceaccount.com"


@cache
def key_pair(which: int = 0) -> tuple[str, str]:
    """(private, public) as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public


def key_file(url: str, **changes: str | None) -> str:
    """The JSON key of `EMAIL`, whose tokens are had at `url`; a change to None takes the field away."""
    fields = {
        "type": "service_account",
        "project_id": "tides",
        "private_key_id": "0123456789abcdef",
        "private_key": key_pair()[0],
        "client_email": EMAIL,
        "token_uri": f"{url}/token",
        **changes,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})
