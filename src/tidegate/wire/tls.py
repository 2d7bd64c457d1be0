"""TLS for the server: one context whose certificate is replaced when its files change."""

import logging
import os
import ssl
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the chain, leaf first, and its private key (may be the same file)."""

    cert_file: str
    key_file: str


class ReloadingTls:
    """`context` serves; `refresh` takes up a changed pair for handshakes from then on, or keeps the last good one."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises OSError or ssl.SSLError when the pair cannot be used."""
        self._files = files
        self._stamp = self._read_stamp()
        self.context = self._make()

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._files.cert_file, self._files.key_file)
        return context

    def _read_stamp(self) -> tuple[tuple[int, int, int], ...]:
        """Inode, size and time of change: a file replaced by rename, by link or in place differs in one of them."""
        stats = [os.stat(path) for path in (self._files.cert_file, self._files.key_file)]
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)

    def refresh(self) -> bool:
        """→ whether a new pair is in use. A pair that is half written or wrong is tried again when it changes."""
        try:
            stamp = self._read_stamp()
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            self._make()  # the live context must never hold a certificate without its key
            self.context.load_cert_chain(self._files.cert_file, self._files.key_file)
        except (OSError, ssl.SSLError) as error:
            log.warning("keeping the last good certificate: %s: %s", self._files.cert_file, error)
            return False
        return True
