"""The AWS access key that AWS's own SDKs would find here, as botocore finds it: no second reading of their rules.

In their order: the environment, profiles and the roles these assume, a web identity (EKS), a container's role (ECS, EKS
Pod Identity), the instance's role (IMDSv2). botocore blocks, so a thread of its own asks; it renews temporary keys ten
minutes or more before they end, which is why a key may be shown for `_SHOWN_SECONDS` without a look at its end.

Source: https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any, Final

from tidegate.core.clock import Clock
from tidegate.dialects.dialect import AccessKey, Signer
from tidegate.gateway.credentials.proof import Over, Proof
from tidegate.gateway.credentials.signing import signature
from tidegate.wire.client import Failure

EXTRA_MISSING: Final = "the package `botocore` is missing, which finds AWS's credentials"
"""What to say of BotocoreMissing."""
_SHOWN_SECONDS: Final = 300.0
_MOST_TEXT: Final = 300
_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 10


class BotocoreMissing(Exception):
    """The package `botocore` is not installed."""


class NoKey(Exception):
    """No key could be had. Names no secret."""


class KeyChain:
    """AWS's chain, walked by botocore. Blocks; for one thread."""

    def __init__(self, region: str) -> None:
        """`region`: whose token service is asked. Raises BotocoreMissing."""
        try:
            self._session_type: Any = import_module("botocore.session").Session
            self._config_type: Any = import_module("botocore.config").Config
        except ImportError as error:
            raise BotocoreMissing(str(error)) from error
        self._region = region
        self._found: Any = None

    def key(self) -> AccessKey:
        """Raises NoKey."""
        try:
            found = self._found = self._found or self._session().get_credentials()
            told = None if found is None else found.get_frozen_credentials()
        except (
            Exception
        ) as error:  # botocore's errors have no base of their own: a token service's refusal is a ClientError
            raise NoKey(str(error)[:_MOST_TEXT]) from error
        if told is None or not told.access_key or not told.secret_key:
            raise NoKey("none in the environment, in profiles, of a web identity, a container or an instance")
        return AccessKey(told.access_key, told.secret_key, told.token or "")

    def forget(self) -> None:
        self._found = None

    def _session(self) -> Any:
        session = self._session_type()
        session.set_config_variable("region", self._region)
        bounds = self._config_type(
            connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"max_attempts": 2}
        )
        session.set_default_client_config(bounds)
        return session


class ChainIssuer:
    """Is an Issuer: signs each request with the chain's key."""

    def __init__(
        self,
        chain: KeyChain,
        signer_of: Callable[[AccessKey], Signer],
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self._chain = chain
        self._signer_of = signer_of
        self._loop = loop
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aws-chain")

    def ask(self, over: Over) -> asyncio.Future[AccessKey]:
        found = self._loop.run_in_executor(self._thread, self._chain.key)
        found.add_done_callback(partial(self._answered, over))
        return found

    def forget(self) -> None:
        self._chain.forget()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _answered(self, over: Over, found: asyncio.Future[AccessKey]) -> None:
        if found.cancelled():
            return
        error = found.exception()
        if error is not None:
            over(Failure("credential", f"no AWS credentials: {error}"))
            return
        signer = self._signer_of(found.result())
        over(Proof(lambda head, body: signature(signer, head, body, self._clock.now_ns()), _SHOWN_SECONDS))
