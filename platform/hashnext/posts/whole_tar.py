"""A tar that is read to its end or refused: it ends with zeros and with the file."""

import tarfile
from tarfile import HeaderError, ReadError
from typing import Self


class _Header(tarfile.TarInfo):
    """A header that is sound, where `tarfile` itself would take a damaged one for the end."""

    @classmethod
    def fromtarfile(cls, tar: "WholeTar") -> Self:  # type: ignore[override]
        """See `tarfile.TarInfo`."""
        try:
            header = super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # a block of zeros
            tar.ended = True
            raise
        except HeaderError as error:
            if tar.ended and isinstance(error, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
                raise
            raise ReadError(str(error)) from error
        tar.ended = False
        return header


class WholeTar(tarfile.TarFile):
    """Open with `ignore_zeros=True`. Raises ReadError where a header is damaged or the end missing.

    A tar that another one was appended to holds the members of both.
    """

    tarinfo = _Header
    ended = False
    """The last block was one of zeros."""
